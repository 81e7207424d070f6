"""The layout of HarfBuzz and ICU: the quick way equals the plain one, whatever the text."""

from __future__ import annotations

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pagecast.render.breaking import clusters_of, line_starts
from pagecast.render.layouts.harfbuzz.fallback import ClusterFallback
from pagecast.render.layouts.harfbuzz.oracle import HarfbuzzOracle
from pagecast.render.layouts.harfbuzz.paragraph import (
    Run,
    levels_of,
    runs_of,
    scripts_of,
    visual_order,
)
from pagecast.render.page import Page, PageMetadata, PageRenderer
from pagecast.style import PageStyle
from tests.pagecast.render.test_glyphs import SHAPES, tiny_font
from tests.pagecast.render.test_page import TEXTS, assert_same
from tests.pagecast.render.test_raqm import LATIN, SPACE_RULES

FONTS = Path("/usr/share/fonts")
AMIRI = FONTS / "opentype/fonts-hosny-amiri/Amiri-Regular.ttf"
LOHIT = FONTS / "truetype/lohit-devanagari/Lohit-Devanagari.ttf"
GOTHIC = FONTS / "opentype/ipafont-gothic/ipag.ttf"
DEJAVU = {
    style.line_break: (PageRenderer(style), HarfbuzzOracle(style))
    for style in (PageStyle(layout="harfbuzz", line_break=way) for way in ("spaces", "unicode"))
}
ARABIC = "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق، وقد وهبوا عقلًا وضميرًا (١٩٤٨ و1948)."
HINDI = "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।"
# Of all that turns a line around, joins letters, or stands on them.
MIXED = st.lists(
    st.one_of(
        st.sampled_from(["abc", "fi", "(x)", "12", "١٢", "שלום", "سلام", "لله", "e\u0301", "न्म"]),
        st.text("אבסלم\u064b\u0301\u200d\u200c\u202e\u202c\u2067\u2069[]()1٣aV. -", max_size=6),
        st.text("\ufe0f\U0001f600\U0001d518\u0e01\u0e32\ud800\u00ad", max_size=4),
    ),
    max_size=24,
).map(" ".join)


def check(text: str, px: int, fonts: list[bytes], line_break: str = "spaces") -> Page:
    style = PageStyle(tuple(fonts), "harfbuzz", line_break)
    page = PageRenderer(style).render(text, px)
    assert_same(page, HarfbuzzOracle(style).render(text, px))
    return page


@settings(derandomize=True, deadline=None, max_examples=120)
@given(st.one_of(MIXED, TEXTS), st.integers(64, 200), st.sampled_from(["spaces", "unicode"]))
@example("", 64, "spaces")
@example("\ud800", 64, "unicode")
def test_pages_of_all_scripts(text: str, px: int, line_break: str) -> None:
    renderer, oracle = DEJAVU[line_break]
    assert_same(renderer.render(text, px), oracle.render(text, px))


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    st.lists(st.text([*SHAPES, "?"], min_size=1, max_size=5), max_size=25).map(" ".join),
    st.sampled_from(["spaces", "unicode"]),
    st.integers(40, 200),
)
def test_pages_in_a_nasty_font(text: str, line_break: str, px: int) -> None:
    check(text, px, [tiny_font()], line_break)


@pytest.mark.parametrize("rule", SPACE_RULES)
def test_rules_that_see_the_space(rule: str) -> None:
    font = tiny_font(LATIN + SPACE_RULES[rule], kern={})
    for px in (70, 90, 111, 160):
        check("A V x A A V f V A x V V A A f f V A A " * 2, px, [font])


def need(*fonts: Path) -> list[bytes]:
    for font in fonts:
        if not font.exists():
            pytest.skip(f"{font} is not installed")
    return [font.read_bytes() for font in fonts]


@pytest.mark.parametrize("line_break", ["spaces", "unicode"])
@pytest.mark.parametrize("fonts", [(AMIRI,), (LOHIT,), (GOTHIC, AMIRI, LOHIT)])
@pytest.mark.parametrize("px", [64, 333])
def test_several_fonts_and_scripts(fonts: tuple[Path, ...], line_break: str, px: int) -> None:
    text = f"{HINDI} {ARABIC} すべての人間は、 and so on 2 × 3. {ARABIC} {HINDI}"
    page = check(text, px, need(*fonts), line_break)
    assert (page.metadata.missing_glyphs == 0) == (len(fonts) == 3)


def columns(page: Page) -> tuple[int, int]:
    """Return the first and the last column with ink."""
    inked = np.flatnonzero((np.asarray(page.image) < 255).any(axis=0))
    return int(inked[0]), int(inked[-1])


@pytest.mark.parametrize(("text", "at_the_right"), [
    ("שלום", True), ("abc שלום", False), ("123 שלום abc", True), ("abc", False),
])  # fmt: skip
def test_a_text_from_right_to_left_stands_at_the_right_margin(
    text: str, at_the_right: bool
) -> None:
    page = DEJAVU["spaces"][0].render(text, 640)
    first, last = columns(page)
    assert (first > 320) == at_the_right == (last >= 640 - 32 - 4)
    assert (first <= 32 + 4) != at_the_right


def test_arabic_letters_join_and_brackets_are_mirrored() -> None:
    renderer = DEJAVU["spaces"][0]
    joined = columns(renderer.render("سلام", 640))
    apart = columns(renderer.render("س\u200cل\u200cا\u200cم", 640))
    assert joined[1] - joined[0] < apart[1] - apart[0]
    page = np.asarray(renderer.render("(א", 640).image)
    turned = np.asarray(renderer.render("(", 640).image)[:, ::-1]
    assert (page[:, -32 - 12 : -32] == turned[:, -32 - 12 : -32]).any(axis=1).all()


def test_a_cluster_that_no_font_shows_is_counted_once() -> None:
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    found = check(
        f"a {family} b 的{family}",
        128,
        [tiny_font(shapes={"a": SHAPES["A"], "b": SHAPES["V"], " ": (300, [])}, kern={})],
    )
    assert found.metadata.missing_glyphs == 3


def test_a_page_in_numbers() -> None:
    assert DEJAVU["spaces"][0].render("abc אבג", 512).metadata == PageMetadata(
        30, 1, 1, False, 0, 0
    )
    wide = DEJAVU["spaces"][0].render("m" * 400, 128).metadata
    assert (wide.clipped_lines, wide.total_lines) == (1, 1)
    broken = DEJAVU["unicode"][0].render("m" * 400, 128).metadata
    assert (broken.clipped_lines, broken.total_lines > 9) == (0, True)


def test_describing_is_drawing_without_the_page() -> None:
    renderer = DEJAVU["unicode"][0]
    sizes = [64, 100, 512]
    pages = list(renderer.render_sizes(ARABIC, sizes))
    assert list(renderer.describe_sizes(ARABIC, sizes)) == [page.metadata for page in pages]
    again = pickle.loads(pickle.dumps(renderer))
    assert_same(again.render(ARABIC, 100), pages[1])


def test_levels_and_runs() -> None:
    assert levels_of("abc 12") == (0, [0] * 6)
    assert levels_of("אב 12 (c)") == (1, [1, 1, 1, 2, 2, 1, 1, 2, 1])
    assert levels_of("a\U00010900b") == (0, [0, 1, 0])  # a letter of two 16-bit units
    text = "a सब 1"
    assert [(r.start, r.end, r.script) for r in runs_of(text, [0] * 6, [0] * 6)] == [
        (0, 2, "Latn"), (2, 6, "Deva"),
    ]  # fmt: skip
    assert len(set(scripts_of("... abc")[:4])) == 1
    assert len(runs_of("日本のカナ、と。", [0] * 8, [0] * 8)) == 1
    assert [run.script for run in runs_of("日本 a", [0] * 4, [0] * 4)] == ["Hani", "Latn"]
    runs = [Run(n, n + 1, 0, "Latn", level) for n, level in enumerate([0, 1, 2, 1, 0])]
    assert [run.start for run in visual_order(runs)] == [0, 3, 2, 1, 4]


def test_clusters_and_lines() -> None:
    assert clusters_of("ab") == [0, 1]
    assert clusters_of("a\u0301\U0001f468\u200d\U0001f469b") == [0, 2, 5]
    assert clusters_of("") == line_starts("") == []
    assert line_starts("ภาษาไทยง่าย \U0001f600x") == [0, 4, 7, 12, 13]


@pytest.mark.parametrize(("text", "owners"), [
    ("aअ", [0, 1]),
    ("अ\u0301", [1, 1]),  # whole: the second has the letter and not the mark
    ("a\u0301", [0, 0]),
    ("अ a", [1, 1, 0]),  # the space goes on in the font before it
    ("的", [0]),  # none has it
])  # fmt: skip
def test_fallback_goes_by_cluster(text: str, owners: list[int]) -> None:
    latin, hindi = frozenset(map(ord, "a \u0301")), frozenset(map(ord, "अ "))
    assert ClusterFallback([latin, hindi]).owners(text) == owners


def test_threads_do_not_get_into_each_others_way() -> None:
    """Workers have several, each with a renderer of its own; ICU's iterators are for one."""
    texts = [f"{ARABIC} ภาษาไทยง่าย {HINDI} " * n for n in range(1, 9)]
    alone = [(clusters_of(text), line_starts(text)) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            found = pool.map(lambda text: (clusters_of(text), line_starts(text)), texts)
            assert list(found) == alone


def test_without_the_libraries_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['icu'] = None\n"
        "from pagecast import PageRenderer, PageStyle\n"
        "PageRenderer()\n"
        "try: PageRenderer(PageStyle(layout='harfbuzz'))\n"
        "except ValueError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "layout 'harfbuzz' needs uharfbuzz and PyICU" in done.stdout
    assert "pip install 'pagecast[harfbuzz]'" in done.stdout


def test_a_file_that_is_not_a_font_is_refused() -> None:
    with pytest.raises(ValueError, match="not a TrueType or OpenType font"):
        PageRenderer(PageStyle(b"no font", "harfbuzz"))
