"""The order of runs in a line, checked against what libraqm does with a line in one font."""

from __future__ import annotations

import ctypes
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagecast.render import PageRenderer
from pagecast.render.layouts.raqm import bidi
from pagecast.render.layouts.raqm.bidi import levels, visual_runs
from pagecast.render.page import ALL
from tests.pagecast.render.test_fallback import FONTS, NASTY, both, check, with_characters
from tests.pagecast.render.test_glyphs import tiny_font
from tests.pagecast.render.test_page import TEXTS, assert_same

ARABIC, HEBREW = "\u0633\u0644\u0627\u0645", "\u05d0\u05d1"


def shown(text: str, second: str = "") -> list[str]:
    """Return the runs from left to right, those from right to left in angle brackets."""
    owners = [int(character in second) for character in text]
    return [
        f"<{text[run.start : run.end]}>" if run.direction == "rtl" else text[run.start : run.end]
        for run in visual_runs(text, owners)
    ]


@pytest.mark.parametrize(
    ("text", "second", "expected"),
    [
        ("", "", []),
        ("abc", "", ["abc"]),
        ("abc", "b", ["a", "b", "c"]),
        # A paragraph that begins in Arabic goes from right to left.
        (f"{ARABIC} abc {ARABIC}", "abc", [f"< {ARABIC}>", "abc", f"<{ARABIC} >"]),
        (f"{ARABIC} 123", "", ["123", f"<{ARABIC} >"]),
        (f"{ARABIC} 123", "123", ["123", f"<{ARABIC} >"]),
        (f"abc {ARABIC} {HEBREW} def", ARABIC, ["abc ", f"< {HEBREW}>", f"<{ARABIC}>", " def"]),
        (f"abc {HEBREW} 12 def", "12", ["abc ", "12", f"<{HEBREW} >", " def"]),
        # Arabic-Indic digits go from left to right among letters from right to left.
        (f"{ARABIC} \u0661\u0662", "\u0662", ["\u0661", "\u0662", f"<{ARABIC} >"]),
        # An override turns letters around: one by one, as a run by itself would turn them back.
        ("\u202eabc", "", ["<c>", "<b>", "<a>"]),
        ("\u202ea\u0301b", "", ["<b>", "<a\u0301>"]),
        ("\u200f\u2066\u200d", "", []),
    ],
)
def test_visual_runs(text: str, second: str, expected: list[str]) -> None:
    assert shown(text, second) == expected


def test_brackets_go_with_what_they_enclose() -> None:
    text = f"{HEBREW} (ab) {HEBREW}"
    assert shown(text, "()") == [f"< {HEBREW}>", "<)>", "ab", "<(>", f"<{HEBREW} >"]


def test_levels() -> None:
    assert levels("") == []
    assert levels(f"a {HEBREW} 1") == [0, 0, 1, 1, 1, 2]
    assert levels("a 1", bidi.RIGHT_TO_LEFT) == [2, 2, 2]
    assert levels("\ud800\U0001f600") == [0, 0]


LETTERS = "abAB \u05d0\u05d1\u0633\u0644123\u0661\u0662.,-+%$()[]<>!"
CONTROLS = "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200d"


def boxes(letters: str) -> bytes:
    """Build a font of boxes, each of its own height and all 0.6 em wide, whole pixels at 30 px."""
    shapes = {
        character: (600, [(100, 0), (500, 0), (500, 60 + 20 * n), (140, 60 + 20 * n)])
        for n, character in enumerate(sorted(LETTERS))
        if character != " "
    }
    for control in CONTROLS:
        shapes[control] = (0, [])
    return with_characters(tiny_font(kern={}, shapes={**shapes, " ": (600, [])}), letters)


@cache
def renderers(first: str) -> tuple[PageRenderer, PageRenderer]:
    """Return renderers with all letters in one font, and with some of them in another.

    Of a pair of brackets a font has both or none: one is shown as the other.
    """
    whole = boxes(LETTERS + CONTROLS)
    return PageRenderer(whole, "raqm"), PageRenderer([boxes(first), whole], "raqm")


@settings(derandomize=True, deadline=None, max_examples=400)
@given(
    st.text(LETTERS + 3 * CONTROLS[:4], min_size=1, max_size=18),
    st.sampled_from(
        ["ab\u05d0\u06331\u0661.()", "AB\u05d1\u064423[]<>", "\u05d0\u05d1\u0633\u0644 ", LETTERS]
    ),
)
def test_a_line_in_several_fonts_has_the_order_that_it_has_in_one(text: str, first: str) -> None:
    one, several = (renderer.render(text, 512) for renderer in renderers(first))
    assert several.metadata == one.metadata
    assert several.image.tobytes() == one.image.tobytes()


@settings(derandomize=True, deadline=None, max_examples=150)
@given(NASTY, st.integers(0, 200), st.sampled_from(sorted(FONTS)))
def test_pages_in_nasty_fonts(text: str, px: int, name: str) -> None:
    check(text, px, name, "raqm")


@settings(derandomize=True, deadline=None, max_examples=60)
@given(TEXTS, st.integers(64, 200), st.sampled_from(["tiny, DejaVu", "DejaVu, tiny", "three"]))
def test_pages_of_all_scripts(text: str, px: int, name: str) -> None:
    check(text, px, name, "raqm")


def test_what_was_measured_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pagecast.render.layouts.raqm.mixed.MAX_BOXES", 90)
    renderer, oracle = both("tiny, DejaVu", "raqm")
    kept = []
    for start in range(0, 40, 4):
        text = " ".join(f"jW{start + i}" for i in range(4))
        assert_same(renderer.render(text, 80), oracle.render(text, 80))
        kept.append(renderer._kept[ALL])
    assert 1 < len(set(map(id, kept))) < len(kept)


def test_without_fribidi_there_is_one_font(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    bidi._fribidi.cache_clear()
    try:
        with pytest.raises(ValueError, match="layout 'raqm' with several fonts needs FriBiDi"):
            PageRenderer(FONTS["three"], "raqm")
        PageRenderer(layout="raqm")
        PageRenderer(FONTS["three"])
    finally:
        bidi._fribidi.cache_clear()
