"""Lines that end where the rules of Unicode let them; pages that equal the oracle's."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import icu
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagecast.render import PageRenderer
from pagecast.render.breaking import (
    Unit,
    break_units,
    clusters,
    clusters_of,
    line_starts,
    well_formed,
)
from pagecast.render.oracle import OracleRenderer
from pagecast.style import PageStyle
from tests.pagecast.render.test_fallback import FONTS
from tests.pagecast.render.test_page import SCRIPTS, TEXTS, assert_same


def units(text: str, line_break: str = "unicode") -> list[str]:
    return [text[a:b] for a, b in break_units(text, line_break)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("word", "word"),
        ("two words", "two|words"),
        ("well-known e-mail", "well-|known|e-|mail"),
        ("( x ) 3.14% $5 a/b", "( x )|3.14%|$5|a/|b"),
        ("« bonjour » !", "« bonjour » !"),
        ("http://example.org/a-b?c=1", "http://|example.org/|a-|b?|c=1"),
        # Neither a comma nor a small kana begins a line, no bracket ends one.
        ("日本語です。「はい」、と", "日|本|語|で|す。|「は|い」、|と"),
        ("ちょっとラーメン（二）", "ちょっ|と|ラー|メ|ン|（二）"),
        ("東京2020のTokyo、です", "東|京|2020|の|Tokyo、|で|す"),
        ("他说：“你好！”（再见）", "他|说：|“你|好！”|（再|见）"),
        ("한국어 문장.", "한|국|어|문|장."),
        # Thai has no spaces between words, and to find them takes a dictionary.
        ("ราชอาณาจักรไทย เป็น", "ราช|อาณาจักร|ไทย|เป็น"),
        ("नमस्ते दुनिया।", "नमस्ते|दुनिया।"),
        ("السلام عليكم، نعم", "السلام|عليكم،|نعم"),
        ("👩‍👩‍👧🇫🇷🇩🇪👩🏽❤️!", "👩‍👩‍👧|🇫🇷|🇩🇪|👩🏽|❤️!"),
        ("a\u200bb c\u2060d soft\u00adhyphen", "a\u200b|b|c\u2060d|soft\u00ad|hyphen"),
    ],
)
def test_units_by_the_rules_of_unicode(text: str, expected: str) -> None:
    assert units(text) == (expected.split("|") if expected else [])


def test_units_by_spaces_are_words() -> None:
    assert break_units("", "spaces") == []
    assert break_units("a bc 日本語", "spaces") == [Unit(0, 1), Unit(2, 4), Unit(5, 8)]


@settings(derandomize=True, deadline=None, max_examples=200)
@given(TEXTS)
def test_places_are_counted_in_characters(text: str) -> None:
    text = well_formed(" ".join(text.split()))
    wide = text.encode("utf-16-le")
    for kind, found in (("Line", line_starts(text)), ("Character", clusters_of(text))):
        iterator = getattr(icu.BreakIterator, f"create{kind}Instance")(icu.Locale("en"))
        iterator.setText(icu.UnicodeString(text))
        ends = [0, *list(iterator)][:-1] if text else []
        assert [len(wide[: 2 * end].decode("utf-16-le")) for end in ends] == found


def test_clusters_are_those_of_the_unit() -> None:
    text = "ab e\u0301👩‍👧नि!"
    expected = [Unit(3, 5), Unit(5, 8), Unit(8, 10), Unit(10, 11)]
    assert clusters(text, Unit(3, 11)) == expected
    assert clusters("( x \u0301!", Unit(0, 6)) == [
        Unit(0, 1),
        Unit(2, 3),
        Unit(3, 5),  # a mark has no other letter than the space
        Unit(5, 6),
    ]


def test_very_many_marks_are_one_cluster() -> None:
    text = "e" + "\u0301" * 20_000 + "\u200d" * 20_000 + "x"
    assert break_units(text, "unicode") == [Unit(0, 40_002)]
    assert clusters_of(text) == [0, 40_001]


def test_lone_surrogates_are_characters() -> None:
    assert break_units("a\ud800 b", "unicode") == [Unit(0, 2), Unit(3, 4)]


def test_without_icu_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "icu", None)
    with pytest.raises(
        ValueError, match=r"line_break 'unicode' needs PyICU .*pagecast\[harfbuzz\]"
    ):
        PageRenderer(PageStyle(line_break="unicode"))
    PageRenderer()


@cache
def both(layout: str, name: str | None) -> tuple[PageRenderer, OracleRenderer]:
    style = PageStyle(tuple(FONTS[name]) if name else (), layout, "unicode")
    return PageRenderer(style), OracleRenderer(style)


def check(text: str, px: int, layout: str = "basic", name: str | None = None) -> None:
    renderer, oracle = both(layout, name)
    assert_same(renderer.render(text, px), oracle.render(text, px))


LANGUAGES = [
    "日本語の文章です。「括弧」と、句読点（テスト）ー長音、ちょっと1997年のABC。",
    "中文的句子，“你好！”（再见）……他说：1949年。",
    "한국어 문장입니다. 서울(Seoul)은 1,000만 명.",
    "ราชอาณาจักรไทย เป็นประเทศ",
    "यह हिन्दी का वाक्य है। भारत में १९४७",
    "هذه جملة عربية، فيها 123 و abc.",
    "http://example.org/very/long-path?x=1 « bonjour » well-known",
    "👩‍👩‍👧‍👦🇫🇷🇩🇪👩🏽❤️ e\u0301\u0323",
]
PIECES = st.one_of(
    *(st.lists(st.sampled_from(text), max_size=30).map("".join) for text in LANGUAGES), TEXTS
)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.lists(PIECES, max_size=3).map("".join), st.integers(24, 180))
def test_pages_in_basic_layout(text: str, px: int) -> None:
    check(text, px)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(PIECES, st.integers(24, 150))
def test_pages_in_raqm_layout(text: str, px: int) -> None:
    check(text, px, "raqm")


@settings(derandomize=True, deadline=None, max_examples=60)
@given(PIECES, st.integers(24, 150), st.sampled_from(["three", "halves"]))
def test_pages_in_several_fonts(text: str, px: int, name: str) -> None:
    check(text, px, "basic", name)


@settings(derandomize=True, deadline=None, max_examples=10)
@given(st.sampled_from([*SCRIPTS, *LANGUAGES]), st.integers(0, 600), st.randoms())
def test_pages_of_many_characters(script: str, count: int, chance: Any) -> None:
    check("".join(chance.choices(script + "。 ", k=count)), 200)


@pytest.mark.parametrize("layout", ["basic", "raqm"])
def test_a_unit_wider_than_the_page_is_broken_between_clusters(layout: str) -> None:
    text = "a " + "e\u0301x" * 90 + " b"
    page = both(layout, None)[0].render(text, 64)
    assert (page.metadata.clipped_lines, page.metadata.is_truncated) == (0, False)
    assert PageRenderer(PageStyle(layout=layout)).render(text, 64).metadata.clipped_lines == 1
    check(text, 64, layout)
    check(text, 10, layout)  # a cluster may be wider too


def test_plain_text_is_the_same_either_way() -> None:
    text = "Plain words, with some commas and stops. " * 9
    for px in (90, 200):
        assert_same(both("basic", None)[0].render(text, px), PageRenderer().render(text, px))


def test_a_line_break_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="line_break: 'words' is not one of spaces, unicode"):
        PageStyle(line_break="words")
