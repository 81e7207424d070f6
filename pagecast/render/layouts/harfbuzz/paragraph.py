"""What Unicode says of a text as one paragraph: directions and scripts.

Both by ICU, and counted in characters of the text, not in ICU's 16-bit units.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import NamedTuple

import icu
import numpy as np
from numpy.typing import NDArray

from pagecast.render.breaking import Source, utf16_starts

# Without any of these a text runs from left to right all through: right-to-left letters, Arabic
# digits, and the marks, embeddings, overrides and isolates of the bidirectional algorithm.
_RIGHT_TO_LEFT = re.compile(
    "[\u0590-\u08ff\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufeff"
    "\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
_COMMON, _INHERITED = 0, 1  # ICU's numbers for characters of no script of their own


class Run(NamedTuple):
    """A stretch of a text in one font, one script (ISO 15924) and one embedding level."""

    start: int
    end: int
    font: int
    script: str
    level: int


def levels_of(text: str) -> tuple[int, Sequence[int]]:
    """Return the paragraph's level, 1 where it runs from right to left, and each character's."""
    if not _RIGHT_TO_LEFT.search(text):
        return 0, [0] * len(text)
    bidi = icu.Bidi()
    whole = icu.UnicodeString(text)  # it has to outlive what refers to it
    bidi.setPara(whole, icu.Bidi.DEFAULT_LTR)
    return bidi.getParaLevel(), np.array(bidi.getLevels(), np.uint8)[utf16_starts(text)].tolist()


def levels_of_all(source: Source) -> tuple[list[int], Sequence[int]]:
    """Return the level of each paragraph of a text, and each character's."""
    bases, levels = [], list[int]()
    for text in source.paragraphs():
        base, inside = levels_of(text)
        bases.append(base)
        levels += [*inside, base] if text else []  # the space before the next one
    return bases, levels[: len(source.text)]


def visual_order(runs: Sequence[Run]) -> list[Run]:
    """Return the runs of a line from left to right: rule L2 of UAX #9."""
    runs = list(runs)
    for level in range(max((run.level for run in runs), default=0), 0, -1):
        turned: list[Run] = []
        stretch: list[Run] = []
        for run in runs:
            if run.level >= level:
                stretch.append(run)
            else:
                turned += [*reversed(stretch), run]
                stretch = []
        runs = [*turned, *reversed(stretch)]
    return runs


def scripts_of(text: str) -> NDArray[np.int64]:
    """Return ICU's number of each character's script.

    A character of no script of its own, such as a space or a mark, is of that before it, and the
    first ones of that of the first letter. Where there is kana, Japanese is one script: it changes
    between its three every few characters, and fonts treat them alike.
    """
    codes, where = np.unique(_codes(text), return_inverse=True)
    scripts = np.array([_script_of(code) for code in codes.tolist()], np.int64)[where]
    own = np.flatnonzero((scripts != _COMMON) & (scripts != _INHERITED))
    if not len(own):
        return np.full(len(text), _COMMON)
    places = np.searchsorted(own, np.arange(len(text)), "right") - 1
    found = scripts[own[np.maximum(places, 0)]]
    kana = (found == icu.UScriptCode.HIRAGANA) | (found == icu.UScriptCode.KATAKANA)
    if kana.any():
        found[kana | (found == icu.UScriptCode.HAN)] = icu.UScriptCode.HIRAGANA
    return found


def runs_of(text: str, owners: Sequence[int], levels: Sequence[int]) -> list[Run]:
    """Return the runs of a text in its own order; `owners` says which font draws a character."""
    if not text:
        return []
    kinds = np.array([owners, scripts_of(text), levels], np.int64)
    starts = [0, *(np.flatnonzero(np.diff(kinds).any(axis=0)) + 1).tolist()]
    return [
        Run(start, end, int(kinds[0, start]), _name(int(kinds[1, start])), int(kinds[2, start]))
        for start, end in zip(starts, [*starts[1:], len(text)], strict=True)
    ]


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)


@lru_cache(maxsize=1 << 16)
def _script_of(code: int) -> int:
    return int(icu.Script.getScript(code).getScriptCode())


@cache
def _name(script: int) -> str:
    return str(icu.Script(script).getShortName())
