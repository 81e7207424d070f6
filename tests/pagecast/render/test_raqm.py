"""Layout raqm: equal to the oracle with raqm, by units of one glyph only where that is certain."""

from __future__ import annotations

import io
import json
import pickle
import unicodedata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fontTools.ttLib import TTFont
from fontTools.unicodedata import script as unicode_script
from hypothesis import given, settings
from hypothesis import strategies as st

from pagecast.render import PageRenderer
from pagecast.render.fonts import default_font
from pagecast.render.layouts.raqm.raqm import ShapedLines, ShapedText, UnitText, raqm_text
from pagecast.render.layouts.raqm.rules import contextual_rules, read_rules
from pagecast.render.layouts.raqm.shaper import Shaper
from pagecast.render.layouts.raqm.units import plain_script, word_script
from pagecast.render.oracle import OracleRenderer
from pagecast.render.typeset import SetText
from pagecast.style import PageStyle
from pagecast.style.frame import Measure
from tests.pagecast.render.test_glyphs import SHAPES, tiny_font
from tests.pagecast.render.test_page import SCRIPTS, TEXTS, assert_same

GOLDEN = Path(__file__).parents[2] / "data" / "sample.golden.jsonl"
SHAPER = Shaper(default_font())
RAQM = PageStyle(layout="raqm")
DEJAVU = PageRenderer(RAQM), OracleRenderer(RAQM)

LATIN = "languagesystem DFLT dflt; languagesystem latn dflt;"
KERN_IN_WORDS = "feature kern { pos u0041 u0056 -173; pos u0066 u0069 57; } kern;"
# Fonts whose rules see the space, each in another way.
SPACE_RULES = {
    "pair": "feature kern { pos u0020 u0041 -333; } kern;",
    "pair, second": "feature kern { pos u0056 u0020 -333; } kern;",
    "classes": "feature kern { pos [u0041 u0056] [u0020 u0066] -333; } kern;",
    "the rest": "feature kern { enum pos u0041 [u0020 u0078] 111; } kern;",
    "ligature": "feature liga { sub u0041 u0020 u0056 by u007C; } liga;",
    "context": "feature calt { sub u0041' u0020 u0056 by u007C; } calt;",
    "lookbehind": "feature calt { sub u0041 u0020 u0056' by u007C; } calt;",
    "single": "feature locl { sub u0020 by u007C; } locl;",
    "nested": (
        "lookup far { sub u0056 u0020 by u007C; } far;"
        "feature calt { sub u0041' u0056' lookup far; } calt;"
    ),
    "position": "feature kern { pos u0020 <111 0 222 0>; } kern;",
    "past the space": (
        "table GDEF { GlyphClassDef [u0020], , [u0301], ; } GDEF;"
        "feature kern { lookupflag IgnoreBaseGlyphs; pos u0041 u0056 -333; } kern;"
    ),
    "random": "feature rand { sub u0041 from [u0056 u0066]; } rand;",
}


def both(font: bytes) -> tuple[PageRenderer, OracleRenderer]:
    style = PageStyle(font, "raqm")
    return PageRenderer(style), OracleRenderer(style)


def check(text: str, px: int, font: bytes | None = None) -> None:
    renderer, oracle = DEJAVU if font is None else both(font)
    assert_same(renderer.render(text, px), oracle.render(text, px))


@pytest.mark.parametrize("line", [0, 23])
def test_a_real_text(line: int) -> None:
    text = json.loads(GOLDEN.read_text("utf-8").splitlines()[line])["context_text"]
    check(text[:2500], 330)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(TEXTS, st.integers(64, 200))
def test_pages_of_all_scripts(text: str, px: int) -> None:
    check(text, px)


PLAIN = "office, (fluffy) AVAIL To 1997 3.14% — “x” (1) ½ № 20€ a/b Да, слово (три) но λόγος, ἄν Ω"
NOT_PLAIN = "שלום سلام नमस्ते e\u0301 1\u20442 \u0301x ٣٤ \u200bzero 的"
LINES = st.lists(
    st.one_of(
        st.sampled_from(PLAIN.split(" ")),
        st.text(SCRIPTS[0], min_size=1, max_size=9),
        st.text("([{<«‹“’”›»>}])", min_size=1, max_size=3),
        st.sampled_from(NOT_PLAIN.split(" ")),
    ),
    max_size=60,
).map(" ".join)


@settings(derandomize=True, deadline=None, max_examples=120)
@given(LINES, st.integers(64, 300))
def test_plain_words_among_others(text: str, px: int) -> None:
    check(text, px)


# English with some words of anything: a line that has one is broken by bounds and drawn by Pillow.
ENGLISH = st.lists(
    st.sampled_from(["The", "quick", "fox,", "over", "AVID", "office:", "(not)", "15", "–", "1"]),
    min_size=9,
    max_size=25,
)
MOSTLY_ENGLISH = st.lists(st.tuples(ENGLISH, LINES.map(lambda line: line[:30])), max_size=8).map(
    lambda parts: " ".join(" ".join([*english, odd]) for english, odd in parts)
)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(MOSTLY_ENGLISH, st.integers(64, 300))
def test_odd_words_in_english(text: str, px: int) -> None:
    check(text, px)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    st.lists(st.text([*SHAPES, "?"], min_size=1, max_size=5), max_size=25).map(" ".join),
    st.sampled_from([LATIN + KERN_IN_WORDS, ""]),
    st.integers(40, 200),
)
def test_pages_in_a_nasty_font(text: str, features: str, px: int) -> None:
    check(text, px, tiny_font(features))


# Characters that scripts share, treated otherwise among Latin letters.
SHARED_RULES = """
    languagesystem DFLT dflt; languagesystem latn dflt;
    feature kern {
        script DFLT; language dflt; pos u007C u007C 350; pos u002F u007C -90;
        script latn; language dflt; pos u007C u007C -250; pos u002F u007C 470;
    } kern;
    feature liga { script latn; language dflt; sub u007C u00A4 by u0057; } liga;
"""


SHARED = both(tiny_font(SHARED_RULES, kern={}))


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    st.lists(
        st.one_of(st.sampled_from(["x", "||", "|\u00a4", "AV"]), st.text("|/\u00a4", min_size=1)),
        max_size=30,
    ).map(" ".join),
    st.integers(60, 250),
)
def test_shared_characters_take_the_script_beside_them(text: str, px: int) -> None:
    renderer, oracle = SHARED
    assert_same(renderer.render(text, px), oracle.render(text, px))


@pytest.mark.parametrize("rule", SPACE_RULES)
def test_rules_that_see_the_space_are_found(rule: str) -> None:
    font = tiny_font(LATIN + SPACE_RULES[rule], kern={})
    assert not read_rules(font).words_stand_alone
    for px in (70, 90, 111, 160):
        check("A V x A A V f V A x V V A A f f V A A " * 2, px, font)


@pytest.mark.parametrize(
    ("font", "alone"),
    [
        (default_font(), True),
        (tiny_font(kern={}), True),
        (tiny_font(LATIN + KERN_IN_WORDS, kern={("A", "V"): -99}), True),
        (tiny_font(kern={("A", " "): -99}), False),
        (tiny_font(kern={(" ", "A"): -99}), False),
        # The rule sees the space, but only in Arabic.
        (tiny_font("languagesystem arab dflt;" + SPACE_RULES["pair"], kern={}), True),
        # So are rules that are off: they are for those who ask.
        (tiny_font(LATIN + "feature salt { sub u0020 by u007C; } salt;", kern={}), True),
        # Empty cells of a table of classes do nothing.
        (tiny_font(LATIN + "feature kern { pos [u0041] [u0056 u0066] -9; } kern;", kern={}), True),
        # A space with ink, or none at all.
        (tiny_font(kern={}, shapes={**SHAPES, " ": (300, [(0, 0), (90, 0), (9, 90)])}), False),
        (tiny_font(kern={}, shapes={"A": SHAPES["A"]}), False),
    ],
)
def test_words_stand_alone(font: bytes, alone: bool) -> None:
    assert read_rules(font).words_stand_alone is alone


@pytest.mark.parametrize(
    ("rule", "kept", "changed"),
    [
        ("feature kern { pos u0041 u0056 -173; } kern;", ["AV", "VA", "fix"], []),
        ("feature liga { sub u0066 u0069 by u0078; } liga;", ["fx", "ix", "AV"], ["fi", "ixf"]),
        ("feature locl { sub u0066 by u0078; } locl;", ["ix"], ["f", "xf"]),
        ("feature ccmp { sub u0066 by u0078 u0069; } ccmp;", ["ix"], ["f"]),
        ("feature salt { sub u0066 by u0078; } salt;", ["f", "fi"], []),
        ("feature aalt { sub u0066 from [u0078 u0069]; } aalt;", ["f"], []),
        ("feature calt { sub u0066 from [u0078 u0069]; } calt;", ["x"], ["f"]),
        ("feature calt { sub u0041 u0056' u0078 by u0069; } calt;", ["AV", "Vx", "A"], ["AVx"]),
        (
            "feature calt { ignore sub [u0041 u0056] u0069' [u0056 u0078];"
            " sub [u0041 u0056] u0069' by u0078; } calt;",
            ["ix", "AV"],
            ["Ai", "Vix"],
        ),
        ("feature calt { rsub u0041 u0056' by u0069; } calt;", ["V", "A"], ["AV"]),
        ("feature kern { pos u0041 <9 0 9 0>; } kern;", ["V"], ["A"]),
        ("feature kern { pos u0041 <9 0 9 0> u0056 <0 0 0 0>; } kern;", ["V"], ["AV"]),
        ("feature curs { pos cursive u0041 <anchor 9 9> <anchor 8 8>; } curs;", ["V"], ["A"]),
        (
            "markClass u0301 <anchor 0 600> @TOP;"
            "feature mark { pos base u0041 <anchor 300 700> mark @TOP; } mark;",
            ["A", "AV"],
            ["A\u0301"],
        ),
        ("languagesystem arab dflt; feature liga { sub u0066 u0069 by u0078; } liga;", ["fi"], []),
    ],
)
def test_rules_that_apply_to_words_are_found(
    rule: str, kept: list[str], changed: list[str]
) -> None:
    font = tiny_font(rule if rule.startswith("languagesystem") else LATIN + rule, kern={})
    rules = read_rules(font)
    assert [word for word in (*kept, *changed) if rules.keep(word)] == kept
    for px in (66, 95, 140):
        check(" ".join([*kept, *changed, "fi xif AVx Ai jV"] * 5), px, font)


def context(form: int, **parts: Any) -> SimpleNamespace:
    """Return what a contextual subtable of fontTools looks like."""
    classes = [
        None if rules is None else SimpleNamespace(Rule=rules) for rules in parts.pop("sets")
    ]
    name = "ChainSubClassSet" if form == 2 else "ChainSubRuleSet"
    return SimpleNamespace(Format=form, **parts, **{name: classes})


def table(**glyphs: int) -> SimpleNamespace:
    return SimpleNamespace(classDefs=glyphs, glyphs=sorted(glyphs))


@pytest.mark.parametrize(
    ("subtable", "rules"),
    [
        (
            context(
                1,
                Coverage=table(a=1, b=1),
                sets=[[], [SimpleNamespace(Backtrack=["c"], Input=["d"], LookAhead=["e", "f"])]],
            ),
            [["b", "c", "d", "e", "f"]],
        ),
        (
            context(
                2,
                Coverage=table(a=1, b=1, c=1),
                BacktrackClassDef=table(x=1, y=1, z=2),
                InputClassDef=table(a=1, c=2, d=2),
                LookAheadClassDef=table(w=3),
                sets=[
                    [SimpleNamespace(Backtrack=[1, 0], Input=[2], LookAhead=[3])],
                    [SimpleNamespace(Backtrack=[], Input=[], LookAhead=[2])],
                    None,
                ],
            ),
            [["abc", "xy", None, "cd", "w"], ["a", ""]],
        ),
        (
            context(
                2,
                Coverage=table(a=1, b=1),
                ClassDef=table(b=1),
                sets=[None, [SimpleNamespace(Class=[0, 1])]],
            ),
            [["b", None, "b"]],
        ),
    ],
)
def test_contextual_rules(subtable: Any, rules: list[list[str | None]]) -> None:
    expected = [[None if part is None else frozenset(part) for part in rule] for rule in rules]
    assert list(contextual_rules(subtable)) == expected


def test_words_with_missing_glyphs_are_left_to_pillow() -> None:
    rules = read_rules(tiny_font(kern={}))
    assert rules.keep("fix") and not rules.keep("fix?")


def test_kerning_by_the_old_table_moves_both_glyphs() -> None:
    font = tiny_font(kern={("A", "V"): -180})
    assert read_rules(font).words_stand_alone and not read_rules(font).keep("AV")
    assert read_rules(tiny_font(LATIN + KERN_IN_WORDS, kern={("A", "V"): -180})).keep("AV")
    check("AV VA AVAV V A " * 9, 120, font)


@pytest.mark.parametrize(
    ("word", "script"),
    [
        ("word", "Latn"),
        ("(naïve),", "Latn"),
        ("Œuvre", "Latn"),
        ("ɪnəˈneɪʃən", "Latn"),
        ("слово", "Cyrl"),
        ("λόγος", "Grek"),
        ("ἄνθρωπος", "Grek"),
        ("1997", ""),
        ("(—)", ""),
        ("→", ""),
        ("²³", ""),
        ("aя", None),
        ("e\u0301", None),  # a mark
        ("co\u00adop", None),  # a soft hyphen
        ("1\u20442", None),  # a fraction
        ("a\u200db", None),  # a joiner
        ("a\u202eb", None),  # a bidi control
        ("שלום", None),
        ("٣", None),
        ("的", None),
        ("ϩ", None),  # Coptic, among the Greek
        ("\ud800", None),
        ("\x00", None),
        ("⠓", None),
    ],
)
def test_word_script(word: str, script: str | None) -> None:
    assert word_script(word) == script


def test_plain_characters_are_left_to_right_and_stand_alone() -> None:
    plain = [chr(code) for code in range(0x110000) if plain_script(chr(code)) is not None]
    assert 3000 < len(plain) < 5000
    assert {unicodedata.bidirectional(c) for c in plain} <= {"L", "EN", "ES", "ET", "CS", "ON"}
    assert not [c for c in plain if unicodedata.category(c)[0] in "MCZ"]
    assert {unicode_script(c) for c in plain} == {"Zyyy", "Latn", "Cyrl", "Grek"}
    plain_script.cache_clear()


def test_anchors_are_the_words_that_decide_a_lines_script() -> None:
    words = ["1", "(2)", "one", "3", "слово", "4", "5"]
    assert ShapedText(words, SHAPER, [0]).anchors == [2, 2, 2, 4, 4, 6, 6]


@pytest.mark.parametrize(
    ("text", "odd"),
    [
        ("Ten office words, all of them plain: 1 (2) fi", []),
        ("слово за слово " * 9 + "word", []),
        ("Words of the Greek λόγος " + "and more " * 9 + "سلام", ["سلام"]),
        ("of the Greek (λόγος, " + "a bracket that is open) " * 9, ["(λόγος,"]),
        ("of the Greek λόγος “And " + "what is kerned there " * 9, ["λόγος"]),
        ("one سلام", None),  # too many odd words
        ("1 2 3", None),  # of no script
        ("", None),
    ],
)
def test_words_that_are_odd(text: str, odd: list[str] | None) -> None:
    words = text.split()
    found = raqm_text(words, SHAPER, [0])
    assert isinstance(found, UnitText) is (odd is not None)
    if isinstance(found, UnitText):
        assert [words[number] for number in found.odd] == odd


def test_pillow_is_asked_about_few_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ('The quick brown fox, jumping over AVID dogs: "Why (not) 15 fish?" ' * 40).split()
    words[100], words[300] = "e\u0301", "שלום"
    asked: list[tuple[int, int]] = []
    stretch = UnitText.stretch

    def noted(self: UnitText, first: int, last: int) -> str:
        asked.append((first, last))
        return stretch(self, first, last)

    monkeypatch.setattr(UnitText, "stretch", noted)
    for size in range(4, 31):
        set_text, box = raqm_text(words, SHAPER, [0]).at(size), Measure(25 * size)
        assert isinstance(set_text, SetText)
        asked.clear()
        firsts = set_text.lines(box)
        assert len(firsts) > 50 and len(asked) < 20
        assert ShapedText(words, SHAPER, [0]).at(size).lines(box) == firsts
        assert set_text.lines(box, 7) == firsts[:8]


def test_what_is_kept_of_words_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pagecast.render.layouts.raqm.units.MAX_WORDS", 20)
    renderer, oracle = PageRenderer(RAQM), DEJAVU[1]
    kept = []
    for start in range(0, 60, 4):
        text = " ".join(f"fi{start + i}" for i in range(4))
        assert_same(renderer.render(text, 80), oracle.render(text, 80))
        kept.append(renderer._setter._kept.get(0))
    assert 1 < len(set(map(id, kept))) < len(kept)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.text("AVTLfy.,-()Pαίχ", min_size=2, max_size=2), st.integers(4, 30))
def test_kerning_scales_as_libraqm_does_it(pair: str, size: int) -> None:
    atlas = SHAPER.words("Latn").atlas
    ids = atlas.intern_unit(pair[0]), atlas.intern_unit(pair[1])
    if pair != "ff":  # a ligature
        assert atlas.at(size).kerning(ids) == atlas.at(size)._kerning(ids)


# Words of the built-in font as glyphs: ligatures are units of their own.
@pytest.mark.parametrize(("word", "units"), [
    ("office", ("o", "ffi", "c", "e")), ("fluffy", ("fl", "u", "ff", "y")), ("AV", ("A", "V")),
    ("ffl1", ("ffl", "1")), ("", ()), ("e\u0301", None), ("中", None),
])  # fmt: skip
def test_units_of_words(word: str, units: tuple[str, ...] | None) -> None:
    assert read_rules(default_font()).units(word) == units


def test_a_ligature_that_is_changed_in_turn_is_no_unit() -> None:
    features = LATIN + (
        "feature liga { sub u0066 u0069 by u007C; } liga;"
        "feature calt { sub u007C' u0041 by u0057; } calt;"
    )
    assert read_rules(tiny_font(features, kern={})).units("fi") is None


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("raqm", "layout 'raqm' needs libraqm, which Pillow does not find; install a Pillow"),
        ("fribidi", r"layout 'raqm' needs FriBiDi, .* apt-get install libfribidi0"),
    ],
)
def test_raqm_without_its_libraries(
    missing: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("PIL.features.check", lambda feature: feature != missing)
    with pytest.raises(ValueError, match=message):
        PageRenderer(RAQM)
    PageRenderer()


def test_raqm_takes_one_font() -> None:
    with pytest.raises(ValueError, match=r"'raqm' takes one font; for several choose .*'harfbuzz'"):
        PageStyle((default_font(), tiny_font()), "raqm")


def test_a_pickled_renderer_keeps_its_layout() -> None:
    copy = pickle.loads(pickle.dumps(DEJAVU[0]))
    assert_same(copy.render("office سلام", 99), DEJAVU[1].render("office سلام", 99))


def test_a_font_that_names_features_it_lacks_may_do_anything() -> None:
    """GNU Unifont's list of features is empty, though its scripts refer to the first."""
    with TTFont(io.BytesIO(default_font())) as face:
        for tag in ("GSUB", "GPOS"):
            face[tag].table.FeatureList.FeatureRecord = []
        face.save(changed := io.BytesIO())
    font = changed.getvalue()
    assert not read_rules(font).words_stand_alone
    check("Two fine words", 128, font)


LONG_LINES = {
    "signs": ["="] * 3000,
    "signs, then a letter": [*["("] * 90, "a", *["="] * 90, "b"] * 4,
    "pictures": ["😀", "👩‍👩‍👧", "🇫🇷"] * 200,
    "Arabic without spaces": [*"السلامعليكملله"] * 40,
    "two directions": [*"abc", "א", "ב", "12", "(", "ج", "ت", ")"] * 60,
    "joined letters": [*"ffi", "fi", "AV", "'"] * 120,
    "Hindi": ["क्", "ष", "ि", "न", "म", "स्", "ते"] * 80,
}


@pytest.mark.parametrize("name", LONG_LINES)
def test_few_words_of_a_long_line_are_measured(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words, box, size = LONG_LINES[name], 300, 4
    measured = []
    width = ShapedLines._width

    def counted(self: ShapedLines, first: int, last: int) -> float:
        measured.append(last)
        return width(self, first, last)

    monkeypatch.setattr(ShapedLines, "_width", counted)
    set_text = ShapedText(words, SHAPER, [0], [0] * len(words)).at(size)
    lines = set_text.lines(Measure(box))
    assert len(measured) <= 20 * len(lines) < len(words)
    first, expected = 0, [0]
    for last in range(len(words)):
        if last > first and width(set_text, first, last) > box:
            first = last
            expected.append(first)
    assert lines == expected
