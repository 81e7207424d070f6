"""A job's state as a line: at a terminal of any width, and in a log."""

import io

import pytest
from rich.console import Console

from pipeline.ledger import State
from pipeline.liveline import LiveLine, plain_line, time_left
from pipeline.pace import Speed

BEGUN = State(0, 40)
SOME = State(12, 40, 1234, 4936, 300_000_000, 0, 12, 1234)
MANY = State(12_345, 26_000, 1_234_567, 4_938_268, 312_500_000_000, 0, 100, 100)
FAULTY = State(12, 40, 1234, 4936, 300_000_000, 1_002, 12, 1234)
ALL = State(40, 40, 4000, 16_000, 1_000_000_000, 1, 28, 1234)
IN_PARTS = State(40, 40, 4000, 16_000, 1_000_000_000, 0, 28, 1234, 2, 25, 2)
MERGED = State(40, 40, 4000, 16_000, 1_000_000_000, 0, 28, 1234, 25, 25, 2)
AGAIN = State(40, 40, 4000, 16_000, 1_000_000_000)
FAST, SLOW = Speed(68.4, 250), Speed(0.25, 25_000)
CASES = [
    (BEGUN, Speed()), (SOME, Speed()), (SOME, FAST), (MANY, FAST), (MANY, SLOW), (FAULTY, SLOW),
    (ALL, Speed()), (IN_PARTS, Speed()), (MERGED, Speed()), (AGAIN, Speed()),
]  # fmt: skip


DONE = "40 of 40 shards, 4,000 samples, 1.0 GB, 0 errors"


@pytest.mark.parametrize(
    ("state", "speed", "line"),
    [
        (BEGUN, Speed(), "0 of 40 shards, 0 samples, 0 bytes, 0 errors, 61 s"),
        (SOME, FAST, "12 of 40 shards, 1,234 samples, 68/s, 300.0 MB, 0 errors, 4 min left, 61 s"),
        (MANY, SLOW, "12,345 of 26,000 shards, 1,234,567 samples, 0.2/s, 312.5 GB, 0 errors, "
         "6 h 57 min left, 61 s"),
        (ALL, Speed(), "40 of 40 shards, 4,000 samples, 1.0 GB, 1 error, planning the split, 61 s"),
        (IN_PARTS, Speed(), f"{DONE}, 2 of 25 parts, 61 s"),
        (MERGED, Speed(), f"{DONE}, merging, 61 s"),
        (AGAIN, Speed(), f"{DONE}, checking what is there, 61 s"),
    ],
)  # fmt: skip
def test_a_line_for_a_log(state: State, speed: Speed, line: str) -> None:
    assert plain_line(state, speed, 61.4) == line


def rendered(state: State, speed: Speed, width: int, **how: object) -> str:
    """What a terminal of this width is told."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=width, **how)  # type: ignore[arg-type]
    console.print(LiveLine(state, speed), end="")
    return file.getvalue()


def shown(state: State, speed: Speed, width: int) -> str:
    """What is seen there, the bar as one character."""
    text = rendered(state, speed, width, color_system=None)
    before, bar, after = text.partition("━")
    return before + bar + after.lstrip("━╸╺")


@pytest.mark.parametrize(
    ("state", "speed", "width", "line"),
    [
        (BEGUN, Speed(), 80, "0 of 40 shards  ━  0 samples  0 bytes  0 errors"),
        (SOME, FAST, 80, "12 of 40 shards  ━  1,234 samples  68/s  300.0 MB  0 errors  4 min left"),
        (SOME, FAST, 40, "12/40 shards  1,234 samples  4 min left"),
        (MANY, FAST, 120, "12,345 of 26,000 shards  ━  1,234,567 samples  68/s  312.5 GB  "
         "0 errors  4 min left"),
        (MANY, SLOW, 80, "12,345 of 26,000 shards  ━  1,234,567 samples  0.2/s  6 h 57 min left"),
        (MANY, SLOW, 40, "12,345/26,000 shards  6 h 57 min left"),
        (FAULTY, SLOW, 80, "12 of 40 shards  ━  1,234 samples  0.2/s  1,002 errors  "
         "6 h 57 min left"),
        (FAULTY, SLOW, 40, "12/40 shards  ━  1,002 errors"),
        (IN_PARTS, Speed(), 80, "2 of 25 parts  ━  4,000 samples  1.0 GB  0 errors"),
        (AGAIN, Speed(), 40, "checking what is there  4,000 samples"),
        (MERGED, Speed(), 80, "merging  ━  4,000 samples  1.0 GB  0 errors"),
        (MANY, SLOW, 10, "12,345/26"),
    ],
)  # fmt: skip
def test_what_matters_most_is_shown_where_not_all_fits(
    state: State, speed: Speed, width: int, line: str
) -> None:
    assert shown(state, speed, width) == line


@pytest.mark.parametrize("width", [20, 40, 60, 79, 80, 100, 200])
def test_the_line_never_wraps(width: int) -> None:
    for state, speed in CASES:
        text = rendered(state, speed, width, color_system=None)
        assert 0 < len(text) < width
        assert "\n" not in text


@pytest.mark.parametrize("width", [40, 80])
def test_the_bar_tells_how_much_is_done(width: int) -> None:
    def bar(shards: int) -> int:
        return rendered(State(shards, 40, new_shards=1), Speed(), width, color_system=None).count(
            "━"
        )

    assert 0 < bar(10) < bar(20) < bar(40 - 1)


def test_colours_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[" in rendered(FAULTY, FAST, 80, color_system="standard")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in rendered(FAULTY, FAST, 80, color_system="standard")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "10 s left"), (4, "10 s left"), (44, "40 s left"), (54.9, "50 s left"),
        (55, "1 min left"), (89, "1 min left"), (95, "2 min left"), (3540, "59 min left"),
        (5400, "90 min left"), (6000, "1 h 40 min left"), (86_000, "23 h 53 min left"),
        (86_399, "1 d 0 h left"), (100_000, "1 d 4 h left"), (1_000_000, "11 d 14 h left"),
    ],
)  # fmt: skip
def test_time_left_is_as_exact_as_one_can_tell(seconds: float, text: str) -> None:
    assert time_left(seconds) == text
