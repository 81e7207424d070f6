"""Open faces: bounded, and safe from what FreeType does on a fresh one."""

from __future__ import annotations

import io

import pytest
from fontTools.ttLib import TTFont
from PIL import ImageFont

from pagecast.render.fonts import default_font
from pagecast.render.fonts.faces import Faces, largest_glyph, open_face
from tests.pagecast.render.test_glyphs import SHAPES, tiny_font


def test_open_faces_are_bounded_by_the_fonts_size(monkeypatch: pytest.MonkeyPatch) -> None:
    font = tiny_font()
    monkeypatch.setattr("pagecast.render.fonts.faces.MAX_FACE_BYTES", 3 * len(font))
    faces = Faces(font, ImageFont.Layout.BASIC)
    kept = [faces[size] for size in (5, 6, 7)]
    assert [faces[size] for size in (5, 6, 7)] == kept
    assert faces[8].size == 8
    assert faces[7] is kept[2] and faces[5] is not kept[0]
    assert faces[5].size == 5


def test_a_face_loads_the_largest_glyph_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else FreeType 2.14.3 overruns its buffer on, for one, the word "\u1e19" at 9 px."""
    measured = []
    monkeypatch.setattr(ImageFont.FreeTypeFont, "getbbox", lambda _, text: measured.append(text))
    for layout in ImageFont.Layout:
        open_face(default_font(), 9, layout)
    assert measured == ["\N{SNOWMAN}", "\N{SNOWMAN}"]
    open_face(tiny_font(), 9, ImageFont.Layout.BASIC)
    assert measured[2] in SHAPES and SHAPES[measured[2]][1]


def test_the_largest_glyph_outgrows_twice_any_accented_letter() -> None:
    """That far FreeType may write: the end of the last contour, counted from the last's start."""
    with TTFont(io.BytesIO(default_font())) as font:
        name = font.getBestCmap()[ord(largest_glyph(default_font()))]
        points = len(font["glyf"][name].getCoordinates(font["glyf"])[0])
        assert points > 2 * font["maxp"].maxCompositePoints


def test_a_font_that_cannot_be_opened() -> None:
    for data in (b"", b"no font", tiny_font()[:300]):
        with pytest.raises(OSError):
            open_face(data, 10, ImageFont.Layout.BASIC)
