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
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pagecast.render.glyphs import (
    UNIT,
    GlyphAtlas,
    Ints,
    SizedGlyphs,
    distinct,
    nearest_pixel,
)
from pagecast.render.lines import InkedLine, PlacedLine, break_lines, inked_lines
from pagecast.style.frame import Measure


class Text:
    """The words of a text as character ids of an atlas, joined by single spaces.

    starts, ends: where in `ids` each word starts and ends.
    kerned_at, kerned_pairs: positions of the first characters of kerned pairs, and the pairs.

    Args:
      paragraphs: the first word of each paragraph.
      spaced: how many spaces, 1 or none, follow each word, where a line may end elsewhere too.
      owners: which of the atlas's fonts each character is of.
    """

    def __init__(
        self,
        words: list[str],
        atlas: GlyphAtlas,
        paragraphs: Sequence[int],
        spaced: Sequence[int] | None = None,
        owners: Sequence[int] | None = None,
    ) -> None:
        self.words, self.atlas, self.paragraphs = words, atlas, paragraphs
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

    @property
    def words(self) -> int:
        """How many words there are."""
        return len(self.text.words)

    @property
    def paragraphs(self) -> Sequence[int]:
        """The first word of each paragraph."""
        return self.text.paragraphs

    def is_rtl(self, first: int) -> bool:
        """Tell whether the paragraph of a word runs from right to left: here none does."""
        return False

    def lines(self, measure: Measure, most: int | None = None) -> list[int]:
        """Return the first word of each line; with `most`, stop when there are more lines."""
        return break_lines(self.paragraphs, self.words, measure, self.line_end, most)

    def line_end(self, first: int, box: int) -> int:
        """Return the word after the line that starts with `first`."""
        # `_furthest` never falls from word to word, so all before this one fit.
        reach = self._fits_to[first] + box * UNIT
        word = bisect_right(self._furthest, reach, first + 1)
        while word < len(self._furthest) and not self._is_wider(first, word, box):
            word += 1
        return word

    def is_wider(self, first: int, after: int, box: int) -> bool:
        """Tell whether a line is wider than `box` px."""
        return self._is_wider(first, after - 1, box)

    def wide(self, box: int) -> list[int]:
        """Return the words that are wider than `box` px by themselves."""
        return [word for word in range(len(self._furthest)) if self._is_wider(word, word, box)]

    def width(self, first: int, after: int) -> int:
        """Return the width of a line in px."""
        last = after - 1
        most = self._furthest[last] - self._fits_to[first]
        least = self._surely[last] - self._too_wide_from[first]
        if (width := max(-(-most // UNIT), 0)) == max(-(-least // UNIT), 0):
            return width
        return self._width(first, last)

    def marks(self, lines: Sequence[PlacedLine]) -> list[InkedLine]:
        """Return where the glyphs of lines that follow each other go, for those that have ink."""
        lines = [line for line in lines if line.first < line.after]
        if not lines:
            return []
        text, glyphs = self.text, self.glyphs
        firsts, afters, x, y, _, _, extra = np.array(lines).T
        begin, end = text.starts[firsts], text.ends[afters - 1]
        nexts = np.append(begin[1:], end[-1] + 1)  # a space between lines counts with the first
        origin = begin[0]
        ids = text.ids[origin : end[-1]]
        glyphs.draw(distinct(ids))

        inked = glyphs.bottom[ids] > glyphs.top[ids]
        # Spaces between lines are not drawn, whatever they look like.
        inked[end[:-1][end[:-1] < nexts[:-1]] - origin] = False
        line = np.repeat(np.arange(len(lines)), nexts - begin)
        if extra.any():
            left = self._spread(begin, end, line, extra, inked)
        else:
            left = nearest_pixel(self.pen[origin : end[-1]] - self.pen[begin][line[: len(ids)]])
        at = np.flatnonzero(inked)
        line, ids = line[at], ids[at]
        x, y = x[line] + left[at] + glyphs.dx[ids], y[line]
        top, bottom = y + glyphs.top[ids], y + glyphs.bottom[ids]
        masks = list(map(glyphs.masks.__getitem__, ids.tolist()))
        return inked_lines(line, x, top, bottom, masks)

    def _is_wider(self, first: int, last: int, box: int) -> bool:
        """Tell whether a line of these words, the last included, is wider than `box` px."""
        if self._furthest[last] <= self._fits_to[first] + box * UNIT:
            return False
        if self._surely[last] > self._too_wide_from[first] + box * UNIT:
            return True
        return self._width(first, last) > box

    def _width(self, first: int, last: int) -> int:
        """Ask for the width of a line of these words, the last included."""
        if self.text.atlas.is_mixed:
            begin, end = self.text.starts[first], self.text.ends[last]
            pen, ids = self.pen[begin:end], self.text.ids[begin:end]
            far = nearest_pixel(int((pen + self.glyphs.reach[ids]).max() - pen[0]))
            near = nearest_pixel(int((pen + self.glyphs.left[ids]).min() - pen[0]))
            return far - near  # the first character's box has the pixel 0
        left, _, right, _ = self.glyphs.face.getbbox(self.text.stretch(first, last))
        return round(right - left)

    def _spread(
        self, begin: Ints, end: Ints, line: Ints, extra: Ints, inked: NDArray[np.bool_]
    ) -> Ints:
        """Return the pixel of each glyph in its line, where spaces share out what is left.

        Each word is set by itself where the pen is at its start. In such a line no space has ink.
        """
        ids = self.text.ids[begin[0] : end[-1]]
        pen, line = self.pen[begin[0] : end[-1]], line[: len(ids)]
        spaces = np.isin(ids, [i for i in self.text.used_ids if self.glyphs.is_space(i)])
        inked[spaces & (extra[line] > 0)] = False
        heads = begin - begin[0]  # of lines
        before: Ints = np.cumsum(spaces) - spaces
        before -= before[heads][line]  # spaces of its line before each glyph
        within = end - begin
        ends = heads + within - 1
        gaps = np.maximum(before[ends] + spaces[ends], 1)
        starts = np.zeros(len(ids), np.int64)  # of the word of each glyph
        starts[1:][spaces[:-1]] = np.flatnonzero(spaces[:-1]) + 1
        starts[heads] = heads
        starts = np.maximum.accumulate(starts)
        apart = nearest_pixel(pen[starts] - pen[heads][line]) + nearest_pixel(pen - pen[starts])
        spread = apart + extra[line] * before // gaps[line]
        return np.where(extra[line] > 0, spread, nearest_pixel(pen - pen[heads][line]))


def _limit(start: Ints, left: Ints) -> Ints:
    """Return the last position, in 1/64 px, from whose pixel it is 0 px to the pixel of `left`.

    The latter is counted from `start`, and both pixels are.
    """
    return start + nearest_pixel(left) * UNIT + UNIT // 2 - 1
