"""A job's state as one line of text: with a bar at a terminal, or plain words for a log."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from rich.console import Console, RenderableType
from rich.constrain import Constrain
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn

from pipeline.progress import terminal
from pipeline.progress.counter import CHECKING, MERGING, PARTS, SHARDS, SPLITTING, State

WINDOW = 300.0  # seconds; articles differ along the input, and so does the speed
LEAST_SHARDS = 3  # for a speed that is worth showing
DOING = {
    CHECKING: "checking what is there",
    SPLITTING: "planning the split",
    MERGING: "merging",
}


def counted(number: int, what: str) -> str:
    """Return a number of things, e.g. 1,234 samples, or 1 error."""
    return f"{number:,} {what if number == 1 else f'{what}s'}"


class Narrower(Progress):
    """A bar that leaves the last column free: after it some terminals go on in the next line."""

    def __init__(self, *columns: ProgressColumn, console: Console, **how: Any) -> None:
        self._terminal = console  # what rich has of it is not there yet when it is first asked
        super().__init__(*columns, console=console, **how)

    def get_renderable(self) -> RenderableType:
        """Return all that is shown."""
        return Constrain(super().get_renderable(), self._terminal.width - 1)


class JobLine:
    """The line about a job, from its states one after another.

    Its speed is that of this run since its first shard: what comes before is the start of workers.

    Args:
      clock: the time in seconds.
    """

    def __init__(self, shards: int, clock: Callable[[], float] = time.monotonic) -> None:
        shown = terminal.Terminal()
        self.bar = Narrower(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[facts]}", markup=False),
            console=shown,
            disable=not shown.can_show,
            expand=True,
            get_time=clock,
            redirect_stdout=False,
            refresh_per_second=terminal.REFRESHES,
            speed_estimate_period=WINDOW,
            transient=True,
        )
        self._started = clock()
        self._clock = clock
        self._line = self.bar.add_task(f"0 of {counted(shards, 'shard')}", total=shards, facts="")
        self._shards = self.bar.add_task("", total=shards, visible=False, start=False)

    def update(self, state: State) -> None:
        """Tell how far the job is now."""
        task = self.bar.tasks[self._shards]
        if state.new_shards and (not task.started or state.shards < task.completed):
            self.bar.reset(self._shards, total=state.of, completed=state.shards)
        self.bar.update(self._shards, completed=state.shards)
        in_parts = state.phase in (PARTS, MERGING)
        self.bar.update(
            self._line,
            description=self._done(state),
            total=state.parts_of if in_parts else state.of,
            completed=state.parts if in_parts else state.shards,
            facts="  ".join(self._facts(state)),
        )

    def plain(self, state: State) -> str:
        """Return a line for a log. It ends in the seconds since the start."""
        self.update(state)
        facts = [f"{state.shards:,} of {counted(state.of, 'shard')}", *self._facts(state)]
        if state.phase != SHARDS:
            facts.append(self._done(state))
        return ", ".join([*facts, f"{self._clock() - self._started:.0f} s"])

    def _done(self, state: State) -> str:
        if state.phase == SHARDS:
            return f"{state.shards:,} of {counted(state.of, 'shard')}"
        if state.phase == PARTS:
            return f"{state.parts:,} of {counted(state.parts_of, 'part')}"
        return DOING[state.phase]

    def _facts(self, state: State) -> list[str]:
        facts = [
            counted(state.samples, "sample"),
            terminal.readable(state.size),
            counted(state.errors, "error"),
        ]
        speed = self.bar.tasks[self._shards].speed
        if state.phase == SHARDS and speed and state.new_shards > LEAST_SHARDS:
            left = timedelta(seconds=round((state.of - state.shards) / speed))
            samples = speed * state.new_samples / state.new_shards
            facts.insert(1, f"{samples:,.0f}/s" if samples >= 10 else f"{samples:.1f}/s")
            facts.append(f"{left} left")
        return facts
