"""The report's charts as numbers: where bars and ticks stand in a drawing of SVG.

Nothing rests on colour: a mode is a row with its name, a share is a bar with its number.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

# In units of the drawing, which a phone shows as pixels: so its text can be read there.
WIDTH, LEFT, RIGHT = 320, 30, 8
BARS, ROW, AXIS = 40, 64, 34  # heights: of bars, of a row with its name, of what is below all rows
MOST_BINS, MOST_TICKS = 30, 7
LABELLED = 0.7  # of a row's height is for bars where numbers stand above them
MISSING_GROUPS = (("0", 0), ("1", 1), ("2–3", 3), ("4–7", 7), ("8–31", 31), ("32+", math.inf))


class Bar(NamedTuple):
    """A bar, from the row's ground up, and what stands above it."""

    x: float
    width: float
    height: float
    label: str = ""


class Row(NamedTuple):
    """Bars side by side; `top` names the height of `top_height`, and `note` says more of them."""

    name: str
    note: str
    bars: list[Bar]
    top: str
    top_height: float


class Chart(NamedTuple):
    """Rows of bars, one below another over one axis whose ticks are (x, label)."""

    rows: list[Row]
    ticks: list[tuple[float, str]]
    axis: str

    @property
    def height(self) -> int:
        """The height of the drawing."""
        return ROW * len(self.rows) + AXIS


def histogram(values: Counter[Any], edges: Sequence[float]) -> list[float]:
    """Return the share of values, in percent, from each edge up to the next.

    >>> histogram(Counter({1: 3, 2: 1}), [1, 2, 3])
    [75.0, 25.0]
    """
    heights = [0.0] * (len(edges) - 1)
    total = values.total()
    for value, n in values.items():
        below = sum(edge <= value for edge in edges)
        heights[min(max(below, 1), len(heights)) - 1] += 100 * n / total
    return heights


def even_edges(low: float, high: float, whole: bool) -> list[float]:
    """Return edges of at most 30 bins of one width.

    Args:
      whole: whether values are whole numbers, which then stand in the middle of a bin.
    """
    if whole:
        step = math.ceil((high - low + 1) / MOST_BINS)
        return [low - 0.5 + step * n for n in range(math.ceil((high - low + 1) / step) + 1)]
    width = (high - low) / MOST_BINS or 1.0
    return [low + width * n for n in range(MOST_BINS + 1)]


def doubling_edges(low: float, high: float, steps: int = 4) -> list[float]:
    """Return edges of bins, `steps` of them for each doubling."""
    first, last = (math.floor(steps * math.log2(max(value, 1))) for value in (low, high))
    return [2 ** (n / steps) for n in range(first, last + 2)]


def distribution(
    by_name: Mapping[str, Counter[Any]], notes: Mapping[str, str], axis: str, scale: str = "whole"
) -> Chart | None:
    """Return how values are spread, by name; None where there are none.

    Args:
      scale: of values, "whole" numbers, "linear" or "log".
    """
    every = set().union(*by_name.values())
    if not every:
        return None
    ends = min(every), max(every)
    edges = doubling_edges(*ends) if scale == "log" else even_edges(*ends, scale == "whole")
    place = math.log if scale == "log" else float
    first, last = place(edges[0]), place(edges[-1])

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (place(value) - first) / (last - first)

    rows = []
    for name, values in by_name.items():
        if not values:
            continue
        shares = histogram(values, edges)
        highest = max(shares)
        bars = [
            Bar(x(a), x(b) - x(a), BARS * share / highest)
            for a, b, share in zip(edges, edges[1:], shares, strict=False)
        ]
        rows.append(Row(name, notes[name], bars, f"{highest:.0f}%", BARS))
    found = _powers(edges) if scale == "log" else _steps(edges, scale == "whole")
    return Chart(rows, [(x(value), f"{value:,.10g}") for value in found], axis)


def shares(by_name: Mapping[str, Mapping[str, float]], axis: str) -> Chart | None:
    """Return shares in percent, each with its name below and its number above."""
    if not by_name:
        return None
    groups = list(next(iter(by_name.values())))
    step = (WIDTH - LEFT - RIGHT) / len(groups)
    rows = []
    for name, values in by_name.items():
        bars = [
            Bar(LEFT + step * (n + 0.1), step * 0.8, LABELLED * BARS * value / 100, _label(value))
            for n, value in enumerate(values.values())
        ]
        rows.append(Row(name, "", bars, "100%", LABELLED * BARS))
    ticks = [(LEFT + step * (n + 0.5), group) for n, group in enumerate(groups)]
    return Chart(rows, ticks, axis)


def missing_groups(values: Counter[int]) -> dict[str, float]:
    """Return the share of pages, in percent, in each group of counts of missing glyphs."""
    found, total = dict.fromkeys((name for name, _ in MISSING_GROUPS), 0.0), values.total()
    for value, n in values.items():
        found[next(name for name, most in MISSING_GROUPS if value <= most)] += 100 * n / total
    return found


def _label(value: float) -> str:
    return f"{value:.0f}" if value >= 1 else "<1" if value else ""


def _steps(edges: Sequence[float], whole: bool) -> Iterator[float]:
    """Yield round numbers within the edges, as far apart as a person counts."""
    raw = (edges[-1] - edges[0]) / MOST_TICKS
    power = 10 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)
    step = max(step, 1) if whole else step
    for n in range(math.ceil(edges[0] / step), math.floor(edges[-1] / step) + 1):
        yield n * step


def _powers(edges: Sequence[float]) -> Iterator[float]:
    for power in range(math.ceil(math.log10(edges[-1])) + 1):
        yield from (f * 10**power for f in (1, 2, 5) if edges[0] <= f * 10**power <= edges[-1])
