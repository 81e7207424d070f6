"""What pages of a language need: the preset, and the warning where they lack it."""

from __future__ import annotations

import doctest
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.commandline import parse
from pipeline.cli.commands import APP
from pipeline.launch import fonts, languages
from pipeline.launch.languages import applied, preset, unset, warning
from pipeline.options import RunOptions, UsageError
from tests.conftest import SAMPLE, RunCommand, articles, parse_run, write_parquet

SHAPED = {"layout": "harfbuzz", "font": ("auto",)}
BROKEN = {**SHAPED, "line_break": "unicode"}
SMALL = "--min_tokens 30 --context_tokens 20 --continuation_tokens 5 --modes tiny"


@pytest.mark.parametrize(("language", "needs"), [
    ("en", {}), ("simple", {}), ("ru", {}), ("el", {}), ("zh_min_nan", {}), ("sr", {}), ("als", {}),
    ("ar", SHAPED), ("he", SHAPED), ("hi", SHAPED), ("ur", SHAPED), ("ka", SHAPED), ("ko", SHAPED),
    ("th", BROKEN), ("zh", BROKEN), ("zh_classical", BROKEN), ("ja", BROKEN), ("my", BROKEN),
    ("sr-Latn", {}), ("az-Arab", SHAPED),
])  # fmt: skip
def test_presets(language: str, needs: dict[str, object]) -> None:
    assert preset(language) == needs


@pytest.mark.parametrize("language", ["qqq", "xx", "", "a b", "../x", "english please"])
def test_what_is_not_a_language_is_refused(language: str) -> None:
    with pytest.raises(UsageError, match="no such language is known"):
        preset(language)


def test_the_examples_are_true() -> None:
    assert doctest.testmod(languages).failed == 0


def test_what_is_given_wins() -> None:
    given = parse_run(["--input", "a", "--output_dir", "o", "--language", "th", "--font", "x.ttf"])
    found = applied(given)
    assert (found.layout, found.line_break, found.font) == ("harfbuzz", "unicode", ("x.ttf",))
    plain = parse_run(["--input", "a", "--output_dir", "o", "--language", "en"])
    assert applied(plain) == plain


def test_scripts_that_basic_layout_cannot_set() -> None:
    assert unset(["hello, Привет 的 1 ქ"]) == []
    assert unset(["سلام abcd"]) == [("Arabic", 0.5)]
    assert unset(["a" * 99 + "ש"]) == []  # a quotation
    assert unset([]) == []
    told = warning(["नमस्ते"], "basic")
    assert told is not None and "layout basic cannot set Devanagari (100%)" in told
    assert warning(["नमस्ते"], "harfbuzz") is None


HUB = "hf://datasets/HuggingFaceFW/finewiki@main/data"


@pytest.mark.parametrize(("paths", "language"), [
    ([f"{HUB}/arwiki/000.parquet", "data/arwiki/001.parquet", "/x/data/arwiki"], "ar"),
    ([f"{HUB}/zh_min_nanwiki/000.parquet"], "zh_min_nan"),
    ([f"{HUB}/arwiki/000.parquet", f"{HUB}/enwiki/000.parquet"], None),
    ([f"{HUB}/arwiki/000.parquet", "x.parquet"], None),
    (["/data/arwiki/more/x.parquet", ], None), (["mywiki/x.parquet"], None), ([], None),
])  # fmt: skip
def test_the_language_of_finewikis_directories(paths: list[str], language: str | None) -> None:
    assert languages.of_input(paths) == language


def test_where_no_text_is_looked_at_the_directory_says_it() -> None:
    told = warning([], "basic", [f"{HUB}/arwiki/000.parquet"])
    assert told is not None and told.endswith("give --language ar")
    assert warning([], "basic", [f"{HUB}/enwiki/000.parquet"]) is None
    assert warning([], "basic", [f"{HUB}/qqqwiki/000.parquet"]) is None
    assert warning([], "harfbuzz", [f"{HUB}/arwiki/000.parquet"]) is None


def test_a_run_warns_and_the_preset_mends_it(
    tmp_path: Path, run: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fonts, "files", list)
    path = write_parquet(tmp_path / "in.parquet", articles("سلام " * 60))
    before = run(path, options=SMALL)
    assert before.code == 0
    assert before.err.startswith("pagecast: warning: layout basic cannot set Arabic (100%) of the")
    after = run(path, options=f"{SMALL} --language ar", into="after")
    assert after.code == 0
    assert "layout basic" not in after.err
    assert after.manifest["options"]["layout"] == "harfbuzz"


def test_finewikis_directory_is_believed(capsys: pytest.CaptureFixture[str]) -> None:
    def options(line: str, path: str = "data/arwiki/*.parquet") -> RunOptions:
        words = ["run", "--input", path, "--output_dir", "o", *line.split()]
        found = parse(APP, words).bound.arguments
        return applied(found["options"], found["call"].given)

    assert (options("").layout, options("").font) == ("harfbuzz", ("auto",))
    assert "input is of arwiki, so pages are set as with --language ar" in capsys.readouterr().err
    plain = ["--layout basic", "--language en", "--font builtin", "--line_break spaces"]
    assert {options(line).layout for line in plain} <= {None, "basic"}
    assert options("", "data/enwiki") == parse_run(["--input", "data/enwiki", "--output_dir", "o"])
    assert options("", "data/qqqwiki").layout == options("", "data").layout is None
    assert not capsys.readouterr().err


def test_without_icu_there_is_the_warning_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "icu", None)
    asked = parse_run(["--input", "data/arwiki", "--output_dir", "o"])
    assert applied(asked, {"input"}) == asked


@pytest.mark.parametrize(("ids", "mends"), [
    (["jawiki/1", "jawiki/2"], "--language ja"), (["jawiki/1", "zhwiki/1"], "--font auto"),
    (["enwiki/1"], "--font auto"), (["qqqwiki/1"], "--font auto"), (["own"], "--font auto"),
])  # fmt: skip
def test_pages_that_lack_characters_are_told_of_at_the_end(ids: list[str], mends: str) -> None:
    def samples(missing: int) -> list[dict[str, Any]]:
        pages = {"tiny": {"missing_glyphs": missing}}
        return [
            {"wiki_id": name, "context_text": "ab " * 50, "font_metadata": pages} for name in ids
        ]

    assert languages.lacking(samples(1)) is None
    told = languages.lacking(samples(50))
    assert told is not None and told.startswith("the fonts have no glyph for 50% of the characters")
    assert f"; {mends} and another --output_dir" in told


def test_a_run_ends_with_what_its_pages_lack(tmp_path: Path, run: RunCommand) -> None:
    path = write_parquet(tmp_path / "in.parquet", articles("日本語 の 文章 です " * 20))
    done = run(path, options=SMALL)
    assert done.code == 0
    assert "warning: the fonts have no glyph for 100% of the characters on the pages" in done.err


def test_english_is_what_it_is_without(run: RunCommand) -> None:
    options = f"{SMALL} --num_articles 2"
    plain, named = (
        run(SAMPLE, options=options),
        run(SAMPLE, options=f"{options} --language en", into="named"),
    )
    assert plain.manifest == named.manifest
