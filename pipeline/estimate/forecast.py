"""From what was found in clusters to the whole input, with the uncertainty. Pure numbers.

Neighbours in Wikipedia are alike, so what counts is how much clusters differ, not articles: they
are drawn again and again from those that were looked at, and each such draw gives all totals anew
(bootstrap; Rao and Wu's weights take off what was looked at of the whole). Stretches of the input
differ too, which this counts as chance: the intervals are rather too wide.

Each cluster is looked at twice. All its articles are counted; of the samples that they give only
some are drawn, so what is known of these is a ratio: bytes a sample, by the samples there are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

DRAWS = 400
NORMAL = 1.96  # within so many standard deviations lie 95% of a normal distribution
ROWS, SAMPLES, DRAWN = "rows", "samples", "drawn"

Values = npt.NDArray[np.float64]  # the estimate first, then what each of the draws gives
Totals = dict[str, Values]
Sums = Mapping[str, float]
Weighed = tuple[float, Sums]  # for how much of the input a cluster stands, and what was found in it


class Range(NamedTuple):
    """An estimate, and between what the truth lies with 95% confidence."""

    estimate: float
    low: float
    high: float

    @property
    def exact(self) -> bool:
        """Whether nothing about it is uncertain."""
        return self.low == self.high

    @classmethod
    def of(cls, values: Values) -> Range:
        """Return what the values of an estimate and of its draws come to; never below nothing."""
        low, high = np.quantile(values[1:], [0.025, 0.975])
        ordered = sorted([float(low), float(high), float(values[0])])
        return cls(*(max(value, 0.0) for value in (float(values[0]), ordered[0], ordered[-1])))


def totals(
    counted: Sequence[Weighed], drawn: Sequence[Weighed], whole: bool, share: float, seed: int
) -> Totals:
    """Return the totals over the whole input of everything that was counted or drawn.

    Args:
      counted: by cluster, with `rows` and `samples`.
      drawn: of the samples that were drawn, with their number as `drawn`; where the input is read
        as a `whole` by article, else by the same clusters.
      share: how much of the input was read.
    """
    first = _draws(len(counted), seed)
    if whole:
        counts = _sums(counted, np.ones_like(first))
    else:
        counts = _sums(counted, _rescaled(first, 1 - share))
    for name in (ROWS, SAMPLES):  # without any input there are none
        counts.setdefault(name, np.zeros(DRAWS + 1))
    samples = counts[SAMPLES]
    number = sum(sums.get(DRAWN, 0) for _, sums in drawn)
    if not number:
        return counts
    second = _draws(len(drawn), seed) if whole else first
    left = 1 - number / max(float(samples[0]), number)
    pages = _sums(drawn, _rescaled(second, left))
    of = pages.pop(DRAWN)
    known = of > 0  # a draw may have none of the few clusters with samples
    for name, values in pages.items():
        ratio = np.full_like(values, values[0] / of[0])
        np.divide(values, of, out=ratio, where=known)
        counts[name] = ratio * samples if left or not whole else values
    return counts


def with_finished(all_rows: Totals, finished: Sums, having: Mapping[str, float]) -> Totals:
    """Return the totals where a part of the input is known for certain, from an earlier run.

    Args:
      finished: of that part `rows`, `samples`, and whatever else is known; the rest is in
        proportion to its samples.
      having: of what is known of only some of these samples, of how many.
    """
    samples = all_rows[SAMPLES]
    part = 1 - finished[ROWS] / all_rows[ROWS][0]
    found = {}
    for name, values in all_rows.items():
        if name in (ROWS, SAMPLES):
            known, open_samples = finished[name], 0.0
        else:
            known = finished.get(name, 0.0)
            open_samples = finished[SAMPLES] - having.get(name, 0.0)
        ratio = np.divide(values, samples, out=np.zeros_like(values), where=samples > 0)
        found[name] = known + open_samples * ratio + part * values
    return found


def at_most(clusters: int, whole: bool) -> float:
    """Return the largest share of something that is in none of the clusters (rule of three)."""
    return 0.0 if whole else min(1.0, 3 / clusters)


def _draws(units: int, seed: int) -> Values:
    """Return how often each unit counts: once in the estimate, at random in each draw."""
    chance = np.random.default_rng(seed)
    counts = np.ones((DRAWS + 1, units))
    if units:
        counts[1:] = chance.multinomial(units, np.full(units, 1 / units), size=DRAWS)
    return counts


def _rescaled(counts: Values, left: float) -> Values:
    """Let draws differ from the estimate as much as the estimate from the truth.

    Args:
      left: the share of all that was not looked at; without it nothing is uncertain.
    """
    freedom = counts.shape[1] - 1
    if freedom < 1:
        return counts
    student = NORMAL + (NORMAL**3 + NORMAL) / (4 * freedom)
    student += (5 * NORMAL**5 + 16 * NORMAL**3 + 3 * NORMAL) / (96 * freedom**2)
    widening = (freedom + 1) / freedom * max(left, 0.0)
    return 1 + (counts - 1) * (student / NORMAL) * math.sqrt(widening)


def _sums(units: Sequence[Weighed], counts: Values) -> Totals:
    names: Iterable[str] = dict.fromkeys(name for _, sums in units for name in sums)
    found = {}
    for name in names:
        values = np.array([weight * sums.get(name, 0.0) for weight, sums in units])
        found[name] = counts @ values
    return found
