"""The plot of compression against error as numbers: a line for each style, a mark for each mode.

Nothing rests on colour: lines differ in their dashes and have a number at an end, marks in shape.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import count, takewhile
from typing import NamedTuple

from pipeline.report.charts import WIDTH
from pipeline.report.legibility.readings import Legibility

LEFT, RIGHT, TOP, HEIGHT = 36, 18, 24, 200  # around and of the field of points
BELOW, ENTRY = 44, 15  # heights: of the axis with its name, of a line of the legend
LEAST = 0.001  # error rates below share its place, as none has one on a scale of powers
DASHES = ("", "6 3", "2 2", "8 2 2 2", "12 4", "4 4 1 4")
COLOURS = ("#2f7ec2", "#c8611a", "#1f9070", "#a860b0", "#8a7a20", "#c0506a")  # on white and black
SHAPES = (  # around a point
    "m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0z",
    "m-3.2-3.2h6.4v6.4h-6.4z",
    "m0-4.4l4.2 7.2h-8.4z",
    "m0-4.6l4.6 4.6l-4.6 4.6l-4.6-4.6z",
    "m0 4.4l4.2-7.2h-8.4z",
    "m-1.3-4h2.6v2.7h2.7v2.6h-2.7v2.7h-2.6v-2.7h-2.7v-2.6h2.7z",
)


class Mark(NamedTuple):
    """One style at one mode."""

    x: float
    y: float
    shape: str
    title: str


class Line(NamedTuple):
    """One style; its number stands at its last mark."""

    number: int
    name: str
    colour: str
    dash: str
    marks: list[Mark]


class Plot(NamedTuple):
    """Lines over two axes, whose ticks are (place, label); of each mode its shape and name."""

    lines: list[Line]
    modes: list[tuple[str, str]]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]

    @property
    def ground(self) -> int:
        """Where the axis of ratios lies."""
        return TOP + HEIGHT

    @property
    def height(self) -> int:
        """The height of the drawing."""
        return self.ground + BELOW + ENTRY * max(len(self.lines), len(self.modes))


def plot(found: Iterable[Legibility]) -> Plot | None:
    """Return the mean error rate over the ratio, both by powers; None where no mode has a ratio."""
    points = [(of, of.ratio) for of in found if of.ratio]
    if not points:
        return None
    ratios, errors = [ratio for _, ratio in points], [max(of.mean, LEAST) for of, _ in points]
    low, high = min(ratios) / 1.15, max(ratios) * 1.15
    floor, top = _power_below(min(errors)), max(1.0, *errors)

    def x(ratio: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(ratio / low) / math.log(high / low)

    def y(error: float) -> float:
        return TOP + HEIGHT * math.log(top / max(error, floor)) / math.log(top / floor)

    modes = list(dict.fromkeys(of.mode for of, _ in points))
    lines = []
    for number, style in enumerate(dict.fromkeys(of.style for of, _ in points)):
        marks = [
            Mark(x(ratio), y(of.mean), _of(SHAPES, modes.index(of.mode)), _said(of, ratio))
            for of, ratio in sorted(points, key=lambda point: point[1])
            if of.style == style
        ]
        lines.append(Line(number + 1, style, _of(COLOURS, number), _of(DASHES, number), marks))
    shapes = [(_of(SHAPES, number), mode) for number, mode in enumerate(modes)]
    powers = takewhile(lambda error: error <= top, (floor * 10**n for n in count()))
    y_ticks = [(y(error), f"{100 * error:.3g}%") for error in powers]
    return Plot(lines, shapes, [(x(r), f"{r:g}") for r in _rounds(low, high)], y_ticks)


def _of(choice: Sequence[str], number: int) -> str:
    return choice[number % len(choice)]


def _said(of: Legibility, ratio: float) -> str:
    return f"{of.style}, {of.mode}: ratio {ratio:.1f}, error {100 * of.mean:.1f}%"


def _power_below(error: float) -> float:
    return min(0.1, float(10 ** math.floor(math.log10(error) + 1e-9)))


def _rounds(low: float, high: float) -> list[float]:
    """Return doublings within bounds, or where these are close whatever has two digits."""
    doublings = [2.0**n for n in range(-8, 20) if low <= 2.0**n <= high]
    return doublings if len(doublings) > 1 else [float(f"{(low * high) ** 0.5:.2g}")]
