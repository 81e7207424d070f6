"""Setting text in one font with libraqm, Pillow's layout for scripts that need shaping or bidi.

A text that is mostly of one plain script is set unit by unit, as in basic layout (see `units`);
only lines with an odd word are drawn by Pillow. Of any other text Pillow measures and draws each
line whole; what is saved is asking it about a line again for each word.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import accumulate, count, groupby
from operator import add

import numpy as np
from PIL import ImageFont

from pagecast.render.glyphs import Ints
from pagecast.render.layouts.raqm.shaper import Shaper
from pagecast.render.layouts.raqm.units import (
    PLAIN_SCRIPTS,
    SHARED,
    Words,
    plain_script,
    word_script,
)
from pagecast.render.lines import InkedLine, PlacedLine, break_lines
from pagecast.render.typeset import SetText, Text, joined
from pagecast.style.frame import Measure

JOINING = 3  # em, by which a word at most makes the line before it narrower
FEW = 8  # one word in so many may be odd in a text of units


def raqm_text(
    words: list[str],
    shaper: Shaper,
    paragraphs: Sequence[int],
    spaced: Sequence[int] | None = None,
) -> UnitText | ShapedText:
    """Return the words of a text, to be set by a shaper.

    Args:
      paragraphs: the first word of each paragraph.
      spaced: how many spaces, 1 or none, follow each word, where a line may end elsewhere too.
    """
    if shaper.rules.words_stand_alone and (spaced is None or all(spaced[:-1])):
        scripts = Counter(map(word_script, words))
        script = max(PLAIN_SCRIPTS, key=lambda name: scripts[name])
        if scripts[script]:
            text = UnitText(words, shaper.words(script), paragraphs)
            if len(text.odd) * FEW <= len(words):
                return text
    return ShapedText(words, shaper, paragraphs, spaced)


class UnitText(Text):
    """The words of a text of some plain script, as ids of units and of odd words.

    odd: the numbers of the odd words.
    """

    def __init__(self, words: list[str], met: Words, paragraphs: Sequence[int]) -> None:
        self.words, self.atlas, self.paragraphs = words, met.atlas, paragraphs
        self.string = " ".join(words)
        found = [met.of(word) for word in words]
        for number in [n for n, word in enumerate(found) if word.is_guest]:
            if not all(map(met.is_loose, beside(words, number))):
                found[number] = met.odd(words[number])
        slack = np.array([word.slack for word in found], np.int64)
        self.odd: Ints = np.flatnonzero(slack)
        self._slack = slack[self.odd]
        space = met.atlas.intern_unit(" ")
        self.ids = np.array([i for word in found for i in (*word.ids, space)][:-1], np.int64)
        self.starts, self.ends = _starts_and_ends([len(word.ids) for word in found])
        self._places = _starts_and_ends(list(map(len, words)))
        self._look_up()

    def stretch(self, first: int, last: int) -> str:
        """Return the text of a line of these words, the last included."""
        starts, ends = self._places
        return self.string[starts[first] : ends[last]]

    def slack(self, size: int) -> Ints | None:
        """Return how far each id may be from where it is, in 1/64 px at a size in px."""
        if not len(self.odd):
            return None
        slack = np.zeros(len(self.ids), np.int64)
        slack[self.starts[self.odd]] = self._slack * size
        return slack

    def at(self, size: int) -> UnitLines:
        """Set the text in type of `size` px."""
        return UnitLines(self, self.atlas.at(size))


def beside(words: list[str], number: int) -> Iterator[str]:
    """Yield what may be in one run with a word of another script: shared characters beside it.

    Before it these are whole words; after it also the beginning of a word of the text's script.
    """
    for word in reversed(words[:number]):
        if word_script(word) != SHARED:
            break
        yield word
    for word in words[number + 1 :]:
        letter = next((n for n, c in enumerate(word) if plain_script(c) != SHARED), len(word))
        yield word[: letter + 1]
        if letter < len(word):
            break


def _starts_and_ends(lengths: Sequence[int]) -> tuple[Ints, Ints]:
    """Return where words of these lengths start and end with a space between any two."""
    ends = np.cumsum(np.array(lengths, np.int64) + 1) - 1
    return ends - lengths, ends


class UnitLines(SetText):
    """A text of units in type of one size; see `page.SetLines`."""

    text: UnitText

    def marks(self, lines: Sequence[PlacedLine]) -> list[InkedLine]:
        """Return what to stamp: glyphs, and a mask of Pillow's for each line with an odd word."""
        marks: list[InkedLine] = []
        odd = self.text.odd
        for is_odd, some in groupby(
            lines, lambda line: bool(np.diff(np.searchsorted(odd, line[:2]))[0])
        ):
            if is_odd:
                face, text = self.glyphs.face, self.text
                marks += [line_mask(face, text.stretch(a, b - 1), x, y) for a, b, x, y, *_ in some]
            else:
                marks += super().marks(list(some))
        return marks


class ShapedText:
    """The words of a text with the script of each, whose lines Pillow sets.

    anchors: for each word the first from there on that is not of shared characters alone; it
      decides the script of a line that starts with the word.
    """

    def __init__(
        self,
        words: list[str],
        shaper: Shaper,
        paragraphs: Sequence[int],
        spaced: Sequence[int] | None = None,
    ) -> None:
        self.words, self.shaper, self.paragraphs = words, shaper, paragraphs
        spaced = [1] * len(words) if spaced is None else spaced
        self.string = joined(words, spaced)
        self._starts = list(accumulate(map(add, map(len, words), spaced), initial=0))
        self.anchors = list(range(len(words)))
        for i in reversed(range(len(words) - 1)):
            if word_script(words[i]) == SHARED:
                self.anchors[i] = self.anchors[i + 1]

    def stretch(self, first: int, last: int) -> tuple[int, int]:
        """Return where in the whole text a line of these words starts and ends."""
        return self._starts[first], self._starts[last] + len(self.words[last])

    def word_at(self, place: int) -> int:
        """Return the word that has a place of the whole text, or is before it."""
        return bisect_right(self._starts, place) - 1

    def at(self, size: int) -> ShapedLines:
        """Set the text in type of `size` px."""
        return ShapedLines(self, size)


class ShapedLines:
    """A text in type of one size; see `page.SetLines`."""

    def __init__(self, text: ShapedText, size: int) -> None:
        self._text, self._size = text, size
        self._face = text.shaper.faces[size]
        self._known: dict[Measure, list[int]] = {}
        self._words_in_line = 1  # about as many as in the line before, less one

    @property
    def words(self) -> int:
        """How many words there are."""
        return len(self._text.words)

    @property
    def paragraphs(self) -> Sequence[int]:
        """The first word of each paragraph."""
        return self._text.paragraphs

    def is_rtl(self, first: int) -> bool:
        """Tell whether the paragraph of a word runs from right to left: lines start at the left."""
        return False

    def lines(self, measure: Measure, most: int | None = None) -> list[int]:
        """Return the first word of each line; with `most`, stop when there are more lines."""
        if measure in self._known:
            return self._known[measure]
        lines = break_lines(self.paragraphs, self.words, measure, self._line_end, most)
        if most is None or len(lines) <= most:
            self._known[measure] = lines
        return lines

    def _line_end(self, first: int, box: int) -> int:
        """Return the word after the line that starts with `first`.

        The script and the direction of a line may be another once it has its first letter.
        """
        anchor, end = self._text.anchors[first], len(self._text.words)
        if first < anchor and (found := self._border(first, first, anchor, box)) < anchor:
            return found
        return self._border(first, max(first, anchor - 1), end, box)

    def _border(self, first: int, fitting: int, end: int, box: int) -> int:
        """Return the first word before `end` with which a line is too wide, or `end`.

        A word may make a line narrower, as it joins the one before, but by less than `JOINING`. So
        where a line is narrower than the box by that, all shorter ones fit.
        """

        @cache
        def width(last: int) -> float:
            return self._width(first, last)

        fits, wider = fitting, end
        last = first + self._words_in_line
        for turn in count():
            if wider - fits <= 1:
                break
            last = min(max(last, fits + 1), wider - 1)
            fits, wider = (last, wider) if width(last) <= box else (fits, last)
            last = (fits + wider) // 2 if turn % 3 == 2 else self._guess(first, last, width, box)
        for last in range(wider - 1, fitting, -1):
            if width(last) <= box - JOINING * self._size:
                break
            wider = last if width(last) > box else wider
        self._words_in_line = wider - 1 - first
        return wider

    def _guess(self, first: int, last: int, width: Callable[[int], float], box: int) -> int:
        """Guess the last word of a line from how wide it is with another one."""
        start, end = self._text.stretch(first, last)
        return self._text.word_at(start + int((end - start) * box / max(1, width(last))))

    def is_wider(self, first: int, after: int, box: int) -> bool:
        """Tell whether a line is wider than `box` px."""
        return self.width(first, after) > box

    def wide(self, box: int) -> list[int]:
        """Return the words that are wider than `box` px by themselves."""
        return [word for word in range(self.words) if self.width(word, word + 1) > box]

    def width(self, first: int, after: int) -> int:
        """Return the width of a line in px."""
        return round(self._width(first, after - 1))

    def _width(self, first: int, last: int) -> float:
        start, end = self._text.stretch(first, last)
        left, _, right, _ = self._face.getbbox(self._text.string[start:end])
        return right - left

    def marks(self, lines: Sequence[PlacedLine]) -> list[InkedLine]:
        """Return one mask, Pillow's, for each line."""
        marks = []
        for first, after, x, y, *_ in lines:
            if first < after:
                start, end = self._text.stretch(first, after - 1)
                marks.append(line_mask(self._face, self._text.string[start:end], x, y))
        return marks


def line_mask(face: ImageFont.FreeTypeFont, text: str, x: int, y: int) -> InkedLine:
    """Return a line with its top left corner at a pixel, as Pillow draws it."""
    mask, (dx, dy) = face.getmask2(text, "L")
    return InkedLine([x + dx], [y + dy], [mask], y + dy, y + dy + mask.size[1])
