"""Where the lines of a text may end: between its units, each of which stays whole on a line.

By `spaces` units are words. By `unicode` they are what the line breaking algorithm of Unicode
(UAX #14) keeps together, with dictionaries for scripts without spaces, as ICU has both; it is
imported when it is first asked, and counts in 16-bit units, here it is characters.
"""

from __future__ import annotations

import re
import threading
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_SURROGATE = re.compile("[\ud800-\udfff]")
_ASCII = re.compile("[\\x00-\\x7f]*")
_iterators = threading.local()  # each is for one thread at a time


class Unit(NamedTuple):
    """A stretch of a text that stays whole; a space after it is dropped at the end of a line."""

    start: int
    end: int


def require_icu() -> None:
    """Check that ICU can be asked.

    Raises:
      ValueError: it is not installed.
    """
    try:
        import icu  # noqa: F401
    except ImportError as error:
        raise ValueError(
            f"line_break 'unicode' needs PyICU ({error}): pip install 'pagecast[harfbuzz]'"
        ) from error


def break_units(text: str, line_break: str) -> list[Unit]:
    """Return the units of a text, whose words are joined by single spaces."""
    starts = line_starts(text) if line_break == "unicode" else word_starts(text)
    ends = [*starts[1:], len(text) + 1][: len(starts)]
    return [
        Unit(start, end - 1 if text[end - 1 : end] in (" ", "") else end)
        for start, end in zip(starts, ends, strict=True)
    ]


def word_starts(text: str) -> list[int]:
    """Return where the words of a text start."""
    return [0, *(i + 1 for i, c in enumerate(text) if c == " ")] if text else []


def line_starts(text: str) -> list[int]:
    """Return where a line may start in a text."""
    return _pieces(text, "createLineInstance")


def clusters_of(text: str) -> list[int]:
    """Return where the grapheme clusters of a text start (UAX #29)."""
    if _ASCII.fullmatch(text):
        return list(range(len(text)))
    return _pieces(text, "createCharacterInstance")


def clusters(text: str, unit: Unit) -> list[Unit]:
    """Return the grapheme clusters of a unit: what it is broken into where it is too wide.

    A space between them is not a unit; it may be dropped as any other.
    """
    starts = [unit.start + at for at in clusters_of(text[unit.start : unit.end])]
    return [
        Unit(start, end)
        for start, end in zip(starts, [*starts[1:], unit.end], strict=True)
        if text[start:end] != " "
    ]


def well_formed(text: str) -> str:
    """Return a text with U+FFFD in place of each lone surrogate, which ICU does not take."""
    return _SURROGATE.sub("\ufffd", text)


def utf16_starts(text: str) -> NDArray[np.int64]:
    """Return where each character of a text starts in 16-bit units."""
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    return np.arange(len(text)) + np.cumsum(codes > 0xFFFF) - (codes > 0xFFFF)


def _pieces(text: str, kind: str) -> list[int]:
    """Return where the pieces start that a kind of iterator finds."""
    import icu

    if not text:
        return []
    if not hasattr(_iterators, kind):
        setattr(_iterators, kind, getattr(icu.BreakIterator, kind)(icu.Locale.getRoot()))
    iterator, text = getattr(_iterators, kind), well_formed(text)
    whole = icu.UnicodeString(text)  # it has to outlive what refers to it
    iterator.setText(whole)
    starts, ends = utf16_starts(text), list(iterator)
    if len(starts) < len(whole):
        ends = np.searchsorted(starts, ends).tolist()
    return [0, *ends[:-1]]
