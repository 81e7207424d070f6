"""From what was found at some places of the input to all of it, with 95% intervals. Pure numbers.

Neighbours in Wikipedia are alike, so what counts is how much places differ, not articles.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

NORMAL = 1.96  # within so many standard deviations lie 95% of a normal distribution


class Interval(NamedTuple):
    """An estimate, and between what the truth lies with 95% confidence."""

    estimate: float = 0.0
    low: float = 0.0
    high: float = 0.0

    def __add__(self, other: Interval) -> Interval:  # type: ignore[override]
        """Add another estimate that is wrong in the same direction if it is."""
        return Interval(*(a + b for a, b in zip(self, other, strict=True)))

    def __mul__(self, factor: Interval | float) -> Interval:  # type: ignore[override]
        """Multiply by a number, or by an estimate that does not depend on this one."""
        if not isinstance(factor, Interval):
            return Interval(*(value * factor for value in self))
        estimate = self.estimate * factor.estimate
        return around(estimate, estimate * math.hypot(self.uncertain, factor.uncertain))

    @property
    def uncertain(self) -> float:
        """How far the upper end is from the estimate, as a share of that."""
        return (self.high - self.estimate) / self.estimate if self.estimate else 0.0

    def whole(self) -> dict[str, int]:
        """Return it in whole numbers."""
        return {name: round(value) for name, value in self._asdict().items()}


def around(estimate: float, margin: float = 0.0) -> Interval:
    """Return an estimate of something that is never less than nothing."""
    return Interval(estimate, max(estimate - margin, 0.0), estimate + margin)


class Place(NamedTuple):
    """What was found at a place, by name, and how many times that counts."""

    weight: float
    found: Counter[str]


def ratios(places: Sequence[Place], unit: str, unseen: float) -> dict[str, Interval]:
    """Return how much there is of everything for each `unit`.

    Args:
      unseen: the share of all units not looked at.
    """
    names = dict.fromkeys(name for place in places for name in place.found)
    parts = {name: [weight * found[name] for weight, found in places] for name in names}
    return {name: ratio(parts[name], parts[unit], unseen) for name in names}


def ratio(parts: Sequence[float], units: Sequence[float], unseen: float) -> Interval:
    """Return how much there is for each unit, where each place has some of both."""
    estimate = sum(parts) / sum(units)
    freedom = len(parts) - 1
    if unseen <= 0:
        return around(estimate)
    if not freedom:  # nothing is known of how much places differ
        return around(estimate, estimate)
    student = NORMAL + (NORMAL**3 + NORMAL) / (4 * freedom)
    student += (5 * NORMAL**5 + 16 * NORMAL**3 + 3 * NORMAL) / (96 * freedom**2)
    differences = np.asarray(parts) - estimate * np.asarray(units)
    deviation = math.sqrt(len(parts) * float(np.var(differences, ddof=1)) * unseen)
    return around(estimate, student * deviation / sum(units))
