"""Style files: what may stand in them, and one line for what may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pagecast.style import PageStyle
from pipeline.cli.stylefile import read_sheet, read_styles
from pipeline.options import STYLES, RunOptions, UsageError


def options(**given: Any) -> RunOptions:
    return RunOptions(input=("a",), output_dir="o", **given)


def written(path: Path, content: str) -> str:
    file = path / "s.yaml"
    file.write_text(content)
    return str(file)


@pytest.mark.parametrize("name", STYLES)
def test_the_styles_that_are_shipped(name: str) -> None:
    sheet = read_styles(name)
    assert [entry.name for entry in sheet.entries] == [name]
    assert not sheet.is_varied and not sheet.fonts
    assert sheet.is_paged is (name in ("glyph", "dense"))


def test_the_default_is_the_default() -> None:
    assert read_sheet(options()).style_of("x")[1] == PageStyle()


@pytest.mark.parametrize(
    ("content", "names", "fields"),
    [
        ("", [], []),
        ("size: 12", ["style"], [{"size": 12}]),
        ("name: mine\nsize: 012\nweight: 3", ["mine"], [{"size": 12}]),
        ("shape: 3:4\nink: '#102030'", ["style"], [{"ink": "#102030", "shape": "3:4"}]),
        ("shape: [3:4, 1:1]", ["style"], [{"shape": ["3:4", "1:1"]}]),
        ("align: center\nsize: null\nmin_size: ~", ["style"], [{"align": "center"}]),
        ("margins: {top: 0.1}", ["style"],
         [{"margins": {"top": 0.1, "right": 0.05, "bottom": 0.05, "left": 0.05}}]),
        ("styles:\n- {size: 9}\n- {name: b, size: fit}\n- {}", ["style1", "b", "style3"],
         [{"size": 9}, {}, {}]),
        ("styles:\n  a: {size: {from: 9, to: 12}}\n  b:\n  c: {weight: 0.5}", ["a", "b", "c"],
         [{"size": {"from": 9, "to": 12}}, {}, {}]),
    ],
)  # fmt: skip
def test_forms_of_a_file(
    content: str, names: list[str], fields: list[dict[str, Any]], tmp_path: Path
) -> None:
    if not names:
        with pytest.raises(UsageError, match="give one style at least"):
            read_styles(written(tmp_path, content))
        return
    found = read_styles(written(tmp_path, content))
    assert [entry.name for entry in found.entries] == names
    assert [entry.plain() for entry in found.entries] == fields


@pytest.mark.parametrize(
    ("content", "place", "why"),
    [
        ("size: 12\nsise: 9", ", line 2: style style: sise: ", "did you mean size?"),
        ("\nsize: x", ", line 2: style style: size: ", "'x' is not a whole number"),
        ("size: '12'", ", line 1: style style: size: ", "'12' is not a whole number"),
        ("size: true", ", line 1: style style: size: ", "True is not a whole number"),
        ("ink: #203040", ", line 1: style style: ink: ", 'in quotes, "#203040"'),
        ("line_height: .nan", ", line 1: style style: line_height: ", "nan is not from 0.5 to 4"),
        ("size: []", ", line 1: style style: size: ", "is an empty list"),
        ("size: !!int 12", ", line 1: style style: size ", "has the tag"),
        ("margins: {top: {from: {a: {b: 1}}}}", ", line 1: style style: margins ", "too deep"),
        ("margins: {top: 1, top: 2}", ", line 1: style style: margins ", "has top twice"),
        ("size: 9\nsize: 10", ", line 2: ", "size stands in line 1 already"),
        ("language: ar", ", line 1: style style: language: ", "is no field of a style"),
        ("- size: 9", ", line 1: ", "it must be fields of a style, or `styles`"),
        ("size: 9\nstyles: []", ", line 1: ", "size stands beside `styles`"),
        ("styles: []", ": ", "give one style at least"),
        ("styles: 7", ", line 1: ", "`styles` must be a list or a mapping"),
        ("styles:\n- 7", ", line 2: ", "a style must be a mapping of fields"),
        ("styles:\n  a: [1]", ", line 2: style a: ", "must be a mapping of fields"),
        ("styles:\n- {name: a}\n- {name: a}", ": ", "two styles have the name a"),
        ("styles:\n- name: a\n  weight: 0", ", line 3: style a: weight: ", "0 is not more than 0"),
        ("styles:\n- name: a b", ", line 2: style a b: name: ", "is not 1 to 64 letters"),
        ("styles:\n- size: 9\n- paper: 0", ", line 3: style style2: ink: ", "it is the colour of"),
        ("styles:\n  a:\n    size: {from: 9, to: 7}", ", line 3: style a: size: ", "is backwards"),
        ("size: [", " cannot be read: ", "while parsing"),
        ("a: &a [*a]", ", line 1: style style: a ", "too deep"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_place(
    content: str, place: str, why: str, tmp_path: Path
) -> None:
    path = written(tmp_path, content)
    with pytest.raises(UsageError) as error:
        read_styles(path)
    told = str(error.value)
    assert told.startswith(f"--style {path}{place}") or place == " cannot be read: "
    assert why in told and "\n" not in told


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("fancy", "there is no such style: give default, paper, glyph, dense, or a file .yaml"),
        ("style.toml", "its name must end in .yaml or .yml"),
        ("gone.yaml", "cannot be read: .*No such file"),
    ],
)
def test_a_file_that_is_none(name: str, why: str) -> None:
    with pytest.raises(UsageError, match=f"--style {name}: {why}"):
        read_styles(name)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "b.yaml").mkdir()
    for name, why in (("a", "cannot be read: "), ("b", "it is not a regular file")):
        with pytest.raises(UsageError, match=why):
            read_styles(str(tmp_path / f"{name}.yaml"))


def test_fonts_are_beside_the_file(tmp_path: Path) -> None:
    content = "fonts: [[a.ttf, /b/c.ttf, builtin], [../d.ttc#2, 's3://e/f.ttf'], [auto]]"
    found = read_styles(written(tmp_path, content))
    assert found.fonts == (
        f"{tmp_path}/a.ttf", "/b/c.ttf", "builtin", f"{tmp_path}/../d.ttc#2", "s3://e/f.ttf",
        "auto",
    )  # fmt: skip


def test_single_options_win(tmp_path: Path) -> None:
    path = written(tmp_path, "styles: [{layout: harfbuzz, size: 9}, {fonts: x.ttf, max_pages: 3}]")
    given = {"layout": "basic", "line_break": "unicode", "font": ("y.ttf",), "max_pages": 7}
    found = read_sheet(options(style=path, **given))
    shared = {"fonts": ["y.ttf"], "line_break": "unicode", "max_pages": 7}
    assert [e.plain() for e in found.entries] == [shared | {"size": 9}, shared]


def test_options_that_do_not_go_with_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "align: justify")
    with pytest.raises(UsageError) as error:
        read_sheet(options(style=path, layout="raqm"))
    assert str(error.value) == (
        f'--layout with --style {path}: align: "justify" needs layout "basic" or "harfbuzz", '
        'not "raqm"'
    )


def test_where_nothing_varies_it_does_not_matter_what_would() -> None:
    assert read_sheet(options(vary="train", max_samples=100, val_size=50)).candidates is None


@pytest.mark.parametrize(
    ("max_samples", "val_size", "candidates"),
    [(510_000, 10_000, 1024), (100, 0, 1024), (100, 12, 1024), (100, 20, 1639), (100, 25, 2048)],
)
def test_val_is_taken_from_a_quarter_or_more(
    max_samples: int, val_size: int, candidates: int, tmp_path: Path
) -> None:
    path = written(tmp_path, "size: [9, 10]")
    sizes = {"max_samples": max_samples, "val_size": val_size, "style": path}
    assert read_sheet(options(**sizes, vary="train", seed=3)).candidates == candidates
    assert read_sheet(options(**sizes)).candidates is None


def test_a_val_that_is_too_large_to_keep_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "size: [9, 10]")
    with pytest.raises(UsageError, match="--val_size 26 is more than a quarter of --max_samples 1"):
        read_sheet(options(style=path, vary="train", max_samples=100, val_size=26))
