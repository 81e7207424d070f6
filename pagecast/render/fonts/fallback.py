"""Which of several fonts draws a character: the first that has it."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import groupby

from pagecast.render.fonts.characters import DEFAULT_IGNORABLE


def clings(character: str) -> bool:
    """Tell whether a character stays with the one before it where it can.

    White space, marks and default-ignorable characters: a font that joins or places them does so
    within its own run of characters.
    """
    return (
        character.isspace()
        or unicodedata.category(character)[0] == "M"
        or DEFAULT_IGNORABLE.match(character) is not None
    )


class Fallback:
    """Several fonts in their order, by the code points that each has."""

    def __init__(self, covered: Sequence[frozenset[int]]) -> None:
        self.covered = covered
        self._met: dict[str, tuple[list[int], bool]] = {}

    def owners(self, text: str) -> list[int]:
        """Return which font draws each character of a text.

        It is the first that has it, and the first of all where none has. A character that clings is
        drawn by the font of the one before if that has it, or if none has.
        """
        owners: list[int] = []
        before = 0
        for character in text:
            having, stays = self._met.get(character) or self._meet(character)
            if not stays or (having and before not in having):
                before = having[0] if having else 0
            owners.append(before)
        return owners

    def _meet(self, character: str) -> tuple[list[int], bool]:
        """Return which fonts have a character, and whether it clings; kept, as there are few."""
        having = [n for n, codes in enumerate(self.covered) if ord(character) in codes]
        self._met[character] = having, clings(character)
        return self._met[character]


def runs(owners: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return the stretches of one font: its number, where the stretch starts, and its end."""
    found, start = [], 0
    for owner, group in groupby(owners):
        end = start + sum(1 for _ in group)
        found.append((owner, start, end))
        start = end
    return found
