"""Where the lines of a text may end: between its units, each of which stays whole on a line.

By `spaces` units are words. By `unicode` they are what the line breaking algorithm of Unicode
(UAX #14) keeps together, as the package uniseg finds it. That takes a millisecond for a few
characters, so it is only asked about short patterns, and each is kept. A pattern has one and the
same character for all that are alike to the rules, and is cut where the rules see no further:

- between two ideographs or Hangul syllables, where a line may always end;
- at a space: no rule but those about what follows a space looks past one, and those see at most
  two characters, with their marks, on each side;
- from long runs of letters, of digits and of marks what is between the first and the last is left
  out. No line may end there, and no rule counts them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

LINE_BREAKS = ("spaces", "unicode")
SEEN_PAST_A_SPACE = 6  # characters: two, each with what is left of its marks
MOST_MARKS = 30  # of those on one character, which are looked at for its cluster
SPECIAL = "\u2010\u25cc"  # the rules name them
ZWJ = "\u200d"
BETWEEN_ASCII = re.compile("(?<=[ -~])(?=[ -~])")  # where clusters always end


class Unit(NamedTuple):
    """A stretch of a text that stays whole; a space after it is dropped at the end of a line."""

    start: int
    end: int


def break_units(text: str, line_break: str) -> list[Unit]:
    """Return the units of a text, whose words are joined by single spaces."""
    return units_from(text, line_starts(text) if line_break == "unicode" else word_starts(text))


def units_from(text: str, starts: Sequence[int]) -> list[Unit]:
    """Return the units of a text that start at these characters, the first of them 0."""
    ends = [*starts[1:], len(text) + 1][: len(starts)]
    return [
        Unit(start, end - 1 if text[end - 1 : end] in (" ", "") else end)
        for start, end in zip(starts, ends, strict=True)
    ]


def word_starts(text: str) -> list[int]:
    """Return where the words of a text start."""
    return [0, *(i + 1 for i, c in enumerate(text) if c == " ")] if text else []


def line_starts(text: str) -> list[int]:
    """Return where the rules of Unicode let a line start."""
    starts: list[int] = []
    before, at = "", 0
    for word in text.split(" ") if text else ():
        inside, first, last = look_at(word)
        if not starts or starts_after_space(before, first):
            starts.append(at)
        starts.extend(at + i for i in inside)
        before, at = last, at + len(word) + 1
    return starts


@lru_cache(maxsize=1 << 14)
def look_at(word: str) -> tuple[tuple[int, ...], str, str]:
    """Return where a line may start in a word, and what is seen of it past a space.

    The latter is a pattern of the word's first characters, and one of its last.
    """
    pattern = "".join(map(stand_in, word))
    kept = [i for i in range(len(pattern)) if not _is_inner(pattern, i)]
    short = "".join(pattern[i] for i in kept)
    starts = tuple(kept[i] for i in starts_in_word(short))
    return starts, short[:SEEN_PAST_A_SPACE], short[-SEEN_PAST_A_SPACE:]


def starts_in_word(pattern: str) -> Iterator[int]:
    """Yield where a line may start in a word, the word's own start left out."""
    start = 0
    for i in range(1, len(pattern) + 1):
        certain = i < len(pattern) and {_class(pattern[i - 1]), _class(pattern[i])} <= FULL
        if certain or i == len(pattern):
            yield from (start + at for at in _starts_in(pattern[start:i]))
            if certain:
                yield i
            start = i


@lru_cache(maxsize=1 << 16)
def starts_after_space(before: str, after: str) -> bool:
    """Tell whether a line may start after the space between two patterns."""
    return len(before) + 1 in _starts_in(f"{before} {after}")


@lru_cache(maxsize=1 << 16)
def _starts_in(pattern: str) -> tuple[int, ...]:
    """Return where a line may start in a pattern, as the library says; not at its own start.

    A space is put behind it, which to the rules is as good as the end of the text. The library
    does not always see the end behind marks.
    """
    from uniseg.linebreak import line_break_breakables  # only for those who want it

    return tuple(i for i, may in enumerate(line_break_breakables(f"{pattern} ")) if may)


FULL = {"ID", "H2", "H3"}  # ideographs, kana and pictographs; syllables
RUNS = {"AL", "HL", "NU"}
MARKS = {"CM", "ZWJ"}


def _is_inner(pattern: str, i: int) -> bool:
    """Tell whether a character is inside a run of letters, digits or marks."""
    three = pattern[max(0, i - 1) : i + 2]
    if len(three) < 3:
        return False
    if _class(pattern[i]) in RUNS:
        return len(set(three)) == 1
    return {_class(character) for character in three} <= MARKS


_stand_ins: dict[tuple[object, ...], str] = {}


@lru_cache(maxsize=1 << 16)
def stand_in(character: str) -> str:
    """Return a character that is to the rules what this one is: the first that was met."""
    from uniseg.emoji import extended_pictographic
    from uniseg.unicodedatawrapper import category, east_asian_width

    kind = category(character).name
    key = (
        _class(character),
        kind if kind in ("PI", "PF") else "",
        east_asian_width(character).name in ("F", "W", "H"),
        kind == "CN" and bool(extended_pictographic(character)),
        character if character in SPECIAL else "",
    )
    return _stand_ins.setdefault(key, character)


@lru_cache(maxsize=1 << 16)
def _class(character: str) -> str:
    """Return a character's class, those resolved that rule LB1 resolves."""
    from uniseg.linebreak import line_break

    found = line_break(character).name
    if found in ("AI", "SG", "XX"):
        return "AL"
    if found == "SA":
        return "CM" if unicodedata.category(character) in ("Mn", "Mc") else "AL"
    return "NS" if found == "CJ" else found


def clusters(text: str, unit: Unit) -> list[Unit]:
    """Return the grapheme clusters of a unit: what it is broken into where it is too wide.

    A space between them is not a unit; it may be dropped as any other.
    """
    starts = cluster_starts(text[unit.start : unit.end])
    return [
        Unit(unit.start + a, unit.start + b)
        for a, b in zip(starts, (*starts[1:], unit.end - unit.start), strict=True)
        if text[unit.start + a : unit.start + b] != " "
    ]


@lru_cache(maxsize=1 << 10)
def cluster_starts(text: str) -> tuple[int, ...]:
    """Return where the grapheme clusters of a text start (UAX #29).

    Of very many marks on one character only the last are looked at.
    """
    kept, marks = [], 0
    for i in reversed(range(len(text))):
        marks = marks + 1 if _is_mark(text[i]) else 0
        if marks <= MOST_MARKS:
            kept.append(i)
    kept.reverse()
    starts: list[int] = []
    at = 0
    for piece in BETWEEN_ASCII.split("".join(text[i] for i in kept)):
        starts.extend(kept[at + i] for i in _clusters_in(piece))
        at += len(piece)
    return tuple(starts)


@lru_cache(maxsize=1 << 12)
def _clusters_in(piece: str) -> tuple[int, ...]:
    from uniseg.graphemecluster import grapheme_cluster_breakables

    return tuple(i for i, may in enumerate(grapheme_cluster_breakables(piece)) if may)


def _is_mark(character: str) -> bool:
    return character == ZWJ or unicodedata.category(character)[0] == "M"
