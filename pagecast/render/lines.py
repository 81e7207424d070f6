"""Lines: what a text that is set in type of one size can say of them, and what is stamped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np

from pagecast.render.glyphs import Ints, Mask
from pagecast.style.frame import Measure


class SetLines(Protocol):
    """A text set in type of one size; lines are lists of their first words' numbers."""

    @property
    def words(self) -> int:
        """How many words there are."""

    @property
    def paragraphs(self) -> Sequence[int]:
        """The first word of each paragraph; an empty one has that of the next."""

    def lines(self, measure: Measure, most: int | None = None) -> list[int]:
        """Break the text into lines, or give up with `most + 1` of them."""

    def is_wider(self, first: int, after: int, box: int) -> bool:
        """Tell whether a line of one word, `first`, is wider than `box` px."""

    def wide(self, box: int) -> list[int]:
        """Return the words that are wider than `box` px by themselves."""

    def width(self, first: int, after: int) -> int:
        """Return the width of a line in px."""

    def is_rtl(self, first: int) -> bool:
        """Tell whether the paragraph of a word runs from right to left."""

    def marks(self, lines: Sequence[PlacedLine]) -> list[InkedLine]:
        """Return what to stamp for lines that follow each other, those without ink left out."""


# A text in type of so many px, in lines of a measure.
SetIn = Callable[[int, Measure], SetLines]


class PlacedLine(NamedTuple):
    """A line on a page: the words from `first` to before `after`, its top left corner, its room.

    height: of the line. room: from its left to where it may end. extra: what is shared out to its
    spaces; all in pixels.
    """

    first: int
    after: int
    x: int
    y: int
    height: int
    room: int
    extra: int = 0


def break_lines(
    starts: Sequence[int],
    words: int,
    measure: Measure,
    line_end: Callable[[int, int], int],
    most: int | None,
) -> list[int]:
    """Return the first word of each line of a text; with `most`, stop when there are more lines.

    Args:
      starts: the first word of each paragraph; one without words starts where the next does.
      line_end: returns the word after the line that starts with one, in a box of so many pixels.
    """
    firsts: list[int] = []
    for start, end in pairwise([*starts, words]):
        word, box = start, measure.narrowest
        while most is None or len(firsts) <= most:
            firsts.append(word)
            if word == end:
                break
            word, box = min(line_end(word, box), end), measure.box
            if word == end:
                break
    return firsts


class InkedLine(NamedTuple):
    """The glyphs of one line: their places and masks in order, and the rows their ink is in.

    lefts, tops: the top left pixel of each mask on the page.
    top, bottom: the first row with ink, and the one below the last.
    """

    lefts: list[int]
    tops: list[int]
    masks: list[Mask]
    top: int
    bottom: int


def inked_lines(
    line: Ints, left: Ints, top: Ints, bottom: Ints, masks: list[Mask]
) -> list[InkedLine]:
    """Return glyphs that have ink line by line; each array has a glyph's value at its number.

    Args:
      line: the number of each glyph's line, which never falls.
      left, top, bottom: each mask's first column and row on the page, and the row below its last.
    """
    lefts, rows = left.tolist(), top.tolist()
    heads = np.flatnonzero(np.diff(line, prepend=-1))  # the first glyph of each line
    tops, bottoms = np.minimum.reduceat(top, heads), np.maximum.reduceat(bottom, heads)
    ends = [*heads.tolist(), len(line)][1:]
    return [
        InkedLine(lefts[a:b], rows[a:b], masks[a:b], y0, y1)
        for a, b, y0, y1 in zip(heads.tolist(), ends, tops.tolist(), bottoms.tolist(), strict=True)
    ]


def largest_fit(
    fits: Callable[[int], bool], sizes: tuple[int, int], known: int | None = None
) -> int:
    """Return the font size at which a binary search for the rightmost fit ends.

    `fits` is not always monotonic, so the search asks exactly what the oracle's does. A size that
    is `known` to be its end is only checked to be one: it fits, and the next does not.

    Args:
      sizes: the smallest, which is never asked about, and the largest.
    """
    low, high = sizes
    if (
        known is not None
        and low <= known <= high
        and (known == low or fits(known))
        and (known == high or not fits(known + 1))
    ):
        return known
    while low < high:
        mid = (low + high + 1) // 2
        low, high = (mid, high) if fits(mid) else (low, mid - 1)
    return low
