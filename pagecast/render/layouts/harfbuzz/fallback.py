"""Which of several fonts draws a grapheme cluster: the first that has all of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import pairwise

from pagecast.render.breaking import clusters_of
from pagecast.render.fonts.characters import DEFAULT_IGNORABLE


class ClusterFallback:
    """Several fonts in their order, by the code points that each has."""

    def __init__(self, covered: Sequence[frozenset[int]]) -> None:
        self._covered = covered
        self._met: dict[str, int] = {}

    def owners(self, text: str) -> list[int]:
        """Return which font draws each character of a text; spaces go with what is before them."""
        if len(self._covered) == 1:
            return [0] * len(text)
        owners: list[int] = []
        starts, before = clusters_of(text), 0
        for start, end in pairwise([*starts, len(text)]):
            cluster = text[start:end]
            if not (cluster.isspace() and self._has(before, cluster)):
                if cluster not in self._met:
                    self._met[cluster] = self._meet(cluster)
                before = self._met[cluster]
            owners += [before] * (end - start)
        return owners

    def _meet(self, cluster: str) -> int:
        """Return the first font that has a cluster, or else its first character, or the first."""
        fonts = range(len(self._covered))
        whole = (font for font in fonts if self._has(font, cluster))
        letter = (font for font in fonts if ord(cluster[0]) in self._covered[font])
        return next(whole, next(letter, 0))

    def _has(self, font: int, cluster: str) -> bool:
        """Tell whether a font has all that is to be seen of a cluster, as it is or composed."""
        return any(
            all(
                ord(character) in self._covered[font] or DEFAULT_IGNORABLE.match(character)
                for character in unicodedata.normalize(form, cluster)
            )
            for form in ("NFC", "NFD")
        ) or all(ord(character) in self._covered[font] for character in cluster)
