"""Style sheets: what they say, and which style a sample gets."""

from __future__ import annotations

import doctest
import hashlib
import pickle
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pagecast.dataset.manifest import sheet_of, style_record
from pagecast.dataset.split import article_key
from pagecast.render import PageRenderer
from pagecast.render.fonts import default_font
from pagecast.style import PageStyle, drawing, entry, sheet
from pagecast.style.drawing import SheetRenderer
from pagecast.style.entry import StyleEntry
from pagecast.style.sheet import StyleSheet
from pagecast.style.style import StyleError
from tests.pagecast.render.test_glyphs import tiny_font

PLAIN = StyleEntry.of({}, "plain", 1)
VARIED = StyleEntry.of(
    {
        "size": {"from": 8, "to": 20},
        "align": ["start", "justify", "center"],
        "line_height": {"from": 1.0, "to": 1.5},
    },
    "varied",
    3,
)
TWO = StyleSheet((PLAIN, VARIED), seed=7)


def number(text: str) -> int:
    """Return what the documentation calls u64."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def ids(count: int) -> list[str]:
    return [f"sample_{n:06d}_chunk_0" for n in range(count)]


def test_the_styles_that_samples_get_are_known() -> None:
    assert [TWO.style_of(sample)[0] for sample in ids(6)] == [
        "varied size=17 line_height=1.034 align=center",
        "plain",
        "varied size=17 line_height=1.367 align=justify",
        "varied size=20 line_height=1.172 align=start",
        "varied size=11 line_height=1.472 align=start",
        "varied size=11 line_height=1.488 align=center",
    ]


def test_styles_are_drawn_by_the_documented_rule() -> None:
    for sample in ids(200):
        label, style = TWO.style_of(sample)
        if number(f"7:{sample}:style") / 2**64 < 0.25:
            assert (label, style) == ("plain", PageStyle())
            continue
        size = 8 + number(f"7:{sample}:size") * 13 // 2**64
        align = ["start", "justify", "center"][number(f"7:{sample}:align") * 3 // 2**64]
        height = (1000 + number(f"7:{sample}:line_height") * 501 // 2**64) / 1000
        assert style == PageStyle(size=size, align=align, line_height=height)
        assert label == f"varied size={size} line_height={height} align={align}"


def test_all_values_come_as_often_as_they_should() -> None:
    found = [TWO.style_of(sample)[1] for sample in ids(8000)]
    plain = sum(style == PageStyle() for style in found)
    assert abs(plain / 8000 - 0.25) < 0.02
    sizes = Counter(style.size for style in found if style != PageStyle())
    assert set(sizes) == set(range(8, 21))
    assert all(abs(count / sizes.total() - 1 / 13) < 0.015 for count in sizes.values())
    heights = [style.line_height for style in found if style != PageStyle()]
    assert 1.0 <= min(heights) < 1.003 and 1.497 < max(heights) <= 1.5
    assert all(height == round(height, 3) for height in heights)


def test_another_seed_draws_otherwise() -> None:
    other = StyleSheet(TWO.entries, seed=8)
    assert [other.style_of(s) for s in ids(9)] != [TWO.style_of(s) for s in ids(9)]


def test_candidates_of_val_keep_the_first_style() -> None:
    some = StyleSheet((VARIED, PLAIN), seed=7, candidates=1024)
    kept = 0
    for n in range(400):
        label, style = some.style_of(f"sample_{n:06d}_chunk_0", f"en/{n}")
        if article_key(7, f"en/{n}").key < 2**62:
            kept += 1
            assert label == "varied size=8 line_height=1.0 align=start"
            assert style == PageStyle(size=8, line_height=1.0)
        else:
            whole = StyleSheet(some.entries, seed=7)
            assert label == whole.style_of(f"sample_{n:06d}_chunk_0")[0]
    assert 70 < kept < 130


def test_of_a_sheet_without_variation_all_samples_get_the_same() -> None:
    one = StyleSheet((StyleEntry.of({"size": [12]}),), seed=3)
    assert not one.is_varied and one.is_paged
    assert {one.style_of(sample) for sample in ids(20)} == {("style", PageStyle(size=12))}


@pytest.mark.parametrize(
    ("fields", "is_paged", "is_coloured"),
    [
        ({}, False, False),
        ({"size": 12}, True, False),
        ({"size": ["fit", 12]}, True, False),
        ({"size": {"from": 9, "to": 12}, "max_pages": 1}, False, False),
        ({"min_size": 8}, True, False),
        ({"max_pages": 2}, True, False),
        ({"max_pages": {"from": 1, "to": 2}}, True, False),
        ({"ink": "#ff0000"}, False, True),
        ({"paper": [255, "#fefefe", "#fffff0"]}, False, True),
        ({"paper": "#fefefe"}, False, False),
    ],
)
def test_what_pages_may_be(fields: dict[str, Any], is_paged: bool, is_coloured: bool) -> None:
    found = StyleSheet((StyleEntry.of({}, "other"), StyleEntry.of(fields)))
    assert (found.is_paged, found.is_coloured) == (is_paged, is_coloured)


@pytest.mark.parametrize(
    ("fields", "field", "why"),
    [
        ({"sise": 12}, "sise", "is no field of a style; did you mean size?"),
        ({"name_of": 1}, "name_of", "is no field of a style; these are: fonts, layout, "),
        ({"size": 3}, "size", '3 is not a whole number from 4 to 200 or "fit"'),
        ({"size": [12, 2.5]}, "size", "2.5 is not a whole number"),
        ({"size": []}, "size", "is an empty list"),
        ({"size": {"from": 9}}, "size", "a range is {from: A, to: B}"),
        ({"size": {"from": 9, "to": 8}}, "size", "from 9 to 8 is backwards"),
        ({"size": {"from": 9, "to": 9.5}}, "size", "9.5 is not a whole number"),
        ({"size": {"from": 9, "to": "fit"}}, "size", "'fit' is not a number: a range is"),
        ({"ink": {"from": 0, "to": 300}}, "ink", "300 is not a gray from 0 to 255"),
        ({"line_height": {"from": 0.1, "to": 1}}, "line_height", "0.1 is not from 0.5 to 4"),
        ({"line_height": float("nan")}, "line_height", "nan is not from 0.5 to 4"),
        ({"align": {"from": 0, "to": 1}}, "align", "takes no range"),
        ({"align": ["start", "left"]}, "align", "'left' is not one of start, justify, center"),
        ({"columns": True}, "columns", "True is not a whole number"),
        ({"margins": {"top": 0.1, "up": 0.1}}, "margins", "up is none of top, right, bottom, left"),
        ({"margins": [0.1, 0.5]}, "margins", "0.5 is not from 0 to 0.45"),
        ({"shape": [3, 4]}, "shape", "3 is not a width and a height"),
        ({"fonts": [["a"], "b"]}, "fonts", "give a list of files, or a list of lists"),
        ({"fonts": 7}, "fonts", "7 is not a file"),
        ({"fonts": ["auto", "b"]}, "fonts", "auto finds all fonts: give it alone"),
        ({"ink": [0, 255]}, "ink", "it is the colour of the paper, 255"),
        ({"ink": {"from": 0, "to": 200}, "paper": [255, 100]}, "ink", "it is the colour of"),
        ({"size": ["fit", 12], "min_size": 8}, "min_size", 'it goes with size "fit"'),
        (
            {"columns": {"from": 1, "to": 3}, "column_gap": 0.45},
            "columns",
            "there is no room for 3",
        ),
        ({"layout": ["basic", "raqm"], "align": "justify"}, "align", '"justify" needs layout'),
        ({"margins": [0.1] * 2000 + [0.2], "shape": ["1:1", "1:2"] * 30}, "margins", "too many"),
        ({"layout": "raqm", "fonts": [["a"], ["a", "b"]]}, "fonts", "'raqm' takes one font"),
    ],
)
def test_what_a_style_cannot_be(fields: dict[str, Any], field: str, why: str) -> None:
    with pytest.raises(StyleError) as error:
        StyleEntry.of(fields)
    assert error.value.field == field
    assert why in error.value.why and "\n" not in error.value.why


@pytest.mark.parametrize(
    ("name", "weight", "field"),
    [("a b", 1, "name"), ("", 1, "name"), (7, 1, "name"), ("a", 0, "weight"), ("a", -1, "weight"),
     ("a", float("nan"), "weight"), ("a", float("inf"), "weight"),
     ("a", 10**400, "weight"), ("a", "1", "weight"), ("a", True, "weight")],
)  # fmt: skip
def test_names_and_weights(name: Any, weight: Any, field: str) -> None:
    with pytest.raises(StyleError) as error:
        StyleEntry.of({}, name, weight)
    assert error.value.field == field


def test_a_sheet_has_styles_of_different_names() -> None:
    with pytest.raises(StyleError, match="give one style at least"):
        StyleSheet(())
    with pytest.raises(StyleError, match="two styles have the name plain"):
        StyleSheet((PLAIN, PLAIN))


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "size": st.sampled_from(["fit", 12, [9, "fit"], {"from": 8, "to": 20}]),
        "align": st.sampled_from(["start", ["start", "center"], ["justify"]]),
        "margins": st.sampled_from([0.05, [0.05, {"left": 0.2}], {"from": 0.0, "to": 0.2}]),
        "ink": st.sampled_from([0, "#000000", ["#123456", 9], {"from": 0, "to": 90}]),
        "shape": st.sampled_from(["3:4", "6:8", ["1:1", "2:3"]]),
        "fonts": st.sampled_from(["a", ["a", "b"], [["a"], ["b", "c"]]]),
        "indent": st.sampled_from([0, 1, 0.5, {"from": 0, "to": 2}]),
        "layout": st.sampled_from(["basic", "harfbuzz", ["basic", "harfbuzz"]]),
        "max_pages": st.sampled_from([None, 3, [1, 2]]),
    },
)


@hypothesis_settings(derandomize=True, deadline=None, max_examples=80)
@given(st.lists(st.tuples(OPTIONS, st.sampled_from([1, 2.5])), min_size=1, max_size=3))
def test_a_sheet_is_what_is_recorded_of_it(given: list[tuple[dict[str, Any], float]]) -> None:
    entries = [StyleEntry.of({"fonts": "a", **f}, f"s{n}", w) for n, (f, w) in enumerate(given)]
    found = StyleSheet(tuple(entries), seed=5)
    fonts = [{"name": name, "sha256": name} for name in found.fonts]
    options = style_record(found)
    again = sheet_of({"options": options, "fonts": fonts})
    assert [again.style_of(s)[1] for s in ids(5)] == [found.style_of(s)[1] for s in ids(5)]
    if found.is_varied:
        assert again == found and hash(again) == hash(found)
        assert style_record(StyleSheet(found.entries, 5, 1500)) != options
        of_train = StyleSheet(found.entries, 5, 1500)
        assert sheet_of({"options": style_record(of_train), "fonts": fonts}) == of_train
    assert style_record(again) == options
    assert pickle.loads(pickle.dumps(found)) == found


@pytest.mark.parametrize(
    "styles",
    [
        {},
        {"seed": 1, "vary": "all", "entries": 7},
        {"seed": 1, "vary": "all", "entries": []},
        {"seed": 1, "vary": "all", "entries": [{"name": "a"}]},
        {"seed": "x", "vary": "all", "entries": [{"name": "a", "weight": 1}]},
        {"seed": 1, "vary": "all", "entries": [{"name": "a", "weight": 1, "up": 2}]},
        {"seed": 1, "vary": "all", "entries": [{"name": "a", "weight": 1, "align": [["start"]]}]},
        {"seed": 1, "vary": "train", "entries": [{"name": "a", "weight": 1}]},
        {"seed": 1, "vary": "train", "candidates_of_val": float("inf"),
         "entries": [{"name": "a", "weight": 1}]},
    ],
)  # fmt: skip
def test_a_record_that_another_wrote_is_damage(styles: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        sheet_of({"options": {"styles": styles}, "font": {"sha256": "a"}})


def test_the_default_is_recorded_as_ever() -> None:
    assert style_record(StyleSheet()) == {"layout": "basic"}
    given = StyleEntry.of({"layout": "raqm", "line_break": "unicode", "fonts": "a"})
    assert style_record(StyleSheet((given,))) == {"layout": "raqm", "line_break": "unicode"}
    given = StyleEntry.of({"shape": "6:8", "margins": 0.1, "size": [12, 12]})
    assert style_record(StyleSheet((given,))) == {
        "layout": "basic", "style": {"size": 12, "margins": 0.1, "shape": "3:4"},
    }  # fmt: skip


def test_each_sample_is_drawn_in_its_style_and_glyphs_are_shared() -> None:
    fonts = {"a": default_font(), "b": tiny_font()}
    entries = (StyleEntry.of({"fonts": [["a"], ["b"], ["b", "a"]], "size": {"from": 8, "to": 30}}),)
    renderers = SheetRenderer(StyleSheet(entries), fonts)
    seen = set()
    for sample in ids(60):
        label, renderer = renderers.of(sample, "")
        assert (label, renderer.style) == renderers.sheet.style_of(sample, "", fonts)
        seen.add(id(renderer._setter))
        expected = PageRenderer(renderer.style).render("A V", 64)
        assert renderer.render("A V", 64).image.tobytes() == expected.image.tobytes()
    assert len(seen) == len([*renderers.representatives()]) == 3


@pytest.mark.parametrize("module", [drawing, entry, sheet])
def test_the_examples_are_true(module: Any) -> None:
    failed, tried = doctest.testmod(module)
    assert (failed, tried > 0) == (0, True)
