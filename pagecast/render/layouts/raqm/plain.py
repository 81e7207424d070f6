"""Plain lines: those that libraqm lays out as their words side by side, and how wide they are.

A plain line has words of one left-to-right script without marks, and what all scripts share, such
as digits: libraqm makes a single run of one direction and one script of it. Where the font's
rules let words stand alone (see `rules`), each is as it is alone, moved by the advances of those
before it. A word that keeps its glyphs is in turn its letters side by side, kerned in pairs as in
BASIC layout; any other one Pillow measures alone.

A word that only has shared characters takes the script of the words around it, so it is measured
beside a letter of that script, and a line of only such words is not counted as plain.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from fontTools.unicodedata import script as unicode_script
from PIL import ImageFont

from pagecast.render.glyphs import UNIT, nearest_pixel
from pagecast.render.typeset import SetText

SHARED = ""  # the script of characters that all scripts share
PLAIN_SCRIPTS = {"Latn": "x", "Cyrl": "х", "Grek": "χ"}  # and a letter of each
PLAIN_RANGES = [(0x21, 0x2FF), (0x370, 0x52F), (0x1E00, 0x1FFF), (0x2010, 0x2BFF)]
FRACTION_SLASH = "\u2044"  # HarfBuzz shapes the digits beside it
PLAIN_CATEGORIES = "LNPS"  # letters, numbers, punctuation, symbols: no marks, controls, formats
PLAIN_BIDI_CLASSES = {"L", "EN", "ES", "ET", "CS", "ON"}  # at most neutral: no right-to-left


@lru_cache(maxsize=4096)
def plain_script(character: str) -> str | None:
    """Return the script of a plain character, `SHARED`, or None of one that is not plain."""
    if (
        not any(low <= ord(character) <= high for low, high in PLAIN_RANGES)
        or unicodedata.category(character)[0] not in PLAIN_CATEGORIES
        or unicodedata.bidirectional(character) not in PLAIN_BIDI_CLASSES
        or character == FRACTION_SLASH
    ):
        return None
    script = unicode_script(character)
    return SHARED if script == "Zyyy" else script if script in PLAIN_SCRIPTS else None


def word_script(word: str) -> str | None:
    """Return the script of a plain word, `SHARED`, or None of a word that is not plain."""
    scripts = {plain_script(character) for character in word} - {SHARED}
    return scripts.pop() if len(scripts) == 1 else None if scripts else SHARED


class Extent(NamedTuple):
    """What a word takes up where it starts a line.

    advance: how far it moves the pen, in 1/64 px.
    left, right: bounds in px of its glyphs and of the pen's way.
    sure_left, sure_right: in px, how far out these certainly are; 0 is always certain.
    """

    advance: int
    left: int
    right: int
    sure_left: int
    sure_right: int


class PlainLine:
    """Bounds on the width in px of a plain line that grows by a word and a space at a time.

    Moving glyphs by part of a pixel moves their edges to either of the two pixels beside.

    Args:
      space: the advance of a space in 1/64 px.
    """

    def __init__(self, space: int) -> None:
        self._space = space
        self._pen = self._left = self._right = self._sure_left = self._sure_right = 0

    def add(self, word: Extent) -> None:
        """Put a word at the end, and a space."""
        pen = self._pen
        if pen == 0:
            self._sure_left = word.sure_left
        self._left = min(self._left, word.left + (pen >> 6))
        self._right = max(self._right, word.right - (-pen >> 6))
        self._sure_right = max(
            self._sure_right, word.sure_right + (pen >> 6), nearest_pixel(pen + word.advance)
        )
        self._pen = pen + word.advance + self._space

    def is_wider(self, box: int) -> bool | None:
        """Tell whether the line is wider than `box` px; None where the bounds do not decide."""
        if self._right - self._left <= box:
            return False
        return True if self._sure_right - self._sure_left > box else None


class ShapedSize:
    """What was measured, at one size, of words in plain lines of one script.

    space: the advance of a space in 1/64 px.
    """

    def __init__(self, face: ImageFont.FreeTypeFont, script: str) -> None:
        self._face, self._script = face, script
        self.extents: dict[str, Extent] = {}
        letter = PLAIN_SCRIPTS[script]
        self.space = round((face.getlength(letter + " ") - face.getlength(letter)) * UNIT)

    def measure(self, word: str) -> Extent:
        """Measure a word as part of a plain line."""
        extent = self.extents.get(word)
        if extent is None:
            alone = word_script(word) == self._script
            measure = measure_alone if alone else measure_beside
            extent = measure(word, self._face, PLAIN_SCRIPTS[self._script])
            self.extents[word] = extent
        return extent


def measure_alone(word: str, face: ImageFont.FreeTypeFont, _: str) -> Extent:
    """Measure a word that has letters of its script."""
    left, _top, right, _bottom = (round(side) for side in face.getbbox(word))
    return Extent(round(face.getlength(word) * UNIT), left, right, left, right)


def measure_beside(word: str, face: ImageFont.FreeTypeFont, letter: str) -> Extent:
    """Measure a word that takes the script of a letter two characters away."""
    before, after = letter + " ", " " + letter
    start = round(face.getlength(before) * UNIT)
    right = round(face.getbbox(before + word)[2]) - (start >> 6)
    left = round(face.getbbox(word + after)[0])
    return Extent(round(face.getlength(before + word) * UNIT) - start, left, right, 0, 0)


def extents(words: SetText) -> Iterator[Extent]:
    """Measure words that keep their glyphs, letter by letter."""
    text, glyphs, pen = words.text, words.glyphs, words.pen
    first, last = text.starts, text.ends - 1
    start, end = pen[first], pen[last] + glyphs.advance[text.ids[last]]
    inside = np.column_stack([first, text.ends]).ravel()[:-1]  # from word to space to word
    edges, reaches = pen + glyphs.left[text.ids], pen + glyphs.reach[text.ids]
    columns = (
        end - start,
        nearest_pixel(np.minimum.reduceat(edges, inside)[::2] - start),
        nearest_pixel(np.maximum.reduceat(reaches, inside)[::2] - start),
        nearest_pixel(edges[first] - start),
        nearest_pixel(pen[last] + glyphs.sure_reach[text.ids[last]] - start),
    )
    return map(Extent, *(column.tolist() for column in columns))
