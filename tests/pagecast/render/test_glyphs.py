"""Glyph tables: what is measured once per character must hold wherever the character stands."""

from __future__ import annotations

import io

import numpy as np
import pytest
from fontTools.feaLib.builder import addOpenTypeFeaturesFromString
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import newTable
from fontTools.ttLib.tables._k_e_r_n import KernTable_format_0
from PIL import Image, ImageDraw, ImageFont

from pagecast.render.fonts import default_font
from pagecast.render.fonts.faces import open_face
from pagecast.render.glyphs import UNIT, GlyphAtlas, nearest_pixel
from pagecast.style.style import LARGEST_FIT

# A font to be nasty with. Per character: its advance and its corners, in 1/1000 em.
SHAPES: dict[str, tuple[int, list[tuple[int, int]]]] = {
    " ": (300, []),
    "A": (600, [(20, 0), (580, 0), (300, 700)]),
    "V": (600, [(20, 700), (580, 700), (300, 0)]),
    "f": (300, [(50, 0), (520, 730), (90, 710)]),  # overhangs to the right
    "j": (250, [(-330, -250), (210, 500), (130, -180)]),  # and to the left
    "i": (110, [(20, 0), (95, 3), (60, 690)]),
    "x": (333, [(11, 13), (317, 29), (170, 487)]),
    "W": (2900, [(10, 0), (2880, 40), (1450, 710)]),
    "/": (230, [(-80, -100), (-30, -100), (420, 800)]),
    "|": (400, [(30, -700), (390, -650), (200, 1600)]),  # reaches into other lines
    "\u0301": (0, [(-390, 560), (-120, 590), (-250, 810)]),  # a mark on the letter before
    "\u00a4": (0, []),  # nothing at all
}
KERNING = {("A", "V"): -180, ("V", "A"): -150, ("f", "i"): 90, ("i", "j"): -30000, (" ", "A"): -90}


def tiny_font(
    features: str = "",
    kern: dict[tuple[str, str], int] = KERNING,
    shapes: dict[str, tuple[int, list[tuple[int, int]]]] = SHAPES,
) -> bytes:
    """Build a TrueType font of the shapes, with a `kern` table and OpenType features."""
    names = {character: f"u{ord(character):04X}" for character in shapes}
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap({ord(character): name for character, name in names.items()})
    glyphs, metrics = {}, {}
    notdef = (500, [(50, 0), (450, 0), (450, 650)])
    for name, (advance, corners) in zip(
        [".notdef", *names.values()], [notdef, *shapes.values()], strict=True
    ):
        pen = TTGlyphPen(None)
        if corners:
            pen.moveTo(corners[0])
            for corner in corners[1:]:
                pen.lineTo(corner)
            pen.closePath()
        glyphs[name] = pen.glyph()
        metrics[name] = (advance, min((x for x, _ in corners), default=0))
    builder.setupGlyf(glyphs)
    builder.setupHorizontalMetrics(metrics)
    builder.setupHorizontalHeader(ascent=900, descent=-250)
    builder.setupNameTable({"familyName": "Tiny", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=900, sTypoDescender=-250)
    builder.setupPost()
    if kern:
        table = KernTable_format_0()
        table.coverage = 1
        table.kernTable = {(names[a], names[b]): value for (a, b), value in kern.items()}
        builder.font["kern"] = newTable("kern")
        builder.font["kern"].version, builder.font["kern"].kernTables = 0, [table]
    if features:
        addOpenTypeFeaturesFromString(builder.font, features)
    file = io.BytesIO()
    builder.font["head"].created = builder.font["head"].modified = 0
    builder.font.recalcTimestamp = False
    builder.save(file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("position", "pixel"),
    [
        (0, 0),
        (31, 0),
        (32, 1),
        (64, 1),
        (95, 1),
        (96, 2),
        (-32, 0),
        (-33, -1),
        (-96, -1),
        (-97, -2),
    ],
)
def test_nearest_pixel(position: int, pixel: int) -> None:
    assert nearest_pixel(position) == pixel
    assert nearest_pixel(np.array([position])).tolist() == [pixel]


def test_characters_get_the_ids_they_keep() -> None:
    atlas = GlyphAtlas(default_font())
    text = "abca\x00\udc80\ud83d\U0010ffff\u4e00"
    ids = atlas.intern(text)
    assert ids[0] == ids[3] and len(set(ids.tolist())) == 8
    assert "".join(atlas.characters[i] for i in ids) == text
    assert atlas.intern("cab").tolist() == [ids[2], ids[0], ids[1]]
    assert atlas.intern("").tolist() == []


@pytest.mark.parametrize("font", [default_font(), tiny_font()], ids=["DejaVu", "tiny"])
@pytest.mark.parametrize("size", [4, 11, 30])
def test_advances_and_kerning_add_up_to_pillows_length(font: bytes, size: int) -> None:
    text = "AVATAR WAVE To. Ty, fifij ij A\u0301V \u4e00A 1997"
    atlas = GlyphAtlas(font)
    ids = atlas.intern(text)
    at, pairs = atlas.intern_kerning(ids)
    glyphs = atlas.at(size)
    glyphs.measure(set(ids.tolist()), set(pairs.tolist()))
    total = glyphs.advance[ids].sum() + glyphs.kern[pairs].sum()
    assert total == round(glyphs.face.getlength(text) * UNIT)
    assert at.tolist() == sorted(at.tolist()) and len(at) > 0


def test_kerning_is_measured_where_there_is_some() -> None:
    atlas = GlyphAtlas(tiny_font())
    ids = atlas.intern("AVxA")
    at, pairs = atlas.intern_kerning(ids)
    assert at.tolist() == [0]
    assert [atlas.kerned_pairs[i] for i in pairs] == [(ids[0], ids[1])]
    glyphs = atlas.at(LARGEST_FIT)
    glyphs.measure(set(ids.tolist()), set(pairs.tolist()))
    # FreeType: -180/1000 of 30 px, in whole pixels; Pillow takes these for 1/64 px.
    assert glyphs.kern[pairs].tolist() == [-5]


def test_kerning_of_missing_glyphs_is_zero() -> None:
    atlas = GlyphAtlas(tiny_font())
    a, v, missing = atlas.intern("AV\u4e00").tolist()
    glyphs = atlas.at(30)
    assert glyphs.kerning((a, missing)) == glyphs.kerning((missing, v)) == 0
    assert glyphs.kerning((a, v)) == -5


def test_pairs_are_measured_at_each_size_if_the_largest_cannot_be_opened() -> None:
    class Strikes:
        """The faces of a font of bitmaps, which has some sizes only."""

        def __getitem__(self, size: int) -> ImageFont.FreeTypeFont:
            if size == LARGEST_FIT:
                raise OSError("invalid pixel size")
            return open_face(tiny_font(), size, ImageFont.Layout.BASIC)

    atlas = GlyphAtlas(tiny_font())
    atlas.faces_of = [Strikes()]  # type: ignore[list-item]
    ids = atlas.intern("AVx")
    _, pairs = atlas.intern_kerning(ids)
    assert [atlas.kerned_pairs[i] for i in pairs] == [(1, 2), (2, 3)]
    glyphs = atlas.at(29)
    glyphs.measure(set(ids.tolist()), set(pairs.tolist()))
    assert glyphs.kern[pairs].tolist() == [-5, 0]


def test_what_a_glyph_reaches() -> None:
    atlas = GlyphAtlas(tiny_font())
    f, j, space, none = ids = atlas.intern("fj \u00a4").tolist()
    glyphs = atlas.at(30)
    glyphs.measure(set(ids), set())
    # px at size 30: "f" has advance 9, right edge 15.6; "j" advance 7.5, left edge -9.9.
    assert (glyphs.advance[f], glyphs.sure_reach[f], glyphs.reach[f]) == (576, 1024, 1024)
    assert glyphs.left[f] == 0
    assert glyphs.left[j] == -10 * UNIT
    assert glyphs.sure_reach[j] == glyphs.advance[j] <= glyphs.reach[j]
    assert (glyphs.advance[space], glyphs.reach[space], glyphs.left[space]) == (576, 576, 0)
    assert glyphs.advance[none] == glyphs.reach[none] == glyphs.left[none] == 0


def test_masks_are_cut_to_the_ink() -> None:
    atlas = GlyphAtlas(tiny_font())
    ids = atlas.intern("j \u00a4").tolist()
    glyphs = atlas.at(30)
    glyphs.measure(set(ids), set())
    glyphs.draw(set(ids))
    assert set(glyphs.masks) == {ids[0]}
    mask = glyphs.masks[ids[0]]
    assert mask.getbbox() == (0, 0, *mask.size)
    assert glyphs.bottom[ids[0]] - glyphs.top[ids[0]] == mask.size[1]
    assert all(glyphs.top[i] == glyphs.bottom[i] for i in ids[1:])

    whole, (dx, dy) = glyphs.face.getmask2("j", "L")
    expected, got = Image.new("L", (60, 60), 255), Image.new("L", (60, 60), 255)
    ImageDraw.Draw(expected).draw.draw_bitmap((20 + dx, 10 + dy), whole, 0)
    place = 20 + int(glyphs.dx[ids[0]]), 10 + int(glyphs.top[ids[0]])
    ImageDraw.Draw(got).draw.draw_bitmap(place, mask, 0)
    assert got.tobytes() == expected.tobytes()


def test_tables_grow_with_the_atlas() -> None:
    atlas = GlyphAtlas(default_font())
    glyphs = atlas.at(12)
    first = atlas.intern("AV")
    glyphs.measure(set(first.tolist()), set())
    before = glyphs.advance[first].tolist()
    many = atlas.intern("".join(map(chr, range(0x100, 0x900))))
    at, pairs = atlas.intern_kerning(many)
    glyphs.measure(set(many.tolist()), set(pairs.tolist()))
    assert glyphs.advance[first].tolist() == before
    face = glyphs.face
    for i in many.tolist()[::97]:
        assert glyphs.advance[i] == round(face.getlength(atlas.characters[i]) * UNIT)
    assert len(at) == len(pairs)


@pytest.mark.parametrize(
    ("limit", "texts"),
    [
        ("MAX_CHARACTERS", ["abc", "defgh"]),
        ("MAX_PAIRS", ["aab", "ababacc"]),
        ("MAX_MASKS", ["ab", "abcde"]),
    ],
)
def test_an_atlas_fills_up(limit: str, texts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"pagecast.render.glyphs.{limit}", 4)
    atlas = GlyphAtlas(default_font())
    for text, full in zip(texts, (False, True), strict=True):
        ids = atlas.intern(text)
        atlas.intern_kerning(ids)
        atlas.at(9).measure(set(ids.tolist()), set())
        atlas.at(9).draw(set(ids.tolist()))
        assert atlas.is_full() is full
