"""Which characters of a text a reader does not see: boxes on the page, and blanks.

Basic layout draws the font's box for each character that the font does not map to a glyph, also
where it is meant to be invisible. HarfBuzz, which raqm has, draws nothing for most of these, and
puts some characters together from others. A blank is a letter, digit or sign whose glyph has no
ink, as in colour fonts, whose images are not drawn.
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache

from fontTools.ttLib import TTFont, TTLibError
from fontTools.unicodedata import script, script_name
from PIL import ImageFont

from pagecast.render.fonts.faces import open_face
from pagecast.render.glyphs import Mask

# Default_Ignorable_Code_Point of Unicode 16 (DerivedCoreProperties.txt): joiners, variation
# selectors, bidi controls and the like. They are meant to be invisible.
DEFAULT_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
VISIBLE = "LMNPS"  # categories: letters, marks, numbers, punctuation, symbols
# Without ink in good fonts: Braille for nothing, "an object", a notehead that is none, and what
# only becomes a line between Arabic letters.
BLANK = "\u2800\ufffc\U0001d159\u0640"
LOOKED_AT = 100  # px; hinting may leave nothing of thin lines at small sizes
HYPHENS = {"\u2011": "\u2010"}
REPLACEMENT, CIRCLE = "\ufffd", "\u25cc"
COLOUR = ("COLR", "CBDT", "sbix", "SVG ")  # tables of coloured glyphs
OUTLINES = ("glyf", "CFF ", "CFF2")
ADVICE = "choose a font with outlines, for emoji for example Noto Emoji"


@lru_cache(maxsize=4)
def covered_codepoints(font: bytes) -> frozenset[int]:
    """Return the code points that the font file (its first face) maps to a glyph, not to its box.

    Raises:
      ValueError: it is not a TrueType or OpenType font, or has no Unicode character map.
    """
    try:
        opened = TTFont(io.BytesIO(font), fontNumber=0, lazy=True)
    except TTLibError as error:  # Pillow opens more, Type 1 and bitmap fonts for example
        raise ValueError(f"it is not a TrueType or OpenType font ({error})") from error
    with opened as face:
        cmap = face.getBestCmap()
        if cmap is None:
            raise ValueError("the font has no Unicode character map; choose another font")
        glyphs = range(1, face["maxp"].numGlyphs)  # FreeType takes any other for the box
        return frozenset(code for code, name in cmap.items() if face.getGlyphID(name) in glyphs)


class MissingGlyphs:
    """Counts what a reader misses of texts that are set in some fonts.

    Args:
      fonts: each character is drawn by the first that has it.
      layout: "basic", "raqm" or "harfbuzz".
    """

    def __init__(self, fonts: Sequence[bytes], layout: str) -> None:
        self._covered = [covered_codepoints(font) for font in fonts]
        self._inks = [Ink(font) for font in fonts]
        self._is_shaped = layout != "basic"
        self._shaped = Ink(fonts[0], ImageFont.Layout.RAQM) if layout == "raqm" else None
        self._met: dict[str, bool] = {}

    def count(self, text: str) -> int:
        """Count the characters of `text` as it is set, each occurrence, that are not seen."""
        words = text.split()
        missing = count_in(" ".join(words), self._is_missing)
        if missing and self._is_shaped:
            missing = sum(min(self._count(w), self._count(composed(w))) for w in words)
        return missing

    def _count(self, word: str) -> int:
        return count_in(word, self._is_missing)

    def _is_missing(self, character: str) -> bool:
        if character not in self._met:
            self._met[character] = self._meet(character)
        return self._met[character]

    def _meet(self, character: str) -> bool:
        for covered, ink in zip(self._covered, self._inks, strict=True):
            if ord(character) in covered:
                return is_visible(character) and not ink.shows(character)
        if not self._is_shaped:
            return True
        if DEFAULT_IGNORABLE.match(character):  # which of them are hidden, HarfBuzz decides
            return self._shaped is not None and self._shaped.adds(character)
        return not is_put_together(character, self._covered[0])


def count_in(text: str, is_counted: Callable[[str], bool]) -> int:
    """Count the characters of a text, each occurrence, for which something is true."""
    return sum(text.count(character) for character in set(text) if is_counted(character))


def script_of(character: str) -> str:
    """Return the name of a character's script, e.g. "Old Italic"."""
    return script_name(script(character)).replace("_", " ")


def is_visible(character: str) -> bool:
    """Tell whether a character is meant to leave ink."""
    return (
        unicodedata.category(character)[0] in VISIBLE
        and character not in BLANK
        and not DEFAULT_IGNORABLE.match(character)
    )


def composed(word: str) -> str:
    """Return a word with letters in place of letters and their marks, as HarfBuzz tries it."""
    return unicodedata.normalize("NFC", word)


def is_put_together(character: str, covered: Collection[int]) -> bool:
    """Tell whether HarfBuzz draws a character that a font has not by others that it has."""
    parts = parts_of(character)
    return bool(parts) and all(
        ord(part) in covered or is_put_together(part, covered) for part in parts
    )


def parts_of(character: str) -> str:
    """Return what HarfBuzz may draw in place of a character; nothing for most."""
    if unicodedata.category(character) == "Cs":  # half a character, and so none
        return REPLACEMENT
    whole = unicodedata.normalize("NFD", character)
    codes = unicodedata.decomposition(character)  # one step, which may do where not all do
    if codes and not codes.startswith("<"):
        return "".join(chr(int(code, 16)) for code in codes.split())
    return whole if whole != character else HYPHENS.get(character, "")


class Ink:
    """Tells which characters of a font leave ink."""

    def __init__(self, font: bytes, layout: ImageFont.Layout = ImageFont.Layout.BASIC) -> None:
        self._font, self._layout = font, layout
        self._face: ImageFont.FreeTypeFont | None = None

    def shows(self, character: str) -> bool:
        """Tell whether a character leaves ink by itself."""
        mask = self._mask(character)
        return mask is None or mask.getbbox() is not None

    def adds(self, character: str) -> bool:
        """Tell whether a character leaves ink beside another; alone a mark may get a circle."""
        alone, both = self._mask(CIRCLE), self._mask(CIRCLE + character)
        return (
            alone is None or both is None or alone.size != both.size or bytes(alone) != bytes(both)
        )

    def _mask(self, text: str) -> Mask | None:
        try:
            if self._face is None:
                self._face = open_face(self._font, LOOKED_AT, self._layout)
            return self._face.getmask2(text, "L")[0]
        except OSError:  # whoever draws it will say so
            return None


def require_outlines(font: bytes) -> None:
    """Check that no visible character of a font is only there as a coloured image.

    Raises:
      ValueError: some are, or the font has no outlines at all.
    """
    try:
        with TTFont(io.BytesIO(font), fontNumber=0, lazy=True) as face:
            kinds = [table.strip() for table in COLOUR if table in face]
            has_outlines = any(table in face for table in OUTLINES)
            suspects = in_colour(face) if kinds and has_outlines else []
    except TTLibError:
        return  # it is not a font, which others find
    if not has_outlines:
        raise ValueError(
            f"it has no outlines, only bitmaps ({', '.join(kinds) or 'bitmaps'}), and pages are "
            f"drawn from outlines; {ADVICE}"
        )
    ink = Ink(font)
    for character in map(chr, suspects):
        if is_visible(character) and not ink.shows(character):
            raise ValueError(
                f"it has U+{ord(character):04X} and others only in colour ({', '.join(kinds)}), "
                f"which would be blank on black and white pages; {ADVICE}"
            )


def in_colour(face: TTFont) -> list[int]:
    """Return the code points, in order, that may be in colour."""
    cmap = face.getBestCmap() or {}
    if any(table in face for table in COLOUR[1:]):
        return sorted(cmap)  # images are looked up by size and by number; they may be of any
    colours = face["COLR"]
    names = set(getattr(colours, "ColorLayers", ()))  # version 0
    for array, records in (
        ("BaseGlyphRecordArray", "BaseGlyphRecord"),
        ("BaseGlyphList", "BaseGlyphPaintRecord"),
    ):
        table = getattr(getattr(colours, "table", None), array, None)
        names |= {record.BaseGlyph for record in getattr(table, records, ())}
    return sorted(code for code, name in cmap.items() if name in names)
