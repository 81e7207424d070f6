"""Every field of a style, alone and with others: the pages are those that Pillow draws plainly."""

from __future__ import annotations

import json
import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from pagecast.render import PageRenderer
from pagecast.render.breaking import source
from pagecast.render.fonts import default_font
from pagecast.render.layouts.harfbuzz.oracle import HarfbuzzOracle
from pagecast.render.oracle import OracleRenderer
from pagecast.render.page import Pages
from pagecast.style import PageStyle
from pagecast.style.frame import Measure
from pagecast.style.style import StyleError
from tests.pagecast.render.test_glyphs import SHAPES, tiny_font

GOLDEN = Path(__file__).parents[2] / "data" / "sample.golden.jsonl"
INKED_SPACE = tiny_font(shapes={**SHAPES, " ": (300, [(-90, 100), (370, 160), (130, 900)])})
FONTS = {"DejaVu": (), "tiny": (tiny_font(),), "both": (INKED_SPACE, default_font())}
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "line_break": st.just("unicode"),
    "size": st.sampled_from([4, 7, 12, 23, 31, 90]),
    "min_size": st.sampled_from([4, 6, 9, 30]),
    "line_height": st.sampled_from([0.5, 0.8, 1, 1.33, 2.5]),
    "margins": st.tuples(*[st.sampled_from([0, 0.01, 0.1, 0.2])] * 4),
    "ink": st.sampled_from([50, 200, "#203040", "#ff0000"]),
    "paper": st.sampled_from([230, 10, "#fff8e0", "#001122"]),
    "align": st.sampled_from(["justify", "center"]),
    "columns": st.sampled_from([2, 3]),
    "column_gap": st.sampled_from([0, 0.01, 0.03]),
    "newline": st.sampled_from(["break", "mark"]),
    "indent": st.sampled_from([0.3, 1, 2.5, 20]),
    "shape": st.sampled_from(["3:4", "4:3", "1:2"]),
    "max_pages": st.sampled_from([1, 2]),
}
WORDS = [
    *[
        "the",
        "of",
        "AVATAR",
        "To,",
        "fi",
        "(x)",
        "1,234",
        "—",
        "“quoted”",
        "naïve",
        "jjj",
        "i",
        "W",
    ],
    *["e\u0301", "x\u0304\u0301", "\u0301e", "https://example.org/path-without-end", "\u200b"],
    *["שלום", "كتاب", "中文字符", "ไทยภาษา", "\U0001f600", "\ud800"],
]
SPACES = [*[" "] * 8, "\n", "\n\n", " \n ", "\r\n", "\t", "\u2028"]
TEXTS = st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(SPACES)), max_size=60).flatmap(
    lambda pairs: st.sampled_from(["", "\n"]).map(lambda s: s + "".join(map("".join, pairs)))
)
KEPT: dict[Any, PageRenderer] = {}


def check(style: PageStyle, text: str, px: int) -> Pages:
    kind = style.layout, style.fonts, style.line_break
    renderer = KEPT.setdefault(kind, PageRenderer(style)).with_style(style)
    oracle = HarfbuzzOracle if style.layout == "harfbuzz" else OracleRenderer
    (pages,), expected = renderer.render_pages(text, [px]), oracle(style).pages(text, px)
    assert pages.metadata == expected.metadata
    assert len(pages.images) == len(expected.images)
    for image, other in zip(pages.images, expected.images, strict=True):
        assert image.mode == other.mode == style.mode
        assert image.size == other.size == style.page_size(px)
        assert image.tobytes() == other.tobytes()
    assert list(renderer.describe_sizes(text, [px])) == [pages.metadata]
    last = len(pages.images) - 1
    again = renderer.draw(text, px, pages.metadata.font_size, last)
    assert again.tobytes() == pages.images[last].tobytes()
    return pages


@pytest.mark.parametrize("layout", ["basic", "raqm", "harfbuzz"])
@settings(derandomize=True, max_examples=100)
@given(data=st.data())
def test_any_style_is_drawn_as_by_the_oracle(layout: str, data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(sorted(FIELDS)), max_size=7, unique=True))
    values = {name: data.draw(FIELDS[name], name) for name in names}
    fonts = FONTS[data.draw(st.sampled_from(["DejaVu", "DejaVu", "tiny", "both"]))]
    try:
        style = PageStyle(fonts=fonts, layout=layout, **values)
    except StyleError:
        assume(False)
    check(style, data.draw(TEXTS), data.draw(st.sampled_from([64, 100, 160])))


@pytest.mark.parametrize("name", FIELDS)
def test_each_field_changes_a_page(name: str) -> None:
    text = "To read, the\nline breaks of a text are to be seen, word by word. " * 6
    plain = PageRenderer().render(text, 200)
    values: dict[str, Any] = {
        "line_break": "unicode", "size": 9, "min_size": 20, "line_height": 1.5,
        "margins": 0.1, "ink": 90, "paper": "#fff8e0", "align": "center", "columns": 2,
        "column_gap": 0.2, "newline": "break", "indent": 2, "shape": "3:4", "max_pages": 2,
    }  # fmt: skip
    beside: dict[str, Any] = {
        "column_gap": {"columns": 2}, "max_pages": {"size": 30}, "line_break": {"size": 30},
    }.get(name, {})  # fmt: skip
    if name == "line_break":
        text += "中文字符" * 20
    pages = check(PageStyle(**{name: values[name]}, **beside), text, 200)
    other = check(PageStyle(**beside), text, 200) if beside else plain
    assert (pages.images, pages.metadata) != (getattr(other, "images", (other[0],)), other.metadata)


def test_a_plain_drawing_by_hand() -> None:
    """Two lines, centred, on a page that is drawn here with Pillow and nothing else."""
    style = PageStyle(
        size=20, newline="break", align="center", ink="#203040", paper="#fff8e0", shape="2:1",
        margins=(0.1, 0.2, 0, 0.05), line_height=1.5, indent=1,
    )  # fmt: skip
    face = ImageFont.truetype(
        PageRenderer().fonts and __import__("io").BytesIO(default_font()), 20,
        layout_engine=ImageFont.Layout.BASIC,
    )  # fmt: skip
    expected = Image.new("RGB", (200, 100), "#fff8e0")
    for row, text in enumerate(["AVA to", "a"]):
        left, _, right, _ = face.getbbox(text)
        x = 10 + 20 + (200 - 10 - 40 - 20 - (right - left)) // 2
        ImageDraw.Draw(expected).text((x, 20 + 30 * row), text, "#203040", face)
    (pages,) = PageRenderer(style).render_pages("AVA  to\na", [200])
    assert len(pages.images) == 1
    assert pages.image.tobytes() == expected.tobytes()


def test_justified_lines_end_at_the_margin() -> None:
    text = "all of these words fill some lines to their very end, the last one not " * 3
    page = check(PageStyle(align="justify", size=12, margins=0.1), text, 300).image
    inked = [page.crop((0, 30 + 14 * row, 300, 44 + 14 * row)).point(lambda v: 255 - v).getbbox()
             for row in range(7)]  # fmt: skip
    ends = [box[2] for box in inked if box]
    assert all(265 < end <= 270 for end in ends[:-1])
    assert ends[-1] < 265


def test_pages_of_a_long_text_have_all_of_it() -> None:
    words = " ".join(json.loads(line)["context_text"] for line in GOLDEN.open("rb")).split()[:6000]
    style = PageStyle(size=12)
    (pages,) = PageRenderer(style).render_pages(" ".join(words), [1024])
    found = pages.metadata
    assert not found.is_truncated
    assert found.rendered_lines == found.total_lines
    per_page = (1024 - 2 * 51) // 14
    assert len(pages.images) == -(-found.total_lines // per_page) > 2
    renderer = PageRenderer(style)
    text = renderer._setter.prepare(source(" ".join(words), "space"))[0](12, Measure(922))
    starts = [*text.lines(Measure(922))[::per_page], len(words)]
    assert [w for a, b in pairwise(starts) for w in words[a:b]] == words
    for number, start in enumerate(starts[:-1]):  # the rest of the text, from its first page on
        rest = renderer.render(" ".join(words[start:]), 1024).image
        assert rest.tobytes() == pages.images[number].tobytes()
    one = PageRenderer(PageStyle(size=12, max_pages=1)).render(" ".join(words), 1024)
    assert one.image.tobytes() == pages.images[0].tobytes()
    assert one.metadata.is_truncated
    assert one.metadata.rendered_lines == per_page


def test_a_floor_is_kept_and_what_fits_is_as_large_as_it_can() -> None:
    floor = PageRenderer(PageStyle(min_size=14))
    (few,) = floor.render_pages("few words " * 20, [512])
    assert len(few.images) == 1
    assert few.image.tobytes() == PageRenderer().render("few words " * 20, 512).image.tobytes()
    (many,) = floor.render_pages("many words " * 900, [512])
    assert many.metadata.font_size == 14
    assert len(many.images) > 1


def test_styles_of_the_same_fonts_share_their_glyphs() -> None:
    renderer = PageRenderer()
    other = renderer.with_style(PageStyle(columns=2, ink="#ff0000"))
    assert other._setter is renderer._setter
    assert renderer.with_style(PageStyle(size=90))._setter is not renderer._setter
    assert renderer.with_style(PageStyle(layout="harfbuzz"))._setter is not renderer._setter
    copy = pickle.loads(pickle.dumps(other))
    assert copy.style == other.style
    assert copy.render("a b", 64).image.tobytes() == other.render("a b", 64).image.tobytes()


def test_there_is_no_page_beyond_the_last() -> None:
    with pytest.raises(IndexError, match="page 1 of a text that has 1"):
        PageRenderer().draw("a", 64, page=1)
