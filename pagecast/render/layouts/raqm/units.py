"""Words as libraqm sets them: units of one glyph each, or odd words that Pillow has to set.

libraqm makes a single run of a line whose words have one left-to-right script, no marks, and what
all scripts share, such as digits. Where the font's rules let words stand alone (see `rules`), it
is its words side by side; and where they only put ligatures together and kern pairs, a word is
its units side by side, which is what `typeset` sets. Words of shared characters alone take
the script of the line, so they are units only where it makes no difference to them.

A guest, a plain word with letters of another script, is a run or two of its own. Which run the
shared characters beside it are of depends on the line, so it is units only where these are never
kerned (`Words.is_loose`).

Of any other word, bounds on its width are known: what it measures by itself, give or take what
its neighbours may change. They say where a line ends, or that Pillow must be asked.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from fontTools.unicodedata import script as unicode_script

from pagecast.render.fonts.faces import Faces
from pagecast.render.glyphs import COMPARED_AT, UNIT, GlyphAtlas
from pagecast.render.layouts.raqm.rules import Rules

SHARED = ""  # the script of characters that all scripts share
PLAIN_SCRIPTS = {"Latn": "x", "Cyrl": "х", "Grek": "χ"}  # and a letter of each
PLAIN_RANGES = [(0x21, 0x2FF), (0x370, 0x52F), (0x1E00, 0x1FFF), (0x2010, 0x2BFF)]
FRACTION_SLASH = "\u2044"  # HarfBuzz shapes the digits beside it
PLAIN_CATEGORIES = "LNPS"  # letters, numbers, punctuation, symbols: no marks, controls, formats
PLAIN_BIDI_CLASSES = {"L", "EN", "ES", "ET", "CS", "ON"}  # at most neutral: no right-to-left
MAX_WORDS = 65536  # kept
# In 1/64 em: how far an odd word's sides may be from where they are when it stands alone, as far as
# its own ink overhangs not counted. Plain ones may be kerned otherwise; any other may turn around,
# join, or lose a dotted circle.
PLAIN_SLACK, ODD_SLACK = UNIT // 4, UNIT * 3 // 2


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


@lru_cache(maxsize=MAX_WORDS)
def word_script(word: str) -> str | None:
    """Return the script of a plain word, `SHARED`, or None of a word that is not plain."""
    scripts = {plain_script(character) for character in word} - {SHARED}
    return scripts.pop() if len(scripts) == 1 else None if scripts else SHARED


def is_opening(character: str) -> bool:
    """Tell whether a character opens brackets or quotes."""
    return character == "<" or unicodedata.category(character) in ("Ps", "Pi")


def is_closing(character: str) -> bool:
    """Tell whether a character closes brackets or quotes."""
    return character == ">" or unicodedata.category(character) in ("Pe", "Pf")


class Word(NamedTuple):
    """A word as ids of an atlas: those of its units, or that of an odd word, which has slack."""

    ids: list[int]
    slack: int = 0
    is_guest: bool = False


class Words:
    """The words met so far in texts of one plain script, and what they are in an atlas."""

    def __init__(self, script: str, atlas: GlyphAtlas, faces: Faces, rules: Rules) -> None:
        self.atlas = atlas
        self.script, self._faces, self._rules = script, faces, rules
        self._met: dict[str, Word] = {}
        self._same: dict[tuple[str, str], bool] = {}
        self._loose: dict[tuple[str, str], bool] = {}
        self._odd: dict[str, Word] = {}

    def is_full(self) -> bool:
        """Tell whether so much is kept that this should be replaced."""
        return len(self._met) > MAX_WORDS or self.atlas.is_full()

    def of(self, word: str) -> Word:
        """Return what a word is."""
        if word not in self._met:
            self._met[word] = self._meet(word)
        return self._met[word]

    def _meet(self, word: str) -> Word:
        script = word_script(word)
        units = None
        if script == self.script or (script == SHARED and self._is_the_same_anywhere(word)):
            units = self._rules.units(word)
        if units is not None:
            return Word([self.atlas.intern_unit(unit) for unit in units])
        is_plain = None not in map(plain_script, word)
        if is_plain and script != SHARED and self._rules.keep(word) and self.is_loose(word):
            return Word([self.atlas.intern_unit(unit) for unit in word], is_guest=True)
        return self.odd(word)

    def odd(self, word: str) -> Word:
        """Return a word as an odd one, whatever it is."""
        if word not in self._odd:
            slack = PLAIN_SLACK if None not in map(plain_script, word) else ODD_SLACK
            self._odd[word] = Word([self.atlas.intern_odd(word)], slack)
        return self._odd[word]

    def is_loose(self, word: str) -> bool:
        """Tell whether shared characters of a plain word are never kerned, in any plain script.

        Nor may a bracket be opened and not closed: the other one, wherever it is, would be of the
        script of this one.
        """
        return word.isalpha() or (
            sum(is_opening(c) for c in word) <= sum(is_closing(c) for c in word)
            and all(map(self._is_loose_pair, pairwise(word)))
        )

    def _is_loose_pair(self, pair: tuple[str, str]) -> bool:
        if SHARED not in map(plain_script, pair):
            return True
        if pair not in self._loose:
            try:
                length = self._faces[COMPARED_AT].getlength
                apart, both = sum(map(length, pair)), "".join(pair)
                self._loose[pair] = length(both) == apart and all(
                    length(f"{letter} {both}") - length(f"{letter} ") == apart
                    for letter in PLAIN_SCRIPTS.values()
                )
            except OSError:  # a bitmap font, which has few sizes
                self._loose[pair] = False
        return self._loose[pair]

    def _is_the_same_anywhere(self, word: str) -> bool:
        """Tell whether a word of shared characters is set alike in this script and in none."""
        return self._rules.keep(word) and all(map(self._are_the_same_anywhere, pairwise(word)))

    def _are_the_same_anywhere(self, pair: tuple[str, str]) -> bool:
        """Tell whether two shared characters are kerned alike in this script and in none."""
        if pair not in self._same:
            before, both = PLAIN_SCRIPTS[self.script] + " ", "".join(pair)
            try:
                length = self._faces[COMPARED_AT].getlength
                self._same[pair] = length(before + both) - length(before) == length(both)
            except OSError:  # a bitmap font, which has few sizes
                self._same[pair] = False
        return self._same[pair]
