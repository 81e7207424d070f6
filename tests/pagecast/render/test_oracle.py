"""The oracle: the rule itself, in small numbers, and the golden pages it must give."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from pagecast.render.oracle import OracleRenderer, largest_fit, line_height, wrap
from pagecast.render.page import PageMetadata
from pagecast.style import PageStyle
from tests.pagecast.render.test_glyphs import tiny_font

GOLDEN = Path(__file__).parents[2] / "data" / "sample.golden.jsonl"


def joined_length(words: list[str]) -> int:
    return len(" ".join(words))


@pytest.mark.parametrize(
    ("words", "box", "lines"),
    [
        ("", 5, []),
        ("a b c", 5, ["a b c"]),
        ("a b c", 4, ["a b", "c"]),
        ("a b c", 1, ["a", "b", "c"]),
        ("toolong a b", 3, ["toolong", "a b"]),
        ("a toolong b", 3, ["a", "toolong", "b"]),
        ("a b", 0, ["a", "b"]),
    ],
)
def test_wrap(words: str, box: int, lines: list[str]) -> None:
    assert [" ".join(line) for line in wrap(words.split(), box, joined_length)] == lines


def test_wrap_asks_about_each_longer_line() -> None:
    asked = []

    def width(words: list[str]) -> int:
        line = " ".join(words)
        asked.append(line)
        return 0 if line == "a b c" else 9  # a line may be narrower than its beginning

    assert wrap(["a", "b", "c"], 5, width) == [["a"], ["b"], ["c"]]
    assert asked == ["a b", "b c"]


@pytest.mark.parametrize(("size", "height"), [(4, 4), (5, 6), (10, 12), (29, 34), (30, 36)])
def test_line_height(size: int, height: int) -> None:
    assert line_height(size) == height


@pytest.mark.parametrize("limit", range(3, 32))
def test_largest_fit(limit: int) -> None:
    assert largest_fit(lambda size: size <= limit) == min(30, max(4, limit))


@pytest.mark.parametrize("line", [0, 37])
def test_golden_pages(line: int) -> None:
    sample = json.loads(GOLDEN.read_text("utf-8").splitlines()[line])
    expected = sample["modes"]["tiny"]
    image, metadata = OracleRenderer().render(sample["context_text"], 512)
    assert hashlib.sha256(image.tobytes()).hexdigest() == expected["pixels_sha256"]
    for key in ("font_size", "total_lines", "rendered_lines", "is_truncated"):
        assert getattr(metadata, key) == expected[key]


def test_a_page_in_a_tiny_font() -> None:
    image, metadata = OracleRenderer(PageStyle(tiny_font())).render("A V ? WWWW", 100)
    assert metadata == PageMetadata(
        font_size=30,
        total_lines=2,
        rendered_lines=2,
        is_truncated=False,
        clipped_lines=1,
        missing_glyphs=1,
    )
    assert (image.mode, image.size) == ("L", (100, 100))
    assert image.getbbox() == (0, 0, 100, 100) and image.getextrema() == (0, 255)
    assert set(image.crop((0, 0, 100, 5)).tobytes()) == {255}  # the margin above


def test_unknown_layout() -> None:
    with pytest.raises(ValueError, match="layout 'harfbuzz' is not one of basic, raqm"):
        OracleRenderer(PageStyle(layout="harfbuzz"))


def test_a_font_that_cannot_be_opened_is_an_os_error() -> None:
    with pytest.raises(OSError):
        OracleRenderer(PageStyle(b"no font"))
