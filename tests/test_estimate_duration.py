import numpy as np
import pytest

from pipeline.estimate.clock import Clock
from pipeline.estimate.drawing import DRAW
from pipeline.estimate.duration import (
    REPORT_SECONDS,
    START_SECONDS,
    Machine,
    Rates,
    around,
    machine,
    rates,
    seconds,
)
from pipeline.estimate.measure import READ, TOKENIZE


def clock(wall: float, **own: float) -> Clock:
    made = Clock()
    made.own.update(own)
    made.wall = wall
    return made


def test_rates_are_of_this_process_alone() -> None:
    found = rates(clock(9.0, **{READ: 2.0, TOKENIZE: 4.0}), 400, 100, clock(9.0, **{DRAW: 3.0}), 10)
    assert found == Rates(0.005, 0.04, 0.3, 2.0)


def test_nothing_measured_takes_no_time() -> None:
    assert rates(Clock(), 0, 0, Clock(), 0) == Rates(0, 0, 0, 1.0)


ROWS = {"rows": np.full(4, 1000.0), "samples": np.array([100.0, 90.0, 100.0, 110.0])}
ALL = Rates(decode=0.01, tokenize=0.02, sample=0.5, busy=1.0)


@pytest.mark.parametrize(
    ("workers", "on", "estimate"),
    [
        (1, Machine(2, 2), 10 + 100 / 0.97),
        (2, Machine(2, 2), 10 + 100 / (2 * 0.84)),
        (8, Machine(8, 4), 10 + 100 / (4 * 0.84)),  # second threads of a core are no cores
        (8, Machine(2, 2), 10 + 100 / (2 * 0.84)),
    ],
)
def test_the_work_is_shared_by_the_cores_there_are(
    workers: int, on: Machine, estimate: float
) -> None:
    found = seconds(ROWS, ALL, 3000, 10.0, workers, on)
    assert found.estimate == pytest.approx(estimate)
    assert found.low < 0.85 * estimate
    assert found.high > 1.15 * estimate


def test_second_threads_may_be_as_good_as_cores() -> None:
    hyper, plain = (seconds(ROWS, ALL, 3000, 10.0, 8, Machine(8, cores)) for cores in (4, 8))
    assert hyper.low == plain.low
    assert hyper.high > 1.5 * plain.high


def test_a_machine_that_is_busy_makes_the_upper_end_later() -> None:
    idle, busy = (
        seconds(ROWS, ALL._replace(busy=busy), 3000, 10.0, 2, Machine(2, 2)) for busy in (1.0, 3.0)
    )
    assert (idle.low, idle.estimate) == (busy.low, busy.estimate)
    assert busy.high == pytest.approx(3 * idle.high)


def test_other_work_takes_its_share() -> None:
    alone, shared, spare = (
        seconds(ROWS, ALL, 3000, 10.0, 2, Machine(cpus, 2, others))
        for cpus, others in ((2, 0.0), (2, 4.0), (8, 4.0))
    )
    assert shared[:2] == alone[:2]
    assert shared.high == pytest.approx(3 * alone.high)
    assert spare.high == pytest.approx(alone.high)


def test_what_is_around_the_shards() -> None:
    assert around(0, 0, report=False) == START_SECONDS
    assert around(0, 0, report=True) == START_SECONDS + REPORT_SECONDS
    assert around(1_508_000, 0, report=False) == pytest.approx(START_SECONDS + 13.3)
    assert around(0, 36e9, report=False) == pytest.approx(START_SECONDS + 240)


def test_this_machine_has_no_more_cores_than_processors() -> None:
    assert 1 <= machine().cores <= machine().cpus


def test_a_clock_counts_by_step_and_clocks_add_up() -> None:
    both, other = Clock(), Clock()
    for each, step in ((both, "a"), (other, "a"), (other, "b")):
        with each.timed(step):
            sum(range(1000))
    both.add(other)
    assert set(both.own) == {"a", "b"}
    assert both.own["b"] == other.own["b"]
    assert both.worked == pytest.approx(both.own["a"] + both.own["b"])
    assert both.wall > other.wall > 0
