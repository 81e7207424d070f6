"""How long a run takes on this machine, from what its steps took for the sample.

Steps are timed by the work of this process alone, so the estimate is that of a machine which has
nothing else to do. If it is busy now, the upper end is how long it takes if that goes on.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from pipeline.estimate.clock import Clock
from pipeline.estimate.drawing import DRAW
from pipeline.estimate.forecast import ROWS, SAMPLES, Range, Totals
from pipeline.estimate.measure import READ, TOKENIZE

# Measured by benchmarks.pipeline and benchmarks.split, see benchmarks/RESULTS.md: the samples a
# second of one and of two workers, over what they would do if they did nothing but make pages;
# seconds until workers are up, and for the report; and of the split of 1.5 million samples, before
# it is written.
ALONE, TOGETHER = 0.97, 0.84
START_SECONDS, REPORT_SECONDS = 5.7, 3.0
SPLIT_SECONDS = 13.3 / 1_508_000  # a sample
WANDER = 0.2  # "times there wander by a fifth or so"
COPIED = 150e6  # bytes a second of lines that are merged, on a disk of no great speed
CPUS = Path("/sys/devices/system/cpu")


class Machine(NamedTuple):
    """Processors that a process may use: all, and those that are not a second thread of another.

    others: how many other processes want one, on average over the last minute.
    """

    cpus: int
    cores: int
    others: float = 0.0


class Rates(NamedTuple):
    """Seconds a decoded row, a row to tokenize, and a sample; `busy` by the clock for each."""

    decode: float
    tokenize: float
    sample: float
    busy: float


def machine() -> Machine:
    """Return what this machine has."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    siblings = set()
    for cpu in allowed:
        try:
            listed = (CPUS / f"cpu{cpu}/topology/thread_siblings_list").read_text("ascii")
        except OSError:  # not Linux, or no such file in this container
            listed = str(cpu)
        siblings.add(listed.strip())
    cpus = len(allowed) or os.cpu_count() or 1
    others = max(os.getloadavg()[0] - 1, 0.0)  # this process is one of those counted
    return Machine(cpus, len(siblings) or cpus, others)


def rates(clock: Clock, decoded: int, rows: int, drawing: Clock, samples: int) -> Rates:
    """Return what steps take, from what they took for so many rows and samples."""
    own = clock.worked + drawing.worked
    busy = (clock.wall + drawing.wall) / own if own else 1.0
    return Rates(
        clock.own[READ] / max(decoded, 1),
        clock.own[TOKENIZE] / max(rows, 1),
        drawing.own[DRAW] / max(samples, 1),
        max(busy, 1.0),
    )


def around(samples: float, copied: float, report: bool) -> float:
    """Return the seconds before and after the work on shards.

    Args:
      copied: bytes of lines that are written once more, to the split and to whole files.
    """
    after = samples * SPLIT_SECONDS + copied / COPIED
    return START_SECONDS + after + (REPORT_SECONDS if report else 0)


def seconds(
    totals: Totals, found: Rates, decoded: int, alone: float, workers: int, on: Machine
) -> Range:
    """Return how long a run takes, in seconds.

    Args:
      decoded: rows that all shards decode, from the beginning of their row groups.
      alone: seconds `around` that.
    """
    work = Range.of(
        decoded * found.decode + totals[ROWS] * found.tokenize + totals[SAMPLES] * found.sample
    )
    # More workers than processors help nobody; how much second threads do is not known.
    at_best, at_worst = min(workers, on.cpus), min(workers, on.cores)
    efficiency = ALONE if workers == 1 else TOGETHER
    disturbed = max(found.busy, (on.others + at_best) / on.cpus)

    return Range(
        alone + work.estimate / (at_worst * efficiency),
        (alone + work.low / (at_best * ALONE)) * (1 - WANDER),
        (alone + work.high / (at_worst * efficiency)) * (1 + WANDER) * disturbed,
    )
