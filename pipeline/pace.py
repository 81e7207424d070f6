"""How fast a run goes and how long the rest takes, from what it did itself in the last minutes."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from pipeline.ledger import State

WINDOW = 300.0  # seconds; articles differ along the input, and so does the speed
LEAST_SHARDS, LEAST_SECONDS = 3, 5.0  # for a number that is worth showing


class Speed(NamedTuple):
    """Samples a second, and seconds until all shards are done; None where nobody can tell yet."""

    samples: float | None = None
    left: float | None = None


class _Mark(NamedTuple):
    time: float
    shards: int
    samples: int


class Pace:
    """Takes note of states as they come and tells the speed.

    It is counted from the first shard that this run finished: what comes before is the start of
    workers.
    """

    def __init__(self) -> None:
        self._marks: deque[_Mark] = deque()

    def speed(self, now: float, state: State) -> Speed:
        """Return the speed at a time in seconds, at which the job is in this state."""
        mark = _Mark(now, state.new_shards, state.new_samples)
        marks = self._marks
        if marks and mark.shards < marks[-1].shards:  # receipts were removed
            marks.clear()
        if mark.shards and (not marks or mark.shards > marks[-1].shards):
            marks.append(mark)
        while len(marks) > 1 and self._is_enough(marks[1], now, mark.shards):
            marks.popleft()
        if not marks or state.shards >= state.of:
            return Speed()
        shards, seconds = mark.shards - marks[0].shards, now - marks[0].time
        if shards < LEAST_SHARDS or seconds < LEAST_SECONDS:
            return Speed()
        samples = (mark.samples - marks[0].samples) / seconds
        return Speed(samples, (state.of - state.shards) * seconds / shards)

    @staticmethod
    def _is_enough(since: _Mark, now: float, shards: int) -> bool:
        return since.time <= now - WINDOW and shards - since.shards >= LEAST_SHARDS
