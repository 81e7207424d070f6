"""How long steps took."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Clock:
    """Seconds that each step took of this process's own work, and all of them by the wall clock."""

    own: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    wall: float = 0.0

    @property
    def worked(self) -> float:
        """Own seconds of all steps."""
        return sum(self.own.values())

    def add(self, other: Clock) -> None:
        """Add another clock's seconds."""
        for step, seconds in other.own.items():
            self.own[step] += seconds
        self.wall += other.wall

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Count what is done meanwhile."""
        own, wall = time.process_time(), time.perf_counter()
        yield
        self.own[step] += time.process_time() - own
        self.wall += time.perf_counter() - wall
