"""Setting text with libraqm, Pillow's layout for scripts that need shaping or bidi.

Lines are drawn by Pillow. What is saved is asking it about each line again for each word: plain
lines are measured word by word (see `plain`). Where a line is not plain, or the bounds on its
width do not decide, Pillow measures the whole line.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from itertools import accumulate, count
from operator import add

from PIL import ImageFont, features

from pagecast.render.faces import Faces
from pagecast.render.glyphs import GlyphAtlas
from pagecast.render.layouts.raqm.plain import (
    PLAIN_SCRIPTS,
    SHARED,
    Extent,
    PlainLine,
    ShapedSize,
    extents,
    word_script,
)
from pagecast.render.layouts.raqm.rules import read_rules
from pagecast.render.layouts.raqm.units import Units, UnitText
from pagecast.render.typeset import InkedLine, SetText, Text, joined, line_height

MAX_EXTENTS = 131072  # measured words kept, at all sizes together
JOINING = 3  # em, by which a word at most makes the line before it narrower


def require_raqm() -> None:
    """Check that Pillow can lay out text with libraqm.

    Raises:
      ValueError: libraqm or FriBiDi is missing.
    """
    for feature, name, package in (
        ("raqm", "libraqm", "a Pillow built with it, such as the wheels on PyPI"),
        ("fribidi", "FriBiDi", "it (Debian and Ubuntu: apt-get install libfribidi0)"),
    ):
        if not features.check(feature):
            raise ValueError(
                f"layout 'raqm' needs {name}, which Pillow does not find; "
                f"install {package}, or choose layout 'basic'"
            )


class Shaper:
    """A font under libraqm: its faces and rules, and what was measured of words."""

    def __init__(self, font: bytes) -> None:
        self.faces = Faces(font, ImageFont.Layout.RAQM)
        self.rules = read_rules(font)
        self._font = font
        self._plain: dict[tuple[int, str], ShapedSize] = {}
        self._atlases: dict[str, GlyphAtlas] = {}
        self._units: dict[str, Units] = {}

    def is_full(self) -> bool:
        """Tell whether so much is kept that this shaper should be replaced."""
        extents = sum(len(size.extents) for size in self._plain.values())
        return (
            extents > MAX_EXTENTS
            or any(atlas.is_full() for atlas in self._atlases.values())
            or any(units.is_full() for units in self._units.values())
        )

    def units(self, script: str) -> Units:
        """Return the words of a script that are units of one glyph each."""
        if script not in self._units:
            self._units[script] = Units(self.atlas(script), self.rules)
        return self._units[script]

    def atlas(self, script: str) -> GlyphAtlas:
        """Return the glyphs of words of a script that keep them."""
        if script not in self._atlases:
            before = PLAIN_SCRIPTS[script] + " "
            self._atlases[script] = GlyphAtlas(self._font, ImageFont.Layout.RAQM, before)
        return self._atlases[script]

    def plain(self, size: int, script: str) -> ShapedSize:
        """Return what other words in plain lines of a script are measured with."""
        if (size, script) not in self._plain:
            self._plain[size, script] = ShapedSize(self.faces[size], script)
        return self._plain[size, script]


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
    def whole(self) -> UnitText | None:
        """The text as units of one glyph each, where it is plain enough for that."""
        return self.units(0, len(self.words))

    def units(self, first: int, end: int) -> UnitText | None:
        """Return words as units of one glyph each, None where they are not plain."""
        scripts = set(self.scripts[first:end]) - {SHARED}
        script = scripts.pop() if len(scripts) == 1 else None
        if (
            script not in PLAIN_SCRIPTS
            or not self.shaper.rules.words_stand_alone
            or not all(self.spaced[first : end - 1])
        ):
            return None
        units, words = self.shaper.units(script), self.words[first:end]
        ids = [units.of(word) for word in words]
        known = [each for each in ids if each is not None]
        if len(known) < len(ids):
            return None
        return UnitText(words, units.atlas, known, self.spaced[first:end])

    def at(self, size: int) -> ShapedLines | UnitLines:
        """Set the text in type of `size` px."""
        if self.whole is not None:
            return UnitLines(self, self.whole, size)
        return ShapedLines(self, size)


class UnitLines:
    """A text of units in type of one size; see `page.SetLines`.

    A line of nothing but what scripts share, such as digits, is shaped as of no script: then Pillow
    is asked about all of them.
    """

    def __init__(self, text: ShapedText, units: UnitText, size: int) -> None:
        self._units, self._shaped = units.at(size), ShapedLines(text, size)
        self._anchors = text.anchors
        self._is_shared = [script == SHARED for script in text.scripts]

    def _set(self, firsts: list[int]) -> SetText | ShapedLines:
        """Return what sets lines, given by their first words."""
        ends = [*firsts[1:], len(self._anchors)]
        alone = any(
            self._anchors[first] >= end or self._is_shared[self._anchors[first]]
            for first, end in zip(firsts, ends, strict=True)
        )
        return self._shaped if alone else self._units

    def lines(self, box: int, most: int | None = None) -> list[int]:
        """Return the first word of each line, the lines being at most `box` px wide."""
        firsts = self._units.lines(box, most)
        is_exact = self._set(firsts) is self._units and not any(
            self._shaped.is_wider(first, last, box)
            for first in firsts
            for last in range(first + 1, self._anchors[first])  # before it has a script
        )
        return firsts if is_exact else self._shaped.lines(box, most)

    def clipped(self, firsts: list[int], box: int) -> int:
        """Count the lines wider than `box` px."""
        return self._set(firsts).clipped(firsts, box)

    def wide(self, box: int) -> list[int]:
        """Return the words that are wider than `box` px by themselves."""
        return self._shaped.wide(box)

    def marks(self, firsts: list[int], rendered: int, margin: int) -> list[InkedLine]:
        """Return what to stamp for the first `rendered` lines."""
        return self._set(firsts).marks(firsts, rendered, margin)


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
            word = self._line_end(word, box)
        if word == words:
            self._known[box] = firsts
        return firsts

    def _line_end(self, first: int, box: int) -> int:
        """Return the word after the line that starts with `first`, asking word by word."""
        scripts = self._text.scripts
        anchor = self._text.anchors[first]
        script = scripts[anchor]
        line = self._start_line(script)
        for last in range(first, len(scripts)):
            if last > first and not self._text.spaced[last - 1]:
                line = None  # its words do not stand alone
            if not (line and script and scripts[last] in (script, SHARED)):
                return self._unplain_end(first, max(first, last - 1), box)
            line.add(self._extent(last, script))
            wider = line.is_wider(box) if last >= anchor else None
            if last > first and (self._width(first, last) > box if wider is None else wider):
                return last
        return len(scripts)

    def _unplain_end(self, first: int, fitting: int, box: int) -> int:
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
        """Return the first `rendered` lines: plain ones as glyphs, others as a mask of Pillow's."""
        marks: list[InkedLine] = []
        nexts = [*firsts, len(self._text.words)][1:]
        for number, (a, b) in enumerate(zip(firsts[:rendered], nexts, strict=False)):
            top = number * line_height(self._size)
            if plain := self._text.units(a, b):
                marks += (below(line, top) for line in plain.at(self._size).marks([0], 1, margin))
                continue
            start, end = self._text.stretch(a, b - 1)
            mask, (dx, dy) = self._face.getmask2(self._text.string[start:end], "L")
            y = margin + top + dy
            marks.append(InkedLine([(margin + dx, y)], [mask], y, y + mask.size[1]))
        return marks


def below(line: InkedLine, rows: int) -> InkedLine:
    """Return a line so many rows of pixels further down."""
    places = [(x, y + rows) for x, y in line.places]
    return InkedLine(places, line.masks, line.top + rows, line.bottom + rows)
