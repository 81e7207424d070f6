"""Plain texts as units of one glyph each, set as in BASIC layout: characters, and ligatures.

Where all words of a text are plain, of one script, and each is its units side by side (see
`rules`), the text is what `typeset` sets, with libraqm's advances and kerning. So nothing is
measured word by word, and no line is drawn by Pillow.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pagecast.render.glyphs import GlyphAtlas, Ints
from pagecast.render.layouts.raqm.rules import Rules
from pagecast.render.typeset import Text, joined

MAX_WORDS = 65536  # whose units are kept


class Units:
    """The words met so far of one script, as ids of units; None for one that has none."""

    def __init__(self, atlas: GlyphAtlas, rules: Rules) -> None:
        self.atlas, self._rules = atlas, rules
        self._words: dict[str, Ints | None] = {}

    def is_full(self) -> bool:
        """Tell whether so many words are kept that this should be replaced."""
        return len(self._words) > MAX_WORDS

    def of(self, word: str) -> Ints | None:
        """Return the ids of a word's units."""
        if word not in self._words:
            self._words[word] = self._meet(word)
        return self._words[word]

    def _meet(self, word: str) -> Ints | None:
        units = self._rules.units(word)
        if units is None:
            return None
        return np.array([self.atlas.intern_unit(unit) for unit in units], np.int64)


class UnitText(Text):
    """The words of a text as ids of units."""

    def __init__(
        self, words: list[str], atlas: GlyphAtlas, ids: Sequence[Ints], spaced: Sequence[int]
    ) -> None:
        self.words, self.atlas = words, atlas
        self.string = joined(words, spaced)
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        gaps = np.array(spaced, np.int64)
        self.ends = np.cumsum(lengths + gaps) - gaps
        self.starts = self.ends - lengths
        total = int(self.ends[-1])
        is_space = np.zeros(total + 1, bool)
        is_space[self.ends[gaps > 0]] = True
        self.ids = np.full(total, atlas.intern_unit(" "), np.int64)
        self.ids[~is_space[:total]] = np.concatenate(ids)
        self._look_up()
        characters = np.fromiter(map(len, words), np.int64, len(words))
        self._ends = np.cumsum(characters + gaps) - gaps
        self._starts = self._ends - characters

    def stretch(self, first: int, last: int) -> str:
        """Return the text of a line of these words, the last included."""
        return self.string[self._starts[first] : self._ends[last]]
