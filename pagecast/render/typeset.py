"""Setting text: which words make a line at a font size, and which size fills a page.

The rule is the oracle's, asked in the oracle's order; only the width of a line is found without
Pillow. A line's width is `right - left`, where `right` is the furthest of pixel 0, of each pen
position and of each glyph's right edge, `left` the least of pixel 0 and of each glyph's left edge.

Rounding to pixels keeps order and commutes with whole pixels. So furthest and least can be taken
before rounding, in 1/64 px along the one long line that all words make, and a line is a stretch
of that: `right = pixel(furthest - start of its first word)`. Where a bound on the width
decides, that is all; a bound and the truth almost always coincide, and where the limit falls
between them, Pillow is asked about that line. Of a text in several fonts a line's width is, by
definition, that of the boxes of its characters, so there is nobody to ask.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from pagecast.render.glyphs import (
    MAX_FONT_SIZE,
    UNIT,
    GlyphAtlas,
    Ints,
    Mask,
    SizedGlyphs,
    distinct,
    nearest_pixel,
)

# The numbers of the rule, as in the oracle, which shares no code with what it checks.
MARGIN = 0.05  # of the page's side, on all four sides
LINE_SPACING = 1.2  # line height over font size
MIN_FONT_SIZE = 4  # pixels
FIRST_SIZE_TRIED = (MIN_FONT_SIZE + MAX_FONT_SIZE + 1) // 2  # by every search


def line_height(font_size: int) -> int:
    """Return the distance in pixels from one line's top to the next."""
    return int(font_size * LINE_SPACING)


def largest_fit(fits: Callable[[int], bool], known: int | None = None) -> int:
    """Return the font size at which a binary search for the rightmost fit ends.

    `fits` is not always monotonic, so the search asks exactly what the oracle's does. A size that
    is `known` to be its end is only checked to be one: it fits, and the next does not.
    """
    low, high = MIN_FONT_SIZE, MAX_FONT_SIZE
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


class InkedLine(NamedTuple):
    """The glyphs of one line: their places and masks in order, and the rows their ink is in.

    places: x and y of each mask's top left pixel on the page.
    top, bottom: the first row with ink, and the one below the last.
    """

    places: list[tuple[int, int]]
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
    places = list(zip(left.tolist(), top.tolist(), strict=True))
    heads = np.flatnonzero(np.diff(line, prepend=-1))  # the first glyph of each line
    tops, bottoms = np.minimum.reduceat(top, heads), np.maximum.reduceat(bottom, heads)
    ends = [*heads.tolist(), len(line)][1:]
    return [
        InkedLine(places[a:b], masks[a:b], y0, y1)
        for a, b, y0, y1 in zip(heads.tolist(), ends, tops.tolist(), bottoms.tolist(), strict=True)
    ]


class Text:
    """The words of a text as character ids of an atlas, joined by single spaces.

    starts, ends: where in `ids` each word starts and ends.
    kerned_at, kerned_pairs: positions of the first characters of kerned pairs, and the pairs.

    Args:
      spaced: how many spaces, 1 or none, follow each word, where a line may end elsewhere too.
      owners: which of the atlas's fonts each character is of.
    """

    def __init__(
        self,
        words: list[str],
        atlas: GlyphAtlas,
        spaced: Sequence[int] | None = None,
        owners: Sequence[int] | None = None,
    ) -> None:
        self.words, self.atlas = words, atlas
        self.string = " ".join(words) if spaced is None else joined(words, spaced)
        self.ids = atlas.intern(self.string, owners)
        lengths = np.fromiter(map(len, words), np.int64, len(words))
        gaps = np.array(1 if spaced is None else spaced, np.int64)
        self.ends = np.cumsum(lengths + gaps) - gaps
        self.starts = self.ends - lengths
        self._look_up()

    def _look_up(self) -> None:
        """Find the kerned pairs, and which characters and pairs are to be measured."""
        self.kerned_at, self.kerned_pairs = self.atlas.intern_kerning(self.ids)
        self.used_ids, self.used_pairs = distinct(self.ids), distinct(self.kerned_pairs)

    def stretch(self, first: int, last: int) -> str:
        """Return the text of a line of these words, the last included."""
        return self.string[self.starts[first] : self.ends[last]]

    def slack(self, size: int) -> Ints | None:
        """Return how far each id may be from where it is, in 1/64 px; None for not at all."""
        return None

    def at(self, size: int) -> SetText:
        """Set the text in type of `size` px."""
        return SetText(self, self.atlas.at(size))


def joined(words: Sequence[str], spaced: Sequence[int]) -> str:
    """Return the text that words are of; the last one's space, if any, is not part of it."""
    text = "".join(word + " " * gap for word, gap in zip(words, spaced, strict=True))
    return text.removesuffix(" ")


class SetText:
    """A text in type of one size, as one long line; positions are in 1/64 px.

    pen: where the pen stands at each character.
    """

    def __init__(self, text: Text, glyphs: SizedGlyphs) -> None:
        self.text, self.glyphs = text, glyphs
        glyphs.measure(text.used_ids, text.used_pairs)
        advance = glyphs.advance[text.ids]
        advance[text.kerned_at] += glyphs.kern[text.kerned_pairs]
        self.pen: Ints = np.cumsum(advance) - advance

        first, last = text.starts, text.ends - 1
        reach, sure_reach = glyphs.reach[text.ids], glyphs.sure_reach[text.ids]
        left = sure_left = glyphs.left[text.ids]
        late = early = self.pen
        if (slack := text.slack(glyphs.size)) is not None:
            before = np.cumsum(slack) - slack
            late, early = late + before, early - before
            reach, sure_reach, left = reach + slack, sure_reach - slack, left - slack
            sure_left = np.where(slack > 0, 0, sure_left)
        # Of all up to a word's end, and of its last glyph alone: a line that ends in this word
        # reaches no further than the one, and as far as the other.
        furthest = np.maximum.accumulate(late + reach)[last]
        surely = early[last] + sure_reach[last]
        # Likewise to the left: of all from a word's start on, and of its first glyph alone.
        least = np.minimum.accumulate((early + left)[::-1])[::-1][first] - early[first]

        self._furthest = furthest.tolist()
        self._surely = surely.tolist()
        # A line from word w fits a box of b px where it reaches `_fits_to[w] + b * UNIT` at most,
        # and is too wide where it reaches beyond `_too_wide_from[w] + b * UNIT`.
        self._fits_to = _limit(late[first], least).tolist()
        self._too_wide_from = _limit(early[first], sure_left[first]).tolist()

    def lines(self, box: int, most: int | None = None) -> list[int]:
        """Return the first word of each line, the lines being at most `box` px wide.

        With `most`, stop when there are more lines than that.
        """
        firsts: list[int] = []
        word, words = 0, len(self._furthest)
        while word < words and (most is None or len(firsts) <= most):
            firsts.append(word)
            word = self.line_end(word, box)
        return firsts

    def line_end(self, first: int, box: int) -> int:
        """Return the word after the line that starts with `first`."""
        # `_furthest` never falls from word to word, so all before this one fit.
        reach = self._fits_to[first] + box * UNIT
        word = bisect_right(self._furthest, reach, first + 1)
        while word < len(self._furthest) and not self._is_wider(first, word, box):
            word += 1
        return word

    def clipped(self, firsts: list[int], box: int) -> int:
        """Count the lines wider than `box` px: only a word that has a line of its own can be."""
        nexts = [*firsts, len(self._furthest)][1:]
        alone = (a for a, b in zip(firsts, nexts, strict=True) if b == a + 1)
        return sum(self._is_wider(word, word, box) for word in alone)

    def wide(self, box: int) -> list[int]:
        """Return the words that are wider than `box` px by themselves."""
        return [word for word in range(len(self._furthest)) if self._is_wider(word, word, box)]

    def marks(
        self, firsts: list[int], rendered: int, margin: int, above: int = 0
    ) -> list[InkedLine]:
        """Return where the glyphs of the first `rendered` lines go, for the lines that have ink.

        Args:
          above: how many lines the page has above these.
        """
        if not rendered:
            return []
        text, glyphs = self.text, self.glyphs
        begin = text.starts[firsts[:rendered]]
        end = text.ends[np.array([*firsts, len(text.words)])[1 : rendered + 1] - 1]
        nexts = np.append(begin[1:], end[-1] + 1)  # a space between lines counts with the first
        origin = begin[0]
        ids = text.ids[origin : end[-1]]
        glyphs.draw(distinct(ids))

        inked = glyphs.bottom[ids] > glyphs.top[ids]
        # Spaces between lines are not drawn, whatever they look like.
        inked[end[:-1][end[:-1] < nexts[:-1]] - origin] = False
        at = np.flatnonzero(inked)
        line = np.repeat(np.arange(rendered), nexts - begin)[at]
        ids = ids[at]
        x = margin + nearest_pixel(self.pen[origin:][at] - self.pen[begin][line]) + glyphs.dx[ids]
        y = margin + (line + above) * line_height(glyphs.size)
        top, bottom = y + glyphs.top[ids], y + glyphs.bottom[ids]
        masks = list(map(glyphs.masks.__getitem__, ids.tolist()))
        return inked_lines(line, x, top, bottom, masks)

    def _is_wider(self, first: int, last: int, box: int) -> bool:
        """Tell whether a line of these words, the last included, is wider than `box` px."""
        if self._furthest[last] <= self._fits_to[first] + box * UNIT:
            return False
        if self._surely[last] > self._too_wide_from[first] + box * UNIT:
            return True
        if self.text.atlas.is_mixed:
            begin, end = self.text.starts[first], self.text.ends[last]
            pen, ids = self.pen[begin:end], self.text.ids[begin:end]
            far = nearest_pixel(int((pen + self.glyphs.reach[ids]).max() - pen[0]))
            near = nearest_pixel(int((pen + self.glyphs.left[ids]).min() - pen[0]))
            return far - near > box  # the first character's box has the pixel 0
        left, _, right, _ = self.glyphs.face.getbbox(self.text.stretch(first, last))
        return right - left > box


def _limit(start: Ints, left: Ints) -> Ints:
    """Return the last position, in 1/64 px, from whose pixel it is 0 px to the pixel of `left`.

    The latter is counted from `start`, and both pixels are.
    """
    return start + nearest_pixel(left) * UNIT + UNIT // 2 - 1
