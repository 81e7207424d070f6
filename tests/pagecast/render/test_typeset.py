"""Line breaking and fitting: the rule's lines, found without measuring lines."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagecast.render import oracle
from pagecast.render.fonts import default_font
from pagecast.render.glyphs import GlyphAtlas
from pagecast.render.layouts import pillow
from pagecast.render.lines import PlacedLine, largest_fit
from pagecast.render.typeset import SetText, Text
from pagecast.style.frame import Measure
from tests.pagecast.render.test_glyphs import KERNING, SHAPES, tiny_font

DEJAVU, TINY = GlyphAtlas(default_font()), GlyphAtlas(tiny_font())


def set_words(words: list[str], atlas: GlyphAtlas, size: int) -> SetText:
    return Text(words, atlas, [0] if words else []).at(size)


def oracle_lines(words: list[str], atlas: GlyphAtlas, size: int, box: int) -> list[int]:
    """Return the first word of each line by the oracle's rule, measured by Pillow."""
    lines = oracle.wrap(words, box, box, lambda line: width(" ".join(line), atlas, size))
    firsts = [0]
    for line in filter(None, lines):
        firsts.append(firsts[-1] + len(line))
    return firsts[:-1]


def width(line: str, atlas: GlyphAtlas, size: int) -> int:
    left, _, right, _ = atlas.faces[size].getbbox(line)
    return int(right - left)


@pytest.mark.parametrize(
    ("fitting", "size", "asked"),
    [
        (set(range(31)), 30, [17, 24, 27, 29, 30]),
        (set(), 4, [17, 10, 7, 5]),
        (set(range(13)), 12, [17, 10, 13, 11, 12]),
        ({30, 17}, 17, [17, 24, 20, 18]),  # 30 fits, but is not asked about
        ({10, 11, 12, 29}, 12, [17, 10, 13, 11, 12]),
        ({5}, 5, [17, 10, 7, 5, 6]),
    ],
)
def test_largest_fit_asks_in_order(fitting: set[int], size: int, asked: list[int]) -> None:
    questions: list[int] = []

    def fits(candidate: int) -> bool:
        questions.append(candidate)
        return candidate in fitting

    assert largest_fit(fits, (4, 30)) == size
    assert questions == asked
    assert oracle.largest_fit(lambda candidate: candidate in fitting, 4, 30) == size
    assert questions[0] == pillow.FIRST_SIZE_TRIED


@pytest.mark.parametrize(
    ("known", "size", "asked"),
    [
        (12, 12, [12, 13]),
        (11, 12, [11, 12, 17, 10, 13, 11, 12]),  # the next fits too: not the end of a search
        (20, 12, [20, 17, 10, 13, 11, 12]),
        (31, 12, [17, 10, 13, 11, 12]),
    ],
)
def test_a_known_fit_is_only_checked(known: int, size: int, asked: list[int]) -> None:
    questions: list[int] = []

    def fits(candidate: int) -> bool:
        questions.append(candidate)
        return candidate <= 12

    assert largest_fit(fits, (4, 30), known) == size
    assert questions == asked


@pytest.mark.parametrize(
    ("words", "box", "firsts"),
    [
        ([], 50, []),
        (["A"], 50, [0]),
        (["x", "x", "x"], 1000, [0]),
        # At 10 px "x" moves the pen by 3 px and ends 1 px further, a space moves it by 3 px.
        (["x", "x", "x"], 10, [0, 2]),
        (["x", "x", "x"], 9, [0, 1, 2]),
        (["x", "x", "x"], 16, [0]),
        (["x", "x", "x"], 15, [0, 2]),
        (["x", "W", "x"], 15, [0, 1, 2]),  # "W" is 29 px wide
        (["x", "x", "x"], 0, [0, 1, 2]),
        # "f" ends 3 px beyond its advance of 3, "j" starts 4 px before its origin.
        (["x", "f"], 11, [0, 1]),
        (["x", "f"], 12, [0]),
        (["j", "x"], 13, [0, 1]),
        (["j", "x"], 14, [0]),
    ],
)
def test_lines_of_known_widths(words: list[str], box: int, firsts: list[int]) -> None:
    assert oracle_lines(words, TINY, 10, box) == firsts
    assert set_words(words, TINY, 10).lines(Measure(box)) == firsts


WORDS = st.lists(
    st.one_of(
        st.text("AVToyLfiji.,\"'W1-", min_size=1, max_size=9),
        st.text(st.characters(exclude_categories=["Zs", "Zl", "Zp", "Cc"]), min_size=1, max_size=9),
        st.sampled_from(["|", "j", "f", "\u0301", "A\u0301", "\u00a4", "ij" * 9, "\u200b"]),
    ),
    max_size=30,
).map(lambda words: " ".join(words).split())


def check_lines(words: list[str], atlas: GlyphAtlas, size: int, box: int) -> None:
    """Compare lines, and how many are clipped, with what Pillow measures."""
    set_text = set_words(words, atlas, size)
    lines = set_text.lines(Measure(box))
    assert lines == oracle_lines(words, atlas, size, box)
    ends = [*lines, len(words)][1:]
    texts = [" ".join(words[a:b]) for a, b in zip(lines, ends, strict=True)]
    wide = [width(line, atlas, size) > box for line in texts]
    assert [set_text.is_wider(a, b, box) for a, b in zip(lines, ends, strict=True)] == wide


@settings(derandomize=True, deadline=None, max_examples=150)
@given(WORDS, st.integers(4, 30), st.integers(0, 300))
def test_lines_are_the_oracles(words: list[str], size: int, box: int) -> None:
    for atlas in (DEJAVU, TINY):
        check_lines(words, atlas, size, box)


def test_the_border_is_hit_to_the_pixel() -> None:
    line = 'To AVAIL, Wafer. office j f "We" LT Ty Yo P. T, r. y, Ve '
    words = (line * 3).split()
    for size in (5, 9, 13, 30):
        set_text = set_words(words, DEJAVU, size)
        widths = [width(" ".join(words[:end]), DEJAVU, size) for end in range(1, len(words) + 1)]
        for end, exact in enumerate(widths[:-1], 1):
            assert set_text.lines(Measure(exact))[1] == end
            if end > 1:
                assert set_text.lines(Measure(exact - 1))[1] < end


def test_lines_may_stop_early() -> None:
    words = ["word"] * 40
    set_text = set_words(words, DEJAVU, 10)
    whole = set_text.lines(Measure(100))
    assert len(whole) > 5
    assert set_text.lines(Measure(100), 4) == whole[:5]
    assert set_text.lines(Measure(100), len(whole)) == whole


def test_a_pen_that_runs_backwards() -> None:
    """Kerning of -15 px makes prefixes wider than lines, and glyphs start left of the line."""
    atlas = GlyphAtlas(tiny_font(kern={(a, b): -32000 for a in SHAPES for b in SHAPES}))
    words = ["i" * n + c for n in (1, 7, 2, 9) for c in "jfxA|"]
    for size in (4, 17, 30):
        for box in range(0, 120, 7):
            check_lines(words, atlas, size, box)


def test_pillow_is_asked_about_few_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ('The quick brown fox, jumping over AVID dogs: "Why (not) fifteen?" ' * 40).split()
    set_text = set_words(words, DEJAVU, 11)

    def refuse(*_: object) -> None:
        raise AssertionError("Pillow was asked about a line")

    monkeypatch.setattr("PIL.ImageFont.FreeTypeFont.getbbox", refuse)
    assert len(set_text.lines(Measure(300))) > 50


def test_marks_are_where_the_glyphs_are() -> None:
    words = ["x", "\u00a4", "jx", "x"]
    set_text = set_words(words, TINY, 10)
    assert set_text.lines(Measure(9)) == [0, 2, 3]
    # Ascent 9: the first baseline is at 29.
    lines = [
        PlacedLine(first, after, 20, 20 + 12 * row, 12, 9)
        for row, (first, after) in enumerate([(0, 2), (2, 3), (3, 4)])
    ]
    first, second, third = marks = set_text.marks(lines)
    assert (first.lefts, first.tops, first.top, first.bottom) == ([20], [24], 24, 29)
    assert (second.lefts, second.tops) == ([16, 23], [35, 36])
    assert (second.top, second.bottom) == (35, 44)
    assert (third.lefts, third.tops, third.top, third.bottom) == ([20], [48], 48, 53)
    assert first.masks == third.masks == second.masks[1:]
    assert set_text.marks(lines[:1]) == marks[:1]
    assert set_text.marks([]) == []
    assert set_words(["\u00a4"], TINY, 10).marks([PlacedLine(0, 1, 20, 20, 12, 9)]) == []


def test_spaces_share_out_what_is_left() -> None:
    words = ["x", "jx", "x", "x"]
    set_text = set_words(words, TINY, 10)
    (plain,) = set_text.marks([PlacedLine(0, 4, 0, 0, 12, 90)])
    (spread,) = set_text.marks([PlacedLine(0, 4, 0, 0, 12, 90, 10)])
    moved = [after - before for before, after in zip(plain.lefts, spread.lefts, strict=True)]
    assert moved == [0, 3, 3, 6, 10]


@settings(derandomize=True, deadline=None, max_examples=100)
@given(WORDS, st.integers(4, 30))
def test_widths_are_pillows(words: list[str], size: int) -> None:
    for atlas in (DEJAVU, TINY):
        set_text = set_words(words, atlas, size)
        for after in range(1, len(words) + 1):
            for first in {0, after - 1}:
                exact = width(" ".join(words[first:after]), atlas, size)
                assert set_text.width(first, after) == exact


def test_paragraphs_begin_lines_and_empty_ones_are_lines() -> None:
    words = ["x"] * 6
    set_text = Text(words, TINY, [0, 0, 3, 6]).at(10)
    assert set_text.lines(Measure(1000)) == [0, 0, 3, 6]
    assert set_text.lines(Measure(10)) == [0, 0, 2, 3, 5, 6]
    assert set_text.lines(Measure(10, 6)) == [0, 0, 1, 3, 4, 6]
    assert set_text.lines(Measure(10), 2) == [0, 0, 2]
    assert Text([], TINY, [0, 0]).at(10).lines(Measure(10)) == [0, 0]


def test_kerned_pairs_of_the_tiny_font_matter() -> None:
    assert width("ij" * 40, TINY, 30) < width("i" * 40 + "j" * 40, TINY, 30)
    assert ("i", "j") in KERNING
