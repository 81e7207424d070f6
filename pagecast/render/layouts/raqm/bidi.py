"""The runs of a line in several fonts, from left to right.

The order is that of Unicode's bidirectional algorithm over the whole line, by FriBidi: the very
library that libraqm asks within Pillow, so that a line in several fonts has the order that it has
in one. A run has one font and one level; Pillow lays it out by itself, in the level's direction.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from itertools import groupby
from typing import NamedTuple

from pagecast.render.characters import DEFAULT_IGNORABLE
from pagecast.render.fallback import clings

# As Pillow looks for it where it was built without.
LIBRARIES = (
    "libfribidi.so.0",
    "libfribidi.so",
    "libfribidi.0.dylib",
    "libfribidi.dylib",
    "fribidi",
)
BY_FIRST_STRONG, LEFT_TO_RIGHT, RIGHT_TO_LEFT = 0x40, 0x110, 0x111  # FriBidiParType


class Run(NamedTuple):
    """A stretch of a line's text, which font it is in, and "ltr" or "rtl"."""

    owner: int
    start: int
    end: int
    direction: str


def require_fribidi() -> None:
    """Check that FriBidi can be asked.

    Raises:
      ValueError: it is not found.
    """
    if _fribidi() is None:
        raise ValueError(
            "layout 'raqm' with several fonts needs FriBiDi as a shared library; install it "
            "(Debian and Ubuntu: apt-get install libfribidi0), or choose one font"
        )


def visual_runs(text: str, owners: Sequence[int]) -> list[Run]:
    """Return the runs of a line, the leftmost first.

    One that has nothing to see is left out: libraqm fails where a font has no glyph at all for it.

    Args:
      owners: which font each character is in.
    """
    found = []
    start = 0
    for (owner, level), group in groupby(zip(owners, levels(text), strict=True)):
        end = start + len(list(group))
        for a, b in whole_or_apart(text[start:end], level):
            found.append((level, Run(owner, start + a, start + b, "rtl" if level % 2 else "ltr")))
        start = end
    return [run for run in in_order(found) if not is_invisible(text[run.start : run.end])]


def is_invisible(text: str) -> bool:
    """Tell whether a text has default-ignorable characters only."""
    return all(DEFAULT_IGNORABLE.match(character) for character in text)


def in_order(found: list[tuple[int, Run]]) -> list[Run]:
    """Put runs with their levels into visual order: rule L2."""
    for level in range(max((level for level, _ in found), default=0), 0, -1):
        turned: list[tuple[int, Run]] = []
        for is_inside, group in groupby(found, lambda one: one[0] >= level):  # noqa: B023
            stretch = list(group)
            turned += stretch[::-1] if is_inside else stretch
        found = turned
    return [run for _, run in found]


def whole_or_apart(text: str, level: int) -> list[tuple[int, int]]:
    """Return a run as it is, or character by character where alone it would turn around.

    Only so where a directional override, which is outside the run, is what gave it its direction.
    """
    alone = levels(text, RIGHT_TO_LEFT if level % 2 else LEFT_TO_RIGHT)
    if all(each % 2 == level % 2 for each in alone):
        return [(0, len(text))]
    starts = [i for i, character in enumerate(text) if i == 0 or not clings(character)]
    return list(zip(starts, [*starts[1:], len(text)], strict=True))


def levels(text: str, paragraph: int = BY_FIRST_STRONG) -> list[int]:
    """Return the embedding level of each character of a line: odd ones go from right to left."""
    library, length = _fribidi(), len(text)
    assert library is not None, "it was looked for when the renderer was made"
    if not length:
        return []
    codes = (ctypes.c_uint32 * length)(*map(ord, text))
    types, brackets = (ctypes.c_uint32 * length)(), (ctypes.c_uint32 * length)()
    base, found = ctypes.c_uint32(paragraph), (ctypes.c_int8 * length)()
    library.fribidi_get_bidi_types(codes, length, types)
    library.fribidi_get_bracket_types(codes, length, types, brackets)
    done = library.fribidi_get_par_embedding_levels_ex(
        types, brackets, length, ctypes.byref(base), found
    )
    if not done:
        raise MemoryError("FriBidi found no levels")
    return list(found)


@cache
def _fribidi() -> ctypes.CDLL | None:
    for name in LIBRARIES:
        try:
            library = ctypes.CDLL(name)
            library.fribidi_get_par_embedding_levels_ex.restype = ctypes.c_int8
        except (OSError, AttributeError):  # not there, or older than brackets
            continue
        return library
    return None
