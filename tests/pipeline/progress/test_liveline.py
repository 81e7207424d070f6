"""A job's state as a line: at a terminal of any width, and in a log."""

import io

import pytest
from rich.console import Console

from pipeline.progress import terminal
from pipeline.progress.counter import State
from pipeline.progress.liveline import JobLine

FAULTY = State(12, 40, 1234, 4936, 300_000_000, 1, 12, 1234)
ALL = State(40, 40, 4000, 16_000, 1_000_000_000, 0, 28, 1234)
IN_PARTS = State(40, 40, 4000, 16_000, 1_000_000_000, 0, 28, 1234, 2, 25, 2)
MERGED = State(40, 40, 4000, 16_000, 1_000_000_000, 0, 28, 1234, 25, 25, 2)
AGAIN = State(40, 40, 4000, 16_000, 1_000_000_000)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def told(line: JobLine, clock: Clock, *seen: tuple[float, State]) -> list[str]:
    """Return what a log is told at these times."""
    found = []
    for clock.now, state in seen:
        found.append(line.plain(state))
    return found


def at(new: int, earlier: int = 0) -> State:
    """The state after `new` shards of 50 samples of this run, and some of an earlier one."""
    done = new + earlier
    return State(done, 100, 50 * done, 200 * done, 0, 0, new, 50 * new)


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (State(0, 40), "0 of 40 shards, 0 samples, 0 bytes, 0 errors, 61 s"),
        (FAULTY, "12 of 40 shards, 1,234 samples, 300.0 MB, 1 error, 61 s"),
        (ALL, "40 of 40 shards, 4,000 samples, 1.0 GB, 0 errors, planning the split, 61 s"),
        (IN_PARTS, "40 of 40 shards, 4,000 samples, 1.0 GB, 0 errors, 2 of 25 parts, 61 s"),
        (MERGED, "40 of 40 shards, 4,000 samples, 1.0 GB, 0 errors, merging, 61 s"),
        (AGAIN, "40 of 40 shards, 4,000 samples, 1.0 GB, 0 errors, checking what is there, 61 s"),
    ],
)
def test_a_line_for_a_log(state: State, line: str) -> None:
    clock = Clock()
    assert told(JobLine(40, clock), clock, (61.4, state)) == [line]


def test_the_speed_is_that_of_this_run_since_its_first_shard() -> None:
    clock = Clock()
    fresh = told(JobLine(100, clock), clock, (0, at(0)), (80, at(1)), (90, at(5)), (100, at(15)))
    assert fresh[0] == "0 of 100 shards, 0 samples, 0 bytes, 0 errors, 0 s"
    assert fresh[-1] == (
        "15 of 100 shards, 750 samples, 50/s, 0 bytes, 0 errors, 0:01:25 left, 100 s"
    )
    clock.now = 0.0
    resumed = told(
        JobLine(100, clock),
        clock,
        (0, at(0, 80)),
        (80, at(1, 80)),
        (90, at(5, 80)),
        (100, at(15, 80)),
    )
    assert resumed[-1] == (
        "95 of 100 shards, 4,750 samples, 50/s, 0 bytes, 0 errors, 0:00:05 left, 100 s"
    )


def test_removed_receipts_begin_a_new_count() -> None:
    clock = Clock()
    seen = [(0.0, at(1)), (10.0, at(21)), (20.0, at(4)), (30.0, at(8)), (40.0, at(18))]
    assert "50/s" in told(JobLine(100, clock), clock, *seen)[-1]


class Wide(Console):
    can_show = True


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 200])
@pytest.mark.parametrize("state", [State(0, 40), FAULTY, ALL, IN_PARTS, MERGED, AGAIN])
def test_the_line_at_a_terminal_never_wraps(
    monkeypatch: pytest.MonkeyPatch, width: int, state: State
) -> None:
    file = io.StringIO()
    shown = Wide(file=file, force_terminal=True, width=width, color_system=None)
    monkeypatch.setattr(terminal, "Terminal", lambda: shown)
    line = JobLine(40, Clock())
    line.update(state)
    shown.print(line.bar.get_renderable())
    (shown,) = file.getvalue().splitlines()
    assert 0 < len(shown) < width
    if width >= 80:
        assert f"{state.samples:,} samples" in shown
        assert ("━" in shown) == bool(state.shards)
