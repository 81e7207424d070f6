"""The production renderer: every page equals the oracle's, pixels and metadata."""

from __future__ import annotations

import gc
import hashlib
import json
import multiprocessing
import pickle
import weakref
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from pagecast.render import Page, PageMetadata, PageRenderer
from pagecast.render.draw import _stamp, draw_lines
from pagecast.render.fonts import default_font
from pagecast.render.lines import InkedLine
from pagecast.render.oracle import OracleRenderer
from pagecast.style import PageStyle
from tests.pagecast.render.test_glyphs import SHAPES, tiny_font

GOLDEN = Path(__file__).parents[2] / "data" / "sample.golden.jsonl"
PIXELS = {"tiny": 512, "small": 640, "base": 1024, "large": 1280}


def both(style: PageStyle) -> tuple[PageRenderer, OracleRenderer]:
    return PageRenderer(style), OracleRenderer(style)


RENDERERS = {
    "DejaVu": both(PageStyle()),
    "tiny": both(PageStyle(tiny_font())),
    "backwards": both(PageStyle(tiny_font(kern={(a, b): -32000 for a in SHAPES for b in SHAPES}))),
}
# A font whose space has ink, which shows between words but not at the ends of lines.
INKED_SPACE = tiny_font(shapes={**SHAPES, " ": (300, [(-90, 100), (370, 160), (130, 900)])})


def assert_same(got: Page, expected: Page) -> None:
    assert got.metadata == expected.metadata
    assert got.image.mode == expected.image.mode == "L"
    assert got.image.tobytes() == expected.image.tobytes()


def assert_equal_to_oracle(text: str, px: int, font: str = "DejaVu") -> PageMetadata:
    renderer, oracle = RENDERERS[font]
    page = renderer.render(text, px)
    assert_same(page, oracle.render(text, px))
    return page.metadata


def golden(count: int) -> list[dict[str, Any]]:
    lines = GOLDEN.read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines[:: len(lines) // count]]


@pytest.mark.parametrize("sample", golden(12), ids=lambda sample: sample["title"])
def test_golden_pages(sample: dict[str, Any]) -> None:
    pages = RENDERERS["DejaVu"][0].render_sizes(sample["context_text"], PIXELS.values())
    for mode, page in zip(PIXELS, pages, strict=True):
        expected = sample["modes"][mode]
        assert hashlib.sha256(page.image.tobytes()).hexdigest() == expected["pixels_sha256"]
        metadata = page.metadata._asdict()
        common = metadata.keys() & expected.keys()
        assert len(common) >= 4
        assert {key: metadata[key] for key in common} == {key: expected[key] for key in common}


def test_a_page_in_numbers() -> None:
    image, metadata = PageRenderer().render("one two three", 100)
    assert (image.mode, image.size) == ("L", (100, 100))
    assert metadata == PageMetadata(25, 3, 3, False, 0, 0)
    _, metadata = PageRenderer().render("an unbreakablyverylongwordwithoutanyend \u4e00 x", 64)
    assert (metadata.clipped_lines, metadata.missing_glyphs) == (1, 1)
    _, metadata = PageRenderer().render("word " * 2000, 64)
    assert metadata.font_size == 4 and metadata.is_truncated
    assert metadata.rendered_lines == 14 < metadata.total_lines


SCRIPTS = [
    "abcdefghijklmnopqrstuvwxyzAVWTYL.,;:'\"()-0123456789",
    "àéîõüçßæœøåÁÊŇőţžÀÂÅ\u0301\u0308\u0323",
    "абвгдежзийклмнопрстуфхцчшщъыьэюяЁЖЩ",
    "αβγδεζηθικλμνξοπρστυφχψωάέήίόύώΑΩ",
    "אבגדהוזחטיךכלםמןנסעףפץצקרשת\u05b0\u05b8\u05bc",
    "ابتثجحخدذرزسشصضطظعغفقكلمنهويءآأؤإئ\u064e\u0651",
    "कखगघचछजझटठडढतथदधनपफबभमयरलवशषसह\u093e\u093f\u0940\u094d\u0902",
    "กขคงจชซดตถทนบปผพฟมยรลวสหอ\u0e31\u0e34\u0e35\u0e48\u0e49",
    "的一是不了人我在有他这为之大来以个中上们",
    "あいうえおかきくけこアイウエオカキクケコ",
    "가나다라마바사아자차카타파하",
    "😀🎉👩🏽🚀❤️🇫🇷",
    "─│┌┐└┘├┤┬┴┼═║█▓▒░∑∫√∞≈≠≤≥→⇒",
    "\x00\x01\x07\x7f\x80\u00ad\u200b\u200d\u200e\u202e\u2066\ufeff\ufffe\ud800\udfff\U000e0041",
]
WORDS = st.one_of(
    *(st.text(script, min_size=1, max_size=12) for script in SCRIPTS),
    st.text(min_size=1, max_size=12),
    st.text("AVWToyLfij.,\"'", min_size=20, max_size=200),
)
TEXTS = st.one_of(
    st.lists(WORDS, max_size=40).map(" ".join),
    *(st.lists(st.text(script, max_size=9), max_size=60).map(" \n".join) for script in SCRIPTS),
    st.text(max_size=200),
)


@settings(derandomize=True, deadline=None, max_examples=500)
@given(TEXTS, st.integers(64, 220))
def test_pages_of_all_scripts(text: str, px: int) -> None:
    assert_equal_to_oracle(text, px)


@settings(derandomize=True, deadline=None, max_examples=120)
@given(st.lists(WORDS, max_size=15).map(" ".join), st.integers(64, 2048))
def test_pages_of_all_sizes(text: str, px: int) -> None:
    assert_equal_to_oracle(text, px)


@settings(derandomize=True, deadline=None, max_examples=24)
@given(st.sampled_from(SCRIPTS), st.integers(0, 3000), st.integers(64, 400), st.randoms())
def test_pages_of_many_words(script: str, words: int, px: int, chance: Any) -> None:
    some = ["".join(chance.choices(script, k=chance.randint(1, 7))) for _ in range(words)]
    assert_equal_to_oracle(" ".join(some), px)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    st.lists(st.text([*SHAPES, "?"], min_size=1, max_size=7), max_size=40).map(" ".join),
    st.integers(0, 200),
    st.sampled_from(["tiny", "backwards"]),
)
def test_pages_in_a_nasty_font(text: str, px: int, font: str) -> None:
    assert_equal_to_oracle(text, px, font)


@pytest.mark.parametrize("px", [0, 1, 19, 20, 64, 75, 90, 333])
@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t\u3000 ",
        "x",
        "\u0301\u0301\u0301",
        "\x00 \x1b[0m \x7f\u0085\u00a0\u2028end",
        "\ud800 \udfff\ud83d",
        "W" * 5000,
        "word " * 700,
        "e\u0301\u0323\u0308\u0330\u034a" * 40 + " Z\u0334\u0348\u0352" * 30,
        "│┃║ " * 60,
        "jjj fff |/| " * 25,
        "שלום עולם hello العالم 123",
    ],
    ids=lambda text: ascii(text)[:20],
)
def test_hostile_pages(text: str, px: int) -> None:
    for font in RENDERERS:
        assert_equal_to_oracle(text, px, font)


def test_lines_that_overlap_are_blended_as_pillow_does() -> None:
    """Glyphs of one line overlap each other on top of the line before: rounding shows there."""
    text = "\n".join(["|\u0301|\u0301| f|j |||ijij||"] * 12)
    for px in (90, 150, 220):
        assert_equal_to_oracle(text, px, "tiny")
    renderer, oracle = both(PageStyle(INKED_SPACE))
    for px in (60, 111, 140):
        assert_same(renderer.render(text, px), oracle.render(text, px))


def test_overlapping_lines_need_the_strip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stamping those glyphs one by one would be wrong: the case above is not an idle one."""
    text, px = "\n".join(["|\u0301|\u0301| f|j |||ijij||"] * 12), 150
    expected = RENDERERS["tiny"][1].render(text, px).image.tobytes()
    renderer = PageRenderer(PageStyle(tiny_font()))
    assert renderer.render(text, px).image.tobytes() == expected

    def one_by_one(size: tuple[int, int], lines: list[InkedLine], _: PageStyle) -> Image.Image:
        image = Image.new("L", size, 255)
        for line in lines:
            _stamp(ImageDraw.Draw(image).draw, line)
        return image

    monkeypatch.setattr("pagecast.render.page.draw_lines", one_by_one)
    assert renderer.render(text, px).image.tobytes() != expected


def test_a_line_may_reach_below_the_next_one() -> None:
    """Two faint masks on ink of the line before the last: 100, where one by one gives 99."""
    ink = {value: Image.new("L", (1, 9), value).im for value in (2, 90, 100)}
    lines = [
        InkedLine([3], [0], [ink[100]], 0, 9),
        InkedLine([7], [1], [ink[2].crop((0, 0, 1, 1))], 1, 2),
        InkedLine([3, 3], [8, 8], [ink[90], ink[2]], 8, 17),
    ]
    page = draw_lines((20, 20), lines, PageStyle())
    assert [page.getpixel((3, y)) for y in (0, 7, 8, 9, 16, 17)] == [155, 155, 100, 164, 164, 255]


def test_any_two_masks_blend_alike() -> None:
    """One pixel under any two inks, both ways, through Pillow's own drawing."""
    values = bytes(range(256))
    for a in range(256):
        first = Image.new("L", (256, 1), a)
        second = Image.frombytes("L", (256, 1), values)
        line = InkedLine([0, 0], [0, 0], [first.im, second.im], 0, 1)
        page = draw_lines((256, 1), [line], PageStyle())
        assert list(page.tobytes()) == [255 - (b + divided(a * (255 - b))) for b in values]


def divided(product: int) -> int:
    """Divide by 255 as Pillow's `_imagingft.c` does where glyphs of a line overlap."""
    return (product + 128 + ((product + 128) >> 8)) >> 8


def test_sizes_share_the_work_and_nothing_else() -> None:
    text = "Sharing, AVID \u4e00 words. " * 30
    renderer = PageRenderer()
    sizes = [512, 64, 100, 512]
    pages = list(renderer.render_sizes(text, sizes))
    for px, page in zip(sizes, pages, strict=True):
        assert_same(page, PageRenderer().render(text, px))
    assert pages[0].image is not pages[3].image
    assert list(renderer.render_sizes(text, [])) == []


def test_renders_may_be_interleaved() -> None:
    renderer = PageRenderer()
    first = renderer.render_sizes("one text " * 9, [64, 90])
    second = renderer.render_sizes("και άλλο " * 9, [64, 90])
    pages = [next(first), next(second), next(first), next(second)]
    texts = ["one text " * 9, "και άλλο " * 9]
    for page, text, px in zip(pages, texts * 2, [64, 64, 90, 90], strict=True):
        assert_same(page, RENDERERS["DejaVu"][1].render(text, px))


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many glyphs pass by, an atlas that is full makes way, and pages stay the same."""
    monkeypatch.setattr("pagecast.render.glyphs.MAX_CHARACTERS", 100)
    renderer = PageRenderer()
    most = 0
    for start in range(0x100, 0x1000, 60):
        text = " ".join(chr(start + i) + chr(start + i + 1) for i in range(60))
        assert_same(renderer.render(text, 80), RENDERERS["DejaVu"][1].render(text, 80))
        atlas = renderer._setter._kept.get(0)
        assert atlas is not None
        most = max(most, len(atlas.characters))  # type: ignore[union-attr]
    assert 100 < most <= 100 + 62


@pytest.mark.parametrize("layout", ["basic", "raqm"])
def test_what_is_replaced_is_freed_at_once(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without waiting for the garbage collector, which sees few objects and not their size."""
    renderer = PageRenderer(PageStyle(layout=layout))
    gc.disable()
    try:
        renderer.render("Some words, (1997) office. " * 9, 90)
        glyphs = renderer._setter._kept.get(0)
        assert glyphs is not None
        monkeypatch.setattr(type(glyphs), "is_full", lambda _: True)
        old = weakref.ref(glyphs)
        del glyphs
        renderer.render("Others", 90)
        assert old() is None
    finally:
        gc.enable()


def test_a_renderer_is_pickled_without_its_caches() -> None:
    renderer = PageRenderer(PageStyle(tiny_font()))
    renderer.render("AV fij " * 50, 200)
    data = pickle.dumps(renderer)
    assert len(data) < len(tiny_font()) + 500
    copy = pickle.loads(data)
    assert_same(copy.render("AV fij", 99), renderer.render("AV fij", 99))


def render_hash(renderer: PageRenderer, text: str, px: int) -> str:
    return hashlib.sha256(renderer.render(text, px).image.tobytes()).hexdigest()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_renderer_works_in_other_processes(method: str) -> None:
    renderer = PageRenderer()
    here = render_hash(renderer, "Across processes", 100)
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(render_hash, (renderer, "Across processes", 100)) == here
        assert pool.apply(render_hash, (renderer, "Across processes", 100)) == here


def test_another_style_shares_the_glyphs_if_its_fonts_are_the_same() -> None:
    renderer = PageRenderer()
    expected = renderer.render("shared", 100)
    other = renderer.with_style(PageStyle(default_font(), size=12))
    assert other._setter is renderer._setter and other.style.size == 12
    assert pickle.loads(pickle.dumps(other)).style == other.style
    raqm, tiny = (renderer.with_style(PageStyle(layout="harfbuzz")), PageStyle(tiny_font()))
    assert_same(raqm.with_style(PageStyle()).render("shared", 100), expected)
    assert_same(raqm.with_style(tiny).render("A V", 64), PageRenderer(tiny).render("A V", 64))


def test_what_a_renderer_refuses() -> None:
    with pytest.raises(ValueError, match="layout: 'fancy' is not one of basic, raqm"):
        PageStyle(layout="fancy")
    with pytest.raises(OSError):
        PageRenderer(PageStyle(b"no font"))
    with pytest.raises(ValueError, match="a page cannot be -1 pixels"):
        PageRenderer().render("text", -1)
