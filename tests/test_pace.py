"""Speed and time left, by a clock that the test sets."""

import pytest

from pipeline.ledger import State
from pipeline.pace import WINDOW, Pace, Speed


def at(new: int, earlier: int = 0, of: int = 100) -> State:
    """The state after `new` shards of 50 samples of this run, and some of an earlier one."""
    return State(new + earlier, of, 50 * (new + earlier), new_shards=new, new_samples=50 * new)


def speeds(*seen: tuple[float, State]) -> list[Speed]:
    pace = Pace()
    return [pace.speed(time, state) for time, state in seen]


def test_there_is_no_speed_until_it_is_worth_showing() -> None:
    found = speeds((0, at(0)), (20, at(1)), (21, at(4)), (24, at(6)), (25, at(7)), (28, at(8)))
    assert found[:4] == [Speed()] * 4  # in less than 5 seconds
    assert found[4] == Speed(6 * 50 / 5, 93 * 5 / 6)
    assert found[5] == Speed(7 * 50 / 8, 92 * 8 / 7)


def test_there_is_no_speed_before_three_more_shards() -> None:
    found = speeds((0, at(0)), (100, at(1)), (200, at(3)), (300, at(4)))
    assert found == [Speed()] * 3 + [Speed(3 * 50 / 200, 96 * 200 / 3)]


def test_the_start_of_the_workers_does_not_count() -> None:
    quick = speeds((0, at(0)), (10, at(1)), (20, at(11)))
    slow = speeds((0, at(0)), (90, at(1)), (100, at(11)))
    assert quick == slow == [Speed(), Speed(), Speed(50, 89)]


def test_shards_of_an_earlier_run_count_as_done_and_not_for_the_speed() -> None:
    found = speeds((0, at(0, 80)), (10, at(1, 80)), (20, at(11, 80)))
    assert found[-1] == Speed(50, 9)


def test_the_speed_is_that_of_the_last_minutes() -> None:
    pace = Pace()
    for second in range(1000):
        pace.speed(second, at(second, of=3000))
    for second in range(1000, 1000 + int(WINDOW) + 1, 10):
        found = pace.speed(second, at(1000 + (second - 1000) // 10, of=3000))
    assert found == Speed(pytest.approx(5, rel=0.05), pytest.approx(19700, rel=0.05))


def test_a_job_that_stands_still_becomes_slower() -> None:
    found = speeds((0, at(1)), (10, at(11)), (20, at(11)), (1000, at(11)))
    assert [speed.samples for speed in found] == [None, 50, 25, 0.5]


def test_when_all_shards_are_done_nothing_is_left() -> None:
    assert speeds((0, at(1)), (10, at(100)))[-1] == Speed()


def test_removed_receipts_begin_a_new_count() -> None:
    found = speeds((0, at(1)), (10, at(11)), (20, at(2)), (30, at(12)))
    assert found[2:] == [Speed(), Speed(50, 88)]
