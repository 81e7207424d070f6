"""Which characters a font cannot show."""

from __future__ import annotations

import io

import pytest
from fontTools.ttLib import TTFont

from tests.test_glyphs import SHAPES, tiny_font
from transforms.render.characters import covered_codepoints, missing_glyphs
from transforms.render.fonts import default_font


def test_covered_codepoints() -> None:
    assert covered_codepoints(tiny_font()) == {ord(character) for character in SHAPES}
    dejavu = covered_codepoints(default_font())
    assert {0x41, 0x20AC, 0x1F600} <= dejavu
    assert not {0x4E00, 0xAC00} & dejavu


def test_a_font_without_a_unicode_map() -> None:
    with TTFont(io.BytesIO(tiny_font())) as font:
        font["cmap"].tables = font["cmap"].tables[:1]
        font["cmap"].tables[0].platformID, font["cmap"].tables[0].platEncID = 1, 0
        file = io.BytesIO()
        font.save(file)
    with pytest.raises(ValueError, match="no Unicode character map; choose another font"):
        covered_codepoints(file.getvalue())


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("", 0),
        ("AVx", 0),
        ("A?V?!", 3),  # each occurrence counts
        (" \t\n\x0b\x0c\x1c\x85\xa0\u2003\u2028\u3000", 0),  # white space
        ("\u200b\u200d\u200e\u202e\u2060\ufeff\u00ad\ufe0f\U000e0041", 0),  # meant to be invisible
        ("\x00\x07\x7f", 3),
        ("\ud800\udfff", 2),
        ("\u4e00\u4e8c\u4e00", 3),
        ("\u0301\u0300", 1),
        ("\ufff9\uffff", 2),
    ],
)
def test_missing_glyphs(text: str, missing: int) -> None:
    assert missing_glyphs(text, covered_codepoints(tiny_font())) == missing
