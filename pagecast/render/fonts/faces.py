"""Opening a font at a size, and keeping it open."""

from __future__ import annotations

import io
from contextlib import suppress
from functools import lru_cache

from fontTools.ttLib import TTFont, TTLibError
from PIL import ImageFont

MAX_FACE_BYTES = 64 << 20  # each open face holds its own copy of the font file


def open_face(font: bytes, size: int, layout: ImageFont.Layout) -> ImageFont.FreeTypeFont:
    """Open a font at `size` px.

    FreeType (2.14.3 at least) can write past its buffer of outline points when it hints an
    accented letter, such as U+1E19 of DejaVu Sans at 9 px, by up to the letter's own number of
    points. The buffer never shrinks, so a face is made to load a large glyph first.

    Raises:
      OSError: Pillow cannot open it, or a bitmap-only font has no such size.
    """
    face = ImageFont.truetype(io.BytesIO(font), size, layout_engine=layout)
    with suppress(OSError, TTLibError):
        face.getbbox(largest_glyph(font))
    return face


@lru_cache(maxsize=4)
def largest_glyph(font: bytes) -> str:
    """Return the character with the longest outline in a TrueType font; a space in others."""
    with TTFont(io.BytesIO(font), fontNumber=0, lazy=True) as face:
        codes = face.getBestCmap()
        if "glyf" not in face or not codes:
            return " "
        ends = face["loca"].locations
        ids = {code: face.getGlyphID(name) for code, name in codes.items()}
        return chr(max(ids, key=lambda code: ends[ids[code] + 1] - ends[ids[code]]))


class Faces:
    """The open faces of a font, one a size, as many as memory allows."""

    def __init__(self, font: bytes, layout: ImageFont.Layout) -> None:
        self._font, self._layout = font, layout
        self._most = max(2, MAX_FACE_BYTES // len(font))
        self._open: dict[int, ImageFont.FreeTypeFont] = {}

    def __getitem__(self, size: int) -> ImageFont.FreeTypeFont:
        face = self._open.get(size)
        if face is None:
            while len(self._open) >= self._most:
                del self._open[next(iter(self._open))]  # the oldest
            face = self._open[size] = open_face(self._font, size, self._layout)
        return face
