"""A job's state as one line of text: a bar that fits the terminal, or plain words for a log."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.text import Text

from pipeline.ledger import CHECKING, MERGING, PARTS, SHARDS, SPLITTING, State
from pipeline.pace import Speed
from pipeline.progress import readable

GAP = "  "
LEAST_BAR, MOST_BAR = 10, 40  # columns, with the gap before it
NARROW = 60  # columns
BEHIND_BAR = 4  # the rank of facts that leave the bar its columns
MINUTE, HOUR, DAY = 60, 3600, 86400
DOING = {
    CHECKING: "checking what is there",
    SPLITTING: "planning the split",
    MERGING: "merging",
}


def time_left(seconds: float) -> str:
    """Return how long something will take, as exactly as one can tell: 40 s, 4 min, 1 h 10 min."""
    if seconds < MINUTE - 5:
        return f"{max(10, round(seconds, -1)):.0f} s left"
    minutes = round(seconds / MINUTE)
    if seconds < 99.5 * MINUTE:
        return f"{minutes} min left"
    if minutes < DAY // MINUTE:
        return f"{minutes // 60} h {minutes % 60} min left"
    hours = round(seconds / HOUR)
    return f"{hours // 24} d {hours % 24} h left"


def counted(number: int, what: str) -> str:
    """Return a number of things, e.g. 1,234 samples, or 1 error."""
    return f"{number:,} {what if number == 1 else f'{what}s'}"


def done(state: State, of: str = " of ") -> str:
    """Return what is done of what there is to do."""
    if state.phase == SHARDS:
        return f"{state.shards:,}{of}{counted(state.of, 'shard')}"
    if state.phase == PARTS:
        return f"{state.parts:,}{of}{counted(state.parts_of, 'part')}"
    return DOING[state.phase]


def plain_line(state: State, speed: Speed, seconds: float) -> str:
    """Return a line for a log. It ends in the seconds since the start."""
    facts = [
        f"{state.shards:,} of {counted(state.of, 'shard')}",
        counted(state.samples, "sample"),
        *([per_second(speed.samples)] if speed.samples is not None else []),
        readable(state.size),
        counted(state.errors, "error"),
        *([time_left(speed.left)] if speed.left is not None else []),
        *([done(state)] if state.phase != SHARDS else []),
        f"{seconds:.0f} s",
    ]
    return ", ".join(facts)


def per_second(rate: float) -> str:
    """Return samples a second, e.g. 68/s."""
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"


class Fact(NamedTuple):
    """A piece of the line; `rank` says which pieces go in first."""

    text: str
    rank: int
    style: str = ""


@dataclass(frozen=True)
class LiveLine:
    """The line at the bottom of a terminal. It never wraps: what matters less is left out."""

    state: State
    speed: Speed = field(default_factory=Speed)

    def facts(self) -> list[Fact]:
        """Return what could be told beside what is done, left to right."""
        state, (rate, left) = self.state, self.speed
        errors = counted(state.errors, "error")
        return [
            Fact(counted(state.samples, "sample"), 3),
            *([Fact(per_second(rate), 4)] if rate is not None else []),
            Fact(readable(state.size), 5),
            Fact(errors, 1, "red") if state.errors else Fact(errors, 6),
            *([Fact(time_left(left), 2, "cyan")] if left is not None else []),
        ]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render as many facts as fit, and a bar in what is left of the line."""
        width = options.max_width - 1  # some terminals go on below after the last column
        begin = done(self.state, " of " if width >= NARROW else "/")
        space, chosen = width - len(begin), set()
        for fact in sorted(self.facts(), key=lambda fact: fact.rank):
            needed = len(GAP + fact.text)
            if needed > space - (LEAST_BAR if fact.rank >= BEHIND_BAR else 0):
                break
            chosen.add(fact)
            space -= needed
        yield Text(begin[:width], end="", no_wrap=True)
        if (bar := min(space - len(GAP), MOST_BAR)) >= LEAST_BAR - len(GAP):
            yield Text(GAP, end="")
            yield from console.render(self._bar(), options.update(width=bar))
        for fact in self.facts():
            if fact in chosen:
                yield Text(GAP + fact.text, fact.style, end="")

    def _bar(self) -> ProgressBar:
        state = self.state
        if state.phase == SHARDS:
            return ProgressBar(state.of, state.shards, pulse=not state.shards)
        if state.phase == PARTS:
            return ProgressBar(state.parts_of, state.parts)
        return ProgressBar(pulse=True)
