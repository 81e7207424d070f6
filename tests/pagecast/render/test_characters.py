"""Which characters a font cannot show."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Callable
from itertools import chain
from typing import Any

import pytest
from fontTools.colorLib.builder import buildCOLR, buildCPAL
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont
from fontTools.ttLib.tables.DefaultTable import DefaultTable
from fontTools.ttLib.tables.otTables import PaintFormat

from pagecast.render import PageRenderer
from pagecast.render.fonts import default_font
from pagecast.render.fonts.characters import (
    DEFAULT_IGNORABLE,
    MissingGlyphs,
    covered_codepoints,
    require_outlines,
)
from pagecast.render.fonts.faces import open_face
from pagecast.render.layouts.pillow import ENGINES
from pagecast.style import PageStyle
from tests.pagecast.render.test_glyphs import SHAPES, tiny_font


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
        # Meant to be invisible, and boxes all the same.
        ("\u2066a\u2067\u2068\u2069\u061c\u180e\u3164\u00ad\U000e0041", 10),
        ("\u200b\u200d\u200e\u202e\u2060\ufeff\ufe0f", 7),
        ("\x00\x07\x7f", 3),
        ("\ud800\udfff", 2),
        ("\u4e00\u4e8c\u4e00", 3),
        ("\u0301\u0300", 1),
        ("\ufff9\uffff", 2),
        ("\u2800\ufffc", 2),
    ],
)
def test_boxes_of_basic_layout(text: str, missing: int) -> None:
    assert MissingGlyphs([tiny_font()], "basic").count(text) == missing


def test_spaces_that_no_font_has_are_boxes() -> None:
    shapes = {"A": SHAPES["A"]}
    assert MissingGlyphs([tiny_font(shapes=shapes, kern={})], "basic").count("A A\n A") == 2


def drawn(font: bytes, layout: str) -> Callable[[str], bytes]:
    """Return what gives the ink that Pillow draws for a text, wherever it puts it."""
    face = open_face(font, 30, ENGINES[layout])
    return lambda text: bytes(face.getmask2(text, "L")[0])


IGNORABLE = DEFAULT_IGNORABLE.findall("".join(map(chr, range(0xE1000))))
SOME = (range(0, 0x3000, 3), range(0x3000, 0xE000, 397), range(0xE000, 0x20000, 53))
OTHERS = [*map(chr, chain(*SOME)), *"\u2011\uf900\u2126\uffff\U0010ffff"]


@pytest.mark.parametrize("layout", ["basic", "raqm"])
def test_a_character_counts_where_pillow_draws_the_box(layout: str) -> None:
    """Of DejaVu Sans, whose blank glyphs are all of characters that are meant to be blank.

    With raqm other marks are left out: HarfBuzz draws a dotted circle beside their box.
    """
    ink, missing = drawn(default_font(), layout), MissingGlyphs([default_font()], layout)
    box = ink("\uffff")
    some = [*IGNORABLE[:400], *IGNORABLE[::29], *OTHERS]
    assert {"\u2066", "\u061c", "\u180e", "\u3164", "\u00ad", "\U000e0041"} <= set(IGNORABLE)
    wrong = [
        hex(ord(character))
        for character in some
        if not character.isspace()
        and (ink(character) == box) != bool(missing.count(character))
        and (layout == "basic" or not stands_on_a_circle(character))
    ]
    assert wrong == []
    counted = [c for c in IGNORABLE if missing.count(c)]
    assert {"\u3164", "\u115f"} <= set(counted)
    assert ("\u2066" in counted) == ("\U000e0041" in counted) == (layout == "basic")


MARKED = "\u0e33\u180f"  # a letter with its mark; a mark that HarfBuzz has not heard of


def stands_on_a_circle(character: str) -> bool:
    """Tell whether it is a mark, or may be one to another version of Unicode."""
    is_mark = unicodedata.category(character) in ("Mn", "Mc", "Me", "Cn")
    return (is_mark and not DEFAULT_IGNORABLE.match(character)) or character in MARKED


@pytest.mark.parametrize(
    ("text", "has", "missing"),
    [
        ("\u00e9e\u0301", "e\u0301", 0),  # put together from two
        ("e\u0301 e\u0301", "e\u00e9", 0),  # two made one
        ("\u00e9e\u0301", "e", 2),
        ("\u01d6", "\u00fc\u0304", 0),  # a letter that is itself one of two
        ("\u01d6", "u\u0304", 1),
        ("\uac01", "\u1100\u1161\u11a8", 0),
        ("\uf900", "\u8c48", 0),
        ("\u2011", "\u2010", 0),
        ("\ud800", "\ufffd", 0),
        ("\ud800\u2460", "1", 2),  # a digit in a circle is not a digit
    ],
)
def test_boxes_of_raqm(text: str, has: str, missing: int) -> None:
    shapes = dict.fromkeys(f"{has} ", SHAPES["A"])
    font = tiny_font(shapes=shapes, kern={})
    assert MissingGlyphs([font], "raqm").count(text) == missing
    # The box is gone where another font shows another one.
    other = drawn(with_another_box(font), "raqm")
    assert (drawn(font, "raqm")(text) != other(text)) == bool(missing)


def with_another_box(font: bytes) -> bytes:
    """Make the box of a font a triangle."""
    with TTFont(io.BytesIO(font)) as face:
        pen = TTGlyphPen(None)
        pen.moveTo((0, 0))
        pen.lineTo((300, 900))
        pen.lineTo((600, 0))
        pen.closePath()
        face["glyf"][".notdef"] = pen.glyph()
        face.save(out := io.BytesIO())
    return out.getvalue()


def test_letters_without_ink_are_missing_and_others_are_not() -> None:
    shapes = {c: (500, []) for c in "B1.\u0301\u2800\ufffc\u0640\u200d\ue000 "}
    font = tiny_font(shapes={"A": SHAPES["A"], **shapes}, kern={})
    for layout in ("basic", "raqm"):
        count = MissingGlyphs([font], layout).count
        assert [count(c) for c in "AB1.\u0301\u2800\ufffc\u0640\u200d "] == [0, *[1] * 4, *[0] * 5]
        assert not count("\ue000")
    # The glyph that is blank is the first font's, which has it.
    assert MissingGlyphs([font, default_font()], "basic").count("ABC") == 1


def test_a_character_that_is_mapped_to_the_box_is_missing() -> None:
    with TTFont(io.BytesIO(tiny_font())) as font:
        for table in font["cmap"].tables:
            table.cmap[0x263A] = ".notdef"
        font.save(file := io.BytesIO())
    assert 0x263A not in covered_codepoints(file.getvalue())
    page = PageRenderer(PageStyle(file.getvalue())).render("A \u263a", 64)
    assert page.metadata.missing_glyphs == 1


LAYERS: dict[str, Callable[[str], Any]] = {
    "COLR": lambda layer: [(layer, 0)],
    "COLRv1": lambda layer: {
        "Format": PaintFormat.PaintGlyph,
        "Glyph": layer,
        "Paint": {"Format": PaintFormat.PaintSolid, "PaletteIndex": 0, "Alpha": 1.0},
    },
}


def coloured(kind: str, glyphs: bool) -> bytes:
    """Give a font coloured glyphs for A and B, of which B has an outline and A only if `glyphs`."""
    a = SHAPES["A"] if glyphs else (500, [])
    shapes = {"A": a, "B": SHAPES["V"], " ": (300, [])}
    with TTFont(io.BytesIO(tiny_font(shapes=shapes, kern={}))) as face:
        name = face.getBestCmap()[ord("A")]
        if kind in LAYERS:
            layer = face.getBestCmap()[ord("B")]
            face["COLR"] = buildCOLR({name: LAYERS[kind](layer), layer: LAYERS[kind](layer)})
            face["CPAL"] = buildCPAL([[(1.0, 0.0, 0.0, 1.0)]])
        else:
            face[kind] = table = DefaultTable(kind)
            table.data = b"\0" * 16  # FreeType leaves what it cannot read alone
        face.save(out := io.BytesIO())
    return out.getvalue()


@pytest.mark.parametrize("kind", [*LAYERS, "CBDT", "sbix", "SVG "])
def test_letters_that_are_there_in_colour_alone_are_refused(kind: str) -> None:
    require_outlines(coloured(kind, glyphs=True))
    with pytest.raises(ValueError, match="U\\+0041 and others only in colour") as error:
        require_outlines(coloured(kind, glyphs=False))
    assert kind.strip()[:4] in str(error.value) and "choose a font with outlines" in str(
        error.value
    )


def test_a_font_of_bitmaps_alone_is_refused() -> None:
    with TTFont(io.BytesIO(coloured("CBDT", glyphs=True))) as face:
        del face["glyf"], face["loca"]
        face.save(file := io.BytesIO())
    with pytest.raises(ValueError, match=r"no outlines, only bitmaps \(CBDT\), and pages are"):
        require_outlines(file.getvalue())
    # A blank that has nothing to do with colour.
    shapes = {"A": SHAPES["A"], "B": (500, []), " ": (300, [])}
    with TTFont(io.BytesIO(tiny_font(shapes=shapes, kern={}))) as face:
        face["COLR"] = buildCOLR({face.getBestCmap()[65]: [(".notdef", 0)]})
        face.save(file := io.BytesIO())
    require_outlines(file.getvalue())
    require_outlines(b"no font")  # whoever opens it will say so
    require_outlines(default_font())
