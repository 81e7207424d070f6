"""From what was found at some places of the input to all of it, with 95% intervals. Pure numbers.

Neighbours in Wikipedia are alike, so what counts is how much places differ, not articles.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

NORMAL = 1.96  # within so many standard deviations lie 95% of a normal distribution


class Interval(NamedTuple):
    """An estimate, and between what the truth lies with 95% confidence."""

    estimate: float = 0.0
    low: float = 0.0
    high: float = 0.0

    def __add__(self, other: Interval | float) -> Interval:  # type: ignore[override]
        """Add a number, or another estimate that is wrong in the same direction if it is."""
        ends = other if isinstance(other, Interval) else (other,) * 3
        return Interval(*(a + b for a, b in zip(self, ends, strict=True)))

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


def around(estimate: float, margin: float) -> Interval:
    """Return an estimate of something that is never less than nothing."""
    return Interval(estimate, max(estimate - margin, 0.0), estimate + margin)


def total(parts: Sequence[float], unseen: float) -> Interval:
    """Return a total from what each place adds to it; `unseen` is the share not looked at."""
    return around(sum(parts), _margin(np.asarray(parts), unseen))


def ratio(parts: Sequence[float], units: Sequence[float], unseen: float) -> Interval:
    """Return how much there is for each unit, where each place has some of both."""
    estimate = sum(parts) / sum(units)
    differences = np.asarray(parts) - estimate * np.asarray(units)
    return around(estimate, _margin(differences, unseen) / sum(units))


def _margin(parts: np.ndarray, unseen: float) -> float:
    freedom = len(parts) - 1
    if unseen <= 0 or freedom < 0:
        return 0.0
    if freedom == 0:  # nothing is known of how much places differ
        return abs(float(parts[0]))
    student = NORMAL + (NORMAL**3 + NORMAL) / (4 * freedom)
    student += (5 * NORMAL**5 + 16 * NORMAL**3 + 3 * NORMAL) / (96 * freedom**2)
    return student * math.sqrt(len(parts) * float(np.var(parts, ddof=1)) * unseen)
