"""Setting text with libraqm, Pillow's layout for scripts that need shaping or bidi.

Lines of plain words are set as units of one glyph each (see `units`). Others are drawn by Pillow.
What is saved of these is asking it about each line again for each word: as far as words are plain
they are measured one by one (see `plain`). Where they are not, or the bounds on the width of a line
do not decide, Pillow measures the whole line.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from itertools import accumulate, count, groupby
from operator import add

import numpy as np

from pagecast.render.layouts.raqm.plain import (
    PLAIN_SCRIPTS,
    SHARED,
    Extent,
    PlainLine,
    extents,
    word_script,
)
from pagecast.render.layouts.raqm.shaper import Shaper
from pagecast.render.layouts.raqm.units import UnitText
from pagecast.render.typeset import InkedLine, Text, joined, line_height

JOINING = 3  # em, by which a word at most makes the line before it narrower


class ShapedText:
    """The words of a text with the script of each, to be set by a shaper.

    anchors: for each word the first from there on that is not of shared characters alone; it
      decides the script of a line that starts with the word.

    Args:
      spaced: how many spaces, 1 or none, follow each word, where a line may end elsewhere too.
    """

    def __init__(
        self, words: list[str], shaper: Shaper, spaced: Sequence[int] | None = None
    ) -> None:
        self.words, self.shaper = words, shaper
        self.spaced = [1] * len(words) if spaced is None else spaced
        self.string = joined(words, self.spaced)
        self._starts = list(accumulate(map(add, map(len, words), self.spaced), initial=0))
        self.scripts = [word_script(word) for word in words]
        self.anchors = list(range(len(words)))
        for i in reversed(range(len(words) - 1)):
            if self.scripts[i] == SHARED:
                self.anchors[i] = self.anchors[i + 1]
        self._keepers: dict[str, tuple[list[int], Text]] = {}

    def stretch(self, first: int, last: int) -> tuple[int, int]:
        """Return where in the whole text a line of these words starts and ends."""
        return self._starts[first], self._starts[last] + len(self.words[last])

    def word_at(self, place: int) -> int:
        """Return the word that has a place of the whole text, or is before it."""
        return bisect_right(self._starts, place) - 1

    def keepers(self, script: str) -> tuple[list[int], Text]:
        """Return the words that keep their glyphs in lines of a script: numbers, and text."""
        if script not in self._keepers:
            keep = {word: self.shaper.rules.keep(word) for word in set(self.words)}
            numbers = [
                number
                for number, word in enumerate(self.words)
                if keep[word] and self.scripts[number] in (script, SHARED)
            ]
            words = [self.words[number] for number in numbers]
            self._keepers[script] = numbers, Text(words, self.shaper.atlas(script))
        return self._keepers[script]

    @cached_property
    def main(self) -> str | None:
        """The plain script of most words, None where that is none or words do not stand alone."""
        counts = Counter(script for script in self.scripts if script in PLAIN_SCRIPTS)
        if not counts or not self.shaper.rules.words_stand_alone or not all(self.spaced[:-1]):
            return None
        return counts.most_common(1)[0][0]

    @cached_property
    def units(self) -> UnitText | None:
        """The words of the main script as units of one glyph each, with blanks for others."""
        if self.main is None:
            return None
        units = self.shaper.units(self.main)
        blank = np.array([units.atlas.intern_unit(" ")], np.int64)
        ids, self._odd = [], [len(self.words)] * (len(self.words) + 1)
        for number, (word, script) in enumerate(zip(self.words, self.scripts, strict=True)):
            found = units.of(word) if script in (self.main, SHARED) else None
            ids.append(blank if found is None else found)
            if found is None:
                self._odd[number] = number
        for number in reversed(range(len(self.words))):
            self._odd[number] = min(self._odd[number], self._odd[number + 1])
        return UnitText(self.words, units.atlas, ids, self.spaced)

    def seen_from(self, first: int) -> tuple[int, int]:
        """Return the first word from here on of the main script, and the first that is no units.

        Where the latter comes first, the former is as good as none.
        """
        anchor, end = self.anchors[first], len(self.words)
        return (anchor if self.scripts[anchor] == self.main else end), self._odd[first]

    def is_plain(self, first: int, end: int) -> bool:
        """Tell whether a line of these words is their units side by side."""
        anchor, odd = self.seen_from(first)
        return anchor < end <= odd

    def at(self, size: int) -> ShapedLines | UnitLines:
        """Set the text in type of `size` px."""
        if self.units is not None:
            return UnitLines(self, self.units, size)
        return ShapedLines(self, size)


class UnitLines:
    """A text most of whose words are units, in type of one size; see `page.SetLines`.

    A line of nothing but what scripts share, such as digits, is shaped as of no script, and one
    with another word as a whole: about these Pillow is asked.
    """

    def __init__(self, text: ShapedText, units: UnitText, size: int) -> None:
        self._text, self._size = text, size
        self._units, self._shaped = units.at(size), ShapedLines(text, size)

    def lines(self, box: int, most: int | None = None) -> list[int]:
        """Return the first word of each line, the lines being at most `box` px wide."""
        firsts: list[int] = []
        word, words = 0, len(self._text.words)
        while word < words and (most is None or len(firsts) <= most):
            firsts.append(word)
            word = self._line_end(word, box)
        return firsts

    def _line_end(self, first: int, box: int) -> int:
        """Return the word after the line that starts with `first`."""
        end, anchor, odd = self._units.line_end(first, box), *self._text.seen_from(first)
        # Before the line has a letter it is of no script.
        if anchor >= min(end, odd) or any(
            self._shaped.is_wider(first, last, box) for last in range(first + 1, anchor)
        ):
            return self._shaped.line_end(first, box)
        if end < odd or odd == len(self._text.words):
            return end
        return self._shaped.unplain_end(first, odd - 1, box)

    def clipped(self, firsts: list[int], box: int) -> int:
        """Count the lines wider than `box` px."""
        return self._shaped.clipped(firsts, box)

    def wide(self, box: int) -> list[int]:
        """Return the words that are wider than `box` px by themselves."""
        return self._shaped.wide(box)

    def marks(self, firsts: list[int], rendered: int, margin: int) -> list[InkedLine]:
        """Return the first `rendered` lines: plain ones as glyphs, others as a mask of Pillow's."""
        ends = [*firsts, len(self._text.words)][1:]
        plain = [self._text.is_plain(*line) for line in zip(firsts, ends, strict=True)][:rendered]
        marks: list[InkedLine] = []
        start = 0
        for is_plain, group in groupby(plain):
            end = start + len(list(group))
            lines = self._units if is_plain else self._shaped
            rows = start * line_height(self._size)
            some = firsts[start : end + 1] if end < len(firsts) else firsts[start:]
            marks += (below(line, rows) for line in lines.marks(some, end - start, margin))
            start = end
        return marks


class ShapedLines:
    """A text in type of one size; see `page.SetLines`."""

    def __init__(self, text: ShapedText, size: int) -> None:
        self._text, self._size = text, size
        self._face = text.shaper.faces[size]
        self._known: dict[int, list[int]] = {}  # by box
        self._words_in_line = 1  # about as many as in the line before, less one
        self._extents: dict[str, dict[int, Extent]] = {}  # by script and word

    def lines(self, box: int, most: int | None = None) -> list[int]:
        """Return the first word of each line, the lines being at most `box` px wide.

        With `most`, stop when there are more lines than that.
        """
        if box in self._known:
            return self._known[box]
        firsts: list[int] = []
        word, words = 0, len(self._text.words)
        while word < words and (most is None or len(firsts) <= most):
            firsts.append(word)
            word = self.line_end(word, box)
        if word == words:
            self._known[box] = firsts
        return firsts

    def line_end(self, first: int, box: int) -> int:
        """Return the word after the line that starts with `first`, asking word by word."""
        scripts = self._text.scripts
        anchor = self._text.anchors[first]
        script = scripts[anchor]
        line = self._start_line(script)
        for last in range(first, len(scripts)):
            if last > first and not self._text.spaced[last - 1]:
                line = None  # its words do not stand alone
            if not (line and script and scripts[last] in (script, SHARED)):
                return self.unplain_end(first, max(first, last - 1), box)
            line.add(self._extent(last, script))
            wider = line.is_wider(box) if last >= anchor else None
            if last > first and (self._width(first, last) > box if wider is None else wider):
                return last
        return len(scripts)

    def unplain_end(self, first: int, fitting: int, box: int) -> int:
        """Return the word after a line that is not plain, and has room for all up to `fitting`.

        The script and the direction of a line may be another once it has its first letter.
        """
        anchor, end = self._text.anchors[first], len(self._text.words)
        if fitting < anchor and (found := self._border(first, fitting, anchor, box)) < anchor:
            return found
        return self._border(first, max(fitting, anchor - 1), end, box)

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

    def _start_line(self, script: str | None) -> PlainLine | None:
        shaper = self._text.shaper
        if script not in PLAIN_SCRIPTS or not shaper.rules.words_stand_alone:
            return None
        return PlainLine(shaper.plain(self._size, script).space)

    def _extent(self, word: int, script: str) -> Extent:
        """Measure a word in a plain line of a script."""
        if script not in self._extents:
            numbers, text = self._text.keepers(script)
            measured = extents(text.at(self._size)) if numbers else ()
            self._extents[script] = dict(zip(numbers, measured, strict=True))
        extent = self._extents[script].get(word)
        if extent is None:
            extent = self._text.shaper.plain(self._size, script).measure(self._text.words[word])
            self._extents[script][word] = extent
        return extent

    def clipped(self, firsts: list[int], box: int) -> int:
        """Count the lines wider than `box` px: only a word that has a line of its own can be."""
        nexts = [*firsts, len(self._text.words)][1:]
        alone = (a for a, b in zip(firsts, nexts, strict=True) if b == a + 1)
        return sum(self._width(word, word) > box for word in alone)

    def wide(self, box: int) -> list[int]:
        """Return the words that are wider than `box` px by themselves."""
        return [word for word in range(len(self._text.words)) if self._is_wide(word, box)]

    def _is_wide(self, word: int, box: int) -> bool:
        script = self._text.scripts[word]
        line = self._start_line(script)
        if line and script:
            line.add(self._extent(word, script))
            if (wider := line.is_wider(box)) is not None:
                return wider
        return self._width(word, word) > box

    def is_wider(self, first: int, last: int, box: int) -> bool:
        """Tell whether a line of these words is wider than the box, by Pillow."""
        return self._width(first, last) > box

    def _width(self, first: int, last: int) -> float:
        start, end = self._text.stretch(first, last)
        left, _, right, _ = self._face.getbbox(self._text.string[start:end])
        return right - left

    def marks(self, firsts: list[int], rendered: int, margin: int) -> list[InkedLine]:
        """Return one mask, Pillow's, for each of the first `rendered` lines."""
        marks = []
        nexts = [*firsts, len(self._text.words)][1:]
        for number, (a, b) in enumerate(zip(firsts[:rendered], nexts, strict=False)):
            start, end = self._text.stretch(a, b - 1)
            mask, (dx, dy) = self._face.getmask2(self._text.string[start:end], "L")
            y = margin + number * line_height(self._size) + dy
            marks.append(InkedLine([(margin + dx, y)], [mask], y, y + mask.size[1]))
        return marks


def below(line: InkedLine, rows: int) -> InkedLine:
    """Return a line so many rows of pixels further down."""
    places = [(x, y + rows) for x, y in line.places]
    return InkedLine(places, line.masks, line.top + rows, line.bottom + rows)
