"""Which characters of a text a font cannot show."""

from __future__ import annotations

import io
import re
from functools import lru_cache

from fontTools.ttLib import TTFont, TTLibError

# Default_Ignorable_Code_Point of Unicode 16 (DerivedCoreProperties.txt): joiners, variation
# selectors, bidi controls and the like. They are meant to be invisible, so a font that has no
# glyph for them loses nothing.
DEFAULT_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


@lru_cache(maxsize=4)
def covered_codepoints(font: bytes) -> frozenset[int]:
    """Return the code points that the font file (its first face) maps to a glyph.

    Raises:
      ValueError: it is no TrueType or OpenType font, or has no Unicode character map.
    """
    try:
        opened = TTFont(io.BytesIO(font), fontNumber=0, lazy=True)
    except TTLibError as error:  # Pillow opens more, Type 1 and bitmap fonts for example
        raise ValueError(f"it is no TrueType or OpenType font ({error})") from error
    with opened as face:
        cmap = face.getBestCmap()
        if cmap is None:
            raise ValueError("the font has no Unicode character map; choose another font")
        return frozenset(cmap)


def missing_glyphs(text: str, covered: frozenset[int]) -> int:
    """Count the characters of `text`, each occurrence, that are not in `covered`.

    White space and default-ignorable characters do not count: no ink is lost with them.
    """
    return sum(
        text.count(ch)
        for ch in set(text)
        if ord(ch) not in covered and not ch.isspace() and not DEFAULT_IGNORABLE.match(ch)
    )
