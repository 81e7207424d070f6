"""Several fonts: which one draws what, and pages that equal the oracle's."""

from __future__ import annotations

import io
import pickle
from functools import cache
from typing import Any

import pytest
from fontTools.ttLib import TTFont, newTable
from fontTools.ttLib.tables.ttProgram import Program
from hypothesis import given, settings
from hypothesis import strategies as st

from pagecast.render import PageRenderer
from pagecast.render.fallback import Fallback, clings, runs
from pagecast.render.fonts import default_font
from pagecast.render.glyphs import GlyphAtlas
from pagecast.render.oracle import OracleRenderer
from pagecast.style import PageStyle
from tests.pagecast.render.test_glyphs import SHAPES, tiny_font
from tests.pagecast.render.test_page import SCRIPTS, TEXTS, assert_same


def part_of_tiny(characters: str, scale: float = 1.0) -> bytes:
    """Build a font of some shapes only, `scale` times as large."""
    shapes = {
        character: (round(advance * scale), [(round(x * scale), round(y * scale)) for x, y in at])
        for character, (advance, at) in SHAPES.items()
        if character in characters
    }
    kern = {("A", "V"): -180, ("A", " "): -90, ("j", "x"): 400}
    return tiny_font(
        shapes=shapes, kern={pair: k for pair, k in kern.items() if set(pair) <= set(characters)}
    )


FONTS = {
    "halves": (part_of_tiny("AVf|\u0301 "), part_of_tiny("jixW/\u00a4 ", 1.37)),
    "no space first": (part_of_tiny("AV"), part_of_tiny("jix |\u0301/", 0.6)),
    "tiny, DejaVu": (part_of_tiny("jiW|"), default_font()),
    "DejaVu, tiny": (default_font(), tiny_font()),
    "three": (part_of_tiny("f\u0301"), part_of_tiny("Vj ", 1.9), default_font()),
}


@cache
def both(name: str, layout: str = "basic") -> tuple[PageRenderer, OracleRenderer]:
    style = PageStyle(tuple(FONTS[name]), layout)
    return PageRenderer(style), OracleRenderer(style)


def check(text: str, px: int, name: str, layout: str = "basic") -> None:
    renderer, oracle = both(name, layout)
    assert_same(renderer.render(text, px), oracle.render(text, px))


A, B = set(map(ord, "ab .\u0301")), set(map(ord, "cd .\u0301\u0302\u200d"))


@pytest.mark.parametrize(
    ("text", "owners"),
    [
        ("", []),
        ("abc", [0, 0, 1]),
        ("c.d", [1, 0, 1]),  # only what clings stays
        ("a c d", [0, 0, 1, 1, 1]),
        ("c\u0301 a\u0301", [1, 1, 1, 0, 0]),
        ("a\u0302", [0, 1]),  # the letter's font has no such mark
        ("a\u0303", [0, 0]),  # nor has any
        ("c\u0303", [1, 1]),
        ("?c?", [0, 1, 0]),  # what no font has is the first font's
        ("\u0302a", [1, 0]),
        (" \u0303", [0, 0]),
        ("a\u200dc\u200d\u200e", [0, 1, 1, 1, 1]),
        ("\ud800c\udfff", [0, 1, 0]),
    ],
)
def test_owners(text: str, owners: list[int]) -> None:
    assert Fallback([frozenset(A), frozenset(B)]).owners(text) == owners


def test_what_clings() -> None:
    assert [
        c for c in "a1.-(語 \u00a0\u3000\u0301\u093f\u20dd\u200d\ufe0f\u00ad\u202e" if clings(c)
    ] == [*" \u00a0\u3000\u0301\u093f\u20dd\u200d\ufe0f\u00ad\u202e"]


def test_runs() -> None:
    assert runs([]) == []
    assert runs([0, 0, 1, 0, 2, 2]) == [(0, 0, 2), (1, 2, 3), (0, 3, 4), (2, 4, 6)]


NASTY = st.lists(st.text([*SHAPES, "?", "e"], min_size=1, max_size=7), max_size=40).map(" ".join)


@settings(derandomize=True, deadline=None, max_examples=250)
@given(NASTY, st.integers(0, 200), st.sampled_from(sorted(FONTS)))
def test_pages_in_nasty_fonts(text: str, px: int, name: str) -> None:
    check(text, px, name)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(TEXTS, st.integers(64, 220), st.sampled_from(["tiny, DejaVu", "DejaVu, tiny", "three"]))
def test_pages_of_all_scripts(text: str, px: int, name: str) -> None:
    check(text, px, name)


@settings(derandomize=True, deadline=None, max_examples=8)
@given(st.sampled_from(SCRIPTS), st.integers(0, 300), st.integers(64, 200), st.randoms())
def test_pages_of_many_words(script: str, words: int, px: int, chance: Any) -> None:
    letters = [*script, *SHAPES]
    some = ["".join(chance.choices(letters, k=chance.randint(1, 7))) for _ in range(words)]
    check(" ".join(some), px, "three")


@pytest.mark.parametrize("name", FONTS)
def test_lines_that_overlap_are_blended_alike(name: str) -> None:
    text = "\n".join(["|\u0301|\u0301| f|j |||ijij||AxW"] * 12)
    for px in (90, 150, 220):
        check(text, px, name)


def test_a_text_of_one_font_is_set_as_with_that_font_alone() -> None:
    renderer = PageRenderer(PageStyle((part_of_tiny("jixW/ "), default_font())))
    for text, font in (("jix W/ ix", part_of_tiny("jixW/ ")), ("AVAT. (and) more", default_font())):
        assert_same(renderer.render(text, 99), PageRenderer(PageStyle(font)).render(text, 99))
    assert renderer.render("jix more", 99) != PageRenderer().render("jix more", 99)


def with_characters(font: bytes, characters: str) -> bytes:
    """Leave only some characters in a font's map.

    It gets a program that does nothing, since FreeType's own hints would depend on the map.
    """
    with TTFont(io.BytesIO(font)) as face:
        for table in face["cmap"].tables:
            table.cmap = {c: name for c, name in table.cmap.items() if chr(c) in characters}
        face["prep"] = newTable("prep")
        face["prep"].program = Program()
        face["prep"].program.fromBytecode(b"\xb0\x00\x21" * 3)  # push a 0 and take it back
        face.save(out := io.BytesIO())
    return out.getvalue()


def taller(font: bytes) -> bytes:
    """Give a font another ascent."""
    with TTFont(io.BytesIO(font)) as face:
        face["hhea"].ascent = 1300
        face.save(out := io.BytesIO())
    return out.getvalue()


def test_the_baseline_is_that_of_the_first_font() -> None:
    """A letter of the second font stands where the same letter of the first would."""
    font = with_characters(tiny_font(kern={}), "".join(SHAPES))
    alone = PageRenderer(PageStyle(font)).render("AxV xx A", 100).image
    two = PageStyle((with_characters(font, "AV "), taller(font)))
    shared = PageRenderer(two).render("AxV xx A", 100)
    assert shared.image.tobytes() == alone.tobytes()
    other = PageRenderer(PageStyle(taller(font))).render("AxV xx A", 100)
    assert other.image.tobytes() != alone.tobytes()


def test_missing_glyphs_are_those_that_no_font_has() -> None:
    text = "e \u4e00 W\u0301 \u4e01"
    for fonts, missing in (([part_of_tiny("W ")], 4), (FONTS["halves"], 3), (FONTS["three"], 2)):
        page = PageRenderer(PageStyle(tuple(fonts))).render(text, 90)
        assert page.metadata.missing_glyphs == missing


def test_no_kerning_from_font_to_font() -> None:
    atlas = GlyphAtlas([tiny_font(), tiny_font()])
    ids = atlas.intern("AVAV", [0, 0, 1, 0])
    assert atlas.intern_kerning(ids)[0].tolist() == [0]
    assert len(set(ids.tolist())) == 3  # an A of each font
    assert [atlas.owners[i] for i in ids] == [0, 0, 1, 0]


def test_a_pickled_renderer_keeps_its_fonts() -> None:
    copy = pickle.loads(pickle.dumps(both("halves")[0]))
    assert_same(copy.render("AW jV", 99), both("halves")[1].render("AW jV", 99))


def test_a_font_that_is_none_is_refused() -> None:
    with pytest.raises(OSError):
        PageRenderer(PageStyle((default_font(), b"no font")))
