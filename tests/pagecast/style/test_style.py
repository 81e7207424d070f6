"""A style says what is wrong with it, and what it is on pages of a size."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from pagecast.style import PageStyle
from pagecast.style.frame import frame
from pagecast.style.style import StyleError


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"size": 3}, 'size: 3 is not a whole number from 4 to 200 or "fit"'),
        ({"size": "big"}, "size: 'big' is not a whole number"),
        ({"size": 12.5}, "size: 12.5 is not a whole number"),
        ({"size": True}, "size: True is not a whole number"),
        ({"min_size": 31}, "min_size: 31 is not a whole number from 4 to 30"),
        ({"min_size": 8, "size": 9}, 'min_size: it goes with size "fit", not with 9'),
        ({"line_height": 0.4}, "line_height: 0.4 is not from 0.5 to 4"),
        ({"line_height": float("nan")}, "line_height: nan is not from 0.5 to 4"),
        ({"line_height": "1"}, "line_height: '1' is not a number"),
        ({"margins": [0.1, 0.1]}, "margins: 2 of them; one, or top, right, bottom, left"),
        ({"margins": {"topp": 0.1}}, "margins: topp is none of top, right, bottom, left"),
        ({"margins": 0.46}, "margins: 0.46 is not from 0 to 0.45"),
        ({"margins": 0.2, "shape": "1:3"}, "margins: nothing is left between them"),
        ({"ink": 256}, 'ink: 256 is not a gray from 0 to 255, nor a colour "#rrggbb"'),
        ({"ink": "red"}, "ink: 'red' is not a gray"),
        ({"ink": "#ffffff"}, "ink: it is the colour of the paper, 255"),
        ({"align": "left"}, "align: 'left' is not one of start, justify, center"),
        ({"align": ["center"]}, "align: ['center'] is not one of"),
        ({"columns": 0}, "columns: 0 is not a whole number from 1 to 12"),
        ({"columns": 12, "column_gap": 0.2}, "columns: there is no room for 12"),
        ({"newline": "none"}, "newline: 'none' is not one of space, break, mark"),
        ({"shape": "3x4"}, "shape: ['3x4'] is not a width and a height, as \"3:4\""),
        ({"shape": (0, 1)}, "shape: 0 is not a whole number from 1 to 64"),
        ({"max_pages": 0}, "max_pages: 0 is not a whole number from 1 to 1000"),
        ({"layout": "fancy"}, "layout: 'fancy' is not one of basic, raqm, harfbuzz"),
        ({"layout": "raqm", "align": "justify"}, 'align: "justify" needs layout "basic"'),
        ({"layout": "raqm", "fonts": [b"a", b"b"]}, "fonts: layout 'raqm' takes one font"),
        ({"fonts": ["a.ttf"]}, "fonts: they are to be the bytes of font files"),
    ],
)
def test_what_a_style_cannot_be(values: dict[str, Any], why: str) -> None:
    with pytest.raises(StyleError) as raised:
        PageStyle(**values)
    assert str(raised.value).startswith(why)
    assert raised.value.field in values
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


def test_ways_to_say_the_same() -> None:
    one = PageStyle(margins=0.1, ink="#303030", shape="6:8", fonts=b"x", line_height=1)
    two = PageStyle(margins=[0.1] * 4, ink=48, shape=(3, 4), fonts=[b"x"], line_height=1.0)
    assert one == two
    assert hash(one) == hash(two)
    assert one.changes() == {
        "line_height": 1.0, "margins": [0.1] * 4, "ink": 48, "shape": [3, 4],
    }  # fmt: skip
    assert PageStyle(**one.changes(), fonts=b"x") == one
    assert PageStyle(margins={"top": 0.2}).margins == (0.2, 0.05, 0.05, 0.05)
    assert PageStyle(ink="#ABCDEF").ink == "#abcdef"
    assert PageStyle().changes() == {}


def test_changed_fields() -> None:
    assert PageStyle(size=9).with_fields({"align": "center"}) == PageStyle(size=9, align="center")
    with pytest.raises(StyleError, match=r"^sise: is no field of a style; these are: fonts, l"):
        PageStyle().with_fields({"sise": 9})


def test_how_many_pages() -> None:
    assert PageStyle().most_pages == 1
    assert PageStyle(size=12).most_pages == PageStyle(min_size=9).most_pages == 64
    assert PageStyle(size=12, max_pages=2).most_pages == 2
    assert PageStyle(max_pages=3).most_pages == 3


def test_the_default_frame_is_the_rule_as_ever() -> None:
    for px in (512, 640, 1024, 1280, 7):
        found, margin = frame(PageStyle(), px), int(px * 0.05)
        assert found.size == (px, px)
        assert found.lefts == (margin,)
        assert found.cuts == (0, px)
        assert (found.top, found.box, found.height) == (margin, px - 2 * margin, px - 2 * margin)
        assert [found.line_height(size) for size in range(4, 31)] == [
            int(size * 1.2) for size in range(4, 31)
        ]
        assert found.measure(12) == (found.box, 0)


def test_columns_share_what_the_margins_leave() -> None:
    style = PageStyle(columns=3, column_gap=0.02, shape="3:4", margins=(0.1, 0.05, 0, 0.02))
    found = frame(style, 1000)
    assert found.size == (750, 1000)
    assert found.box == (750 - 20 - 50 - 40) // 3
    assert found.lefts == (20, 20 + 233, 20 + 2 * 233)
    assert found.cuts == (0, 243, 476, 750)
    assert (found.top, found.height) == (100, 900)
    assert found.rows(10) == 75
    assert found.lines(10) == 225
    assert [found.pages(10, lines) for lines in (0, 1, 225, 226)] == [1, 1, 1, 2]
