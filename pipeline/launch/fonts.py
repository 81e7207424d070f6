"""The fonts of this machine, and which of them a text needs: `--font auto`."""

from __future__ import annotations

import io
import os
import subprocess
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from typing import Any, NamedTuple

from fontTools.ttLib import TTCollection, TTFont, TTLibError

from pagecast.render.fonts.characters import COLOUR, DEFAULT_IGNORABLE, OUTLINES, script_of
from pipeline.options import BUILTIN
from pipeline.progress.terminal import note, say

SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")
REGULAR, NORMAL = 400, 5  # OS/2's weight and width of what text is set in
ITALIC = 1  # a bit of OS/2's fsSelection
# Families, the preferred first: plain ones for text, then others of that project, then any.
FAMILIES = ("Noto Sans", "Noto Naskh", "Noto Serif", "Noto ")
NOT_FOR_TEXT = ("Mono", "Display", "UI", "Kufi", "Slanted", "Looped", "Condensed", "Symbols")
MOST_FONTS = 8
NEARLY = 0.8  # of what the font that has most has: a preferred one with so much comes first


class Installed(NamedTuple):
    """A font file, or one of a collection by its number, in the order of preference."""

    rank: tuple[Any, ...]
    path: str
    number: int
    codes: frozenset[int]

    @property
    def name(self) -> str:
        """What `--font` would be."""
        return f"{self.path}#{self.number}" if self.path.endswith(("c", "C")) else self.path


def directories() -> list[str]:
    """Return where fonts are installed, as far as they are there."""
    home = os.path.expanduser("~")
    data = os.environ.get("XDG_DATA_HOME") or os.path.join(home, ".local/share")
    places = [
        "/usr/share/fonts", "/usr/local/share/fonts", os.path.join(data, "fonts"),
        os.path.join(home, ".fonts"), "/System/Library/Fonts", "/Library/Fonts",
        os.path.join(home, "Library/Fonts"),
    ]  # fmt: skip
    return [place for place in places if os.path.isdir(place)]


def files() -> list[str]:
    """Return the paths of the font files of this machine, in order."""
    found = set()
    for place in directories():
        for directory, _, names in os.walk(place):
            found |= {os.path.join(directory, name) for name in names}
    with suppress(OSError, subprocess.SubprocessError):  # fontconfig is not everywhere
        listed = subprocess.run(
            ["fc-list", "--format", "%{file}\n"],
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        found |= set(listed.stdout.splitlines())
    real = {os.path.realpath(path) for path in found if path.lower().endswith(SUFFIXES)}
    return sorted(path for path in real if os.path.isfile(path))


def installed(paths: Iterable[str]) -> list[Installed]:
    """Return the fonts in files that are for text, the preferred ones first."""
    found = [font for path in paths for font in _faces(path)]
    return sorted(found, key=lambda font: (font.rank, font.path, font.number))


def _faces(path: str) -> Iterator[Installed]:
    with suppress(OSError, TTLibError, KeyError, AssertionError, ValueError):
        number = 1
        if path.lower().endswith(("ttc", "otc")):
            with TTCollection(path, lazy=True) as collection:
                number = len(collection.fonts)
        for index in range(number):
            with TTFont(path, fontNumber=index, lazy=True) as face:
                rank = _rank(face)
                if rank is not None:
                    yield Installed(rank, path, index, frozenset(face.getBestCmap() or ()))


def _rank(face: TTFont) -> tuple[Any, ...] | None:
    """Return how much a font is preferred, smaller is better; None if it is not for text."""
    style = face["OS/2"]
    if (
        (style.usWeightClass, style.usWidthClass) != (REGULAR, NORMAL)
        or style.fsSelection & ITALIC
        or any(table in face for table in COLOUR)
        or not any(table in face for table in OUTLINES)
    ):
        return None
    family = str(face["name"].getDebugName(16) or face["name"].getDebugName(1) or "")
    kind = next((n for n, name in enumerate(FAMILIES) if family.startswith(name)), len(FAMILIES))
    return (any(word in family for word in NOT_FOR_TEXT), kind, len(family), family)


def find(texts: Iterable[str]) -> list[str]:
    """Return what `--font` would be for texts, and say so; the built-in font where none is needed.

    Warns of characters that no font of this machine has.
    """
    characters = Counter(chain.from_iterable(texts))
    chosen, missing = choose(characters, installed(files()))
    names = [font.name for font in chosen]
    if missing:
        scripts = ", ".join(f"{n} of {script}" for script, n in scripts_without(missing).items())
        say(
            f"warning: no font of this machine has these characters of the articles that were "
            f"looked at: {scripts}; they will be boxes. Install one (Debian: apt install "
            "fonts-noto-core fonts-noto-cjk, and fonts-noto-extra), or name it with --font"
        )
    note(f"fonts: {', '.join(map(os.path.basename, names)) or 'the built-in one'}")
    return names or [BUILTIN]


class Choice(NamedTuple):
    """The fonts for a text, the first the one with most of it, and what none of them has."""

    fonts: list[Installed]
    missing: dict[int, int]


def choose(characters: Mapping[str, int], fonts: Iterable[Installed]) -> Choice:
    """Return the fonts that characters, each so often in a text, need.

    Again and again the font that has most of what the others lack; of those that have nearly as
    much the preferred one.
    """
    needed = Counter({ord(c): n for c, n in characters.items() if _is_seen(c)})
    fonts, chosen = list(fonts), list[Installed]()
    while needed and len(chosen) < MOST_FONTS:
        counts = [
            (sum(n for code, n in needed.items() if code in font.codes), font) for font in fonts
        ]
        most = max((count for count, _ in counts), default=0)
        if not most:
            break
        best = next(font for count, font in counts if count >= NEARLY * most)
        chosen.append(best)
        needed = Counter({code: n for code, n in needed.items() if code not in best.codes})
    return Choice(chosen, dict(needed))


def _is_seen(character: str) -> bool:
    return not (
        character.isspace()
        or DEFAULT_IGNORABLE.match(character)
        or unicodedata.category(character) in ("Cc", "Cn", "Co", "Cs")
    )


def scripts_without(missing: Mapping[int, int]) -> dict[str, int]:
    """Return by script how many characters of a text no font has, the most first."""
    found: Counter[str] = Counter()
    for code, count in missing.items():
        found[script_of(chr(code))] += count
    return dict(found.most_common())


def read_face(path: str, index: int) -> bytes:
    """Return a font of a collection as a file of its own, always the same bytes."""
    with TTFont(path, fontNumber=index, recalcTimestamp=False, recalcBBoxes=False) as face:
        file = io.BytesIO()
        face.save(file)
        return file.getvalue()
