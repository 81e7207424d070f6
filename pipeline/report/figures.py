"""The report's charts: SVG by Matplotlib that takes its colours from the page around it.

Nothing rests on colour: a mode is a row with its name, a share is a bar with its number.
"""

from __future__ import annotations

import io
import logging
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.report.markup import text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, ROW, GAP, MARGINS = (
    4.4,
    0.42,
    0.3,
    0.5,
)  # in inches: what a phone shows without shrinking the text
MOST_BINS = 30
LINEAR, WHOLE, LOG = "linear", "whole", "log"  # what stands on an axis
# What the drawing has in place of colours, and what the page knows them as.
INK, BAR, GRID = "#010203", "#040506", "#070809"
COLORS = {INK: "currentColor", BAR: "var(--bar)", GRID: "var(--grid)"}
STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: selectable, and in the page's own font
    "svg.hashsalt": "pagecast",  # without it ids are random
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
    "axes.edgecolor": GRID,
}


class Bars(NamedTuple):
    """Bars side by side: where each begins and ends, how high it is, and what is said of them."""

    edges: list[float]
    heights: list[float]
    note: str


def histogram(values: Counter[Any], edges: Sequence[float], note: str) -> Bars:
    """Return the share of values, in percent, from each edge up to the next.

    >>> histogram(Counter({1: 3, 2: 1}), [1, 2, 3], "").heights
    [75.0, 25.0]
    """
    heights = [0.0] * (len(edges) - 1)
    total = values.total()
    for value, n in values.items():
        below = sum(edge <= value for edge in edges)
        heights[min(max(below, 1), len(heights)) - 1] += 100 * n / total
    return Bars(list(edges), heights, note)


def even_edges(values: Counter[Any], whole: bool) -> list[float]:
    """Return edges of at most 30 bins of one width that hold all values.

    Args:
      whole: whether they are whole numbers, which then stand in the middle of a bin.
    """
    low, high = min(values), max(values)
    if whole:
        width = math.ceil((high - low + 1) / MOST_BINS)
        bins = math.ceil((high - low + 1) / width)
        return [low - 0.5 + width * n for n in range(bins + 1)]
    width = (high - low) / MOST_BINS or 1.0
    return [low + width * n for n in range(MOST_BINS + 1)]


def doubling_edges(values: Counter[Any], steps: int = 1) -> list[float]:
    """Return edges that hold all values, `steps` of them for each doubling."""
    first = math.floor(steps * math.log2(max(min(values), 1)))
    last = math.floor(steps * math.log2(max(*values, 1))) + 1
    return [2 ** (n / steps) for n in range(first, last + 1)]


def rows_figure(name: str, rows: Mapping[str, Bars], x_label: str, scale: str = LINEAR) -> str:
    """Return a chart with a row of bars for each name, one below another over one axis."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    with _drawing(len(rows)) as (figure, several):
        for axes, (row, bars) in zip(several, rows.items(), strict=True):
            widths = [b - a for a, b in zip(bars.edges, bars.edges[1:], strict=False)]
            axes.bar(
                bars.edges[:-1], bars.heights, widths, align="edge", color=BAR, edgecolor=BAR,
                linewidth=0.3,
            )  # fmt: skip
            top = max(bars.heights)
            axes.set_ylim(0, top * 1.08)
            axes.set_yticks([top], [f"{top:.0f}%"])
            _name(axes, row, bars.note)
            if scale == WHOLE:
                axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
            if scale == LOG:
                axes.set_xscale("log")
                axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
        several[-1].set_xlabel(x_label)
        return _svg(figure, name)


def groups_figure(name: str, rows: Mapping[str, Mapping[str, float]], x_label: str) -> str:
    """Return a chart as `rows_figure` does, of shares in percent with a name for each bar."""
    with _drawing(len(rows)) as (figure, several):
        for axes, (row, shares) in zip(several, rows.items(), strict=True):
            places = range(len(shares))
            axes.bar(places, list(shares.values()), 0.8, color=BAR)
            for place, value in zip(places, shares.values(), strict=True):
                if value:
                    label = f"{value:.0f}" if value >= 1 else "<1"
                    axes.text(place, value + 4, label, ha="center", fontsize=7)
            axes.set_ylim(0, 145)
            axes.set_yticks([100], ["100%"])
            axes.set_xticks(places, list(shares))
            _name(axes, row, "")
        several[-1].set_xlabel(x_label)
        return _svg(figure, name)


class _drawing:  # noqa: N801 - a context manager that reads as one
    """A figure with one axes a row, in Pagecast's style whatever the person's own settings are."""

    def __init__(self, rows: int) -> None:
        self._rows = rows

    def __enter__(self) -> tuple[Figure, list[Axes]]:
        logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of its caches
        import matplotlib as mpl  # here: it takes a second to import
        from matplotlib.figure import Figure

        self._context = mpl.rc_context()
        self._context.__enter__()
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        height = (ROW + GAP) * self._rows + MARGINS
        figure = Figure(figsize=(WIDTH, height))
        several = figure.subplots(self._rows, 1, sharex=True, squeeze=False)[:, 0].tolist()
        figure.subplots_adjust(
            left=0.1, right=0.98, hspace=GAP / ROW, bottom=MARGINS / height, top=1 - GAP / height
        )
        return figure, several

    def __exit__(self, *error: Any) -> None:
        self._context.__exit__(*error)


def _name(axes: Axes, row: str, note: str) -> None:
    axes.set_title(row, loc="left", fontsize=9, fontweight="bold", pad=3, color=INK)
    axes.set_title(note, loc="right", fontsize=8, pad=3, color=INK)
    axes.tick_params(length=2, labelsize=8)
    axes.tick_params(axis="y", labelsize=7)


def _svg(figure: Figure, name: str) -> str:
    """Return a figure as an element of a page: no header, ids of its own, the page's colours."""
    content = io.StringIO()
    figure.savefig(content, format="svg", transparent=True, metadata={"Date": None})
    drawing = content.getvalue()
    drawing = drawing[drawing.index("<svg") :].rstrip()
    drawing = re.sub(r"<metadata>.*?</metadata>\s*", "", drawing, flags=re.DOTALL)
    # Several figures in one page must not have the same ids.
    drawing = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", drawing)
    for placeholder, color in COLORS.items():
        drawing = drawing.replace(placeholder, color)
    return drawing.replace("<svg ", f'<svg role="img" aria-label="{text(name)} chart" ', 1)
