"""Fonts of the machine: which are for text, which a text needs, and faces of collections."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from fontTools.ttLib import TTCollection, TTFont

from pagecast import PageRenderer, PageStyle
from pagecast.render.fonts import default_font
from pipeline.launch import fonts
from pipeline.launch.fonts import Installed, choose, installed, read_face, scripts_without
from tests.conftest import RunCommand, articles, write_parquet
from tests.pagecast.render.test_glyphs import SHAPES, tiny_font

SMALL = "--min_tokens 30 --context_tokens 20 --continuation_tokens 5 --modes tiny"


def font(name: str, characters: str, rank: int = 0) -> Installed:
    return Installed((rank,), name, 0, frozenset(map(ord, characters)))


LATIN, ARABIC, ALL = font("latin", "abcd"), font("arabic", "سلام"), font("all", "abcdسلام", 9)


@pytest.mark.parametrize(("text", "expected", "missing"), [
    ("abc", ["latin"], {}),
    ("سلام", ["arabic"], {}),
    ("سلام " * 20 + "a", ["arabic", "latin"], {}),  # nearly as much as all
    ("سلا abc", ["all"], {}),
    ("abc的的", ["latin"], {ord("的"): 2}),
    ("\u200d\u00ad \ue000\x07", [], {}),  # nothing to see, nothing that a font should have
    ("", [], {}),
])  # fmt: skip
def test_the_fonts_that_a_text_needs(
    text: str, expected: list[str], missing: dict[int, int]
) -> None:
    counts = {character: text.count(character) for character in text}
    found = choose(counts, [LATIN, ARABIC, ALL])
    assert ([each.path for each in found.fonts], found.missing) == (expected, missing)


def save(path: Path, family: str = "Any", weight: int = 400, italic: bool = False) -> Path:
    with TTFont(io.BytesIO(tiny_font())) as face:
        face["name"].setName(family, 1, 3, 1, 0x409)
        face["OS/2"].usWeightClass = weight
        face["OS/2"].fsSelection = int(italic)
        face.save(path)
    return path


def test_fonts_for_text_the_preferred_first(tmp_path: Path) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    paths = [
        save(tmp_path / "a.ttf", "Some"), save(tmp_path / "b.ttf", "Noto Serif X"),
        save(tmp_path / "c.ttf", "Noto Sans X"), save(tmp_path / "d.ttf", "Noto Sans Mono X"),
        save(tmp_path / "e.ttf", "Noto Sans X", weight=700),
        save(tmp_path / "f.ttf", "Noto Sans X", italic=True), tmp_path / "broken.ttf",
    ]  # fmt: skip
    found = installed(map(str, paths))
    assert [Path(each.path).stem for each in found] == ["c", "b", "a", "d"]
    assert found[0].codes == {*map(ord, SHAPES)}


def test_a_face_of_a_collection_is_a_font_of_its_own(tmp_path: Path) -> None:
    collection = TTCollection()
    collection.fonts = [TTFont(io.BytesIO(content)) for content in (default_font(), tiny_font())]
    path = tmp_path / "two.ttc"
    collection.save(path)
    (tiny,) = [one for one in installed([str(path)]) if one.number]
    assert tiny.name == f"{path}#1"
    content = read_face(str(path), 1)
    assert content == read_face(str(path), 1)
    same = PageRenderer(PageStyle(content)).render("A V", 64)
    tiny = PageRenderer(PageStyle(tiny_font())).render("A V", 64)
    assert same.image.tobytes() == tiny.image.tobytes()


def test_what_is_missing_is_named_by_script() -> None:
    assert scripts_without({ord("ក"): 3, ord("ខ"): 2, ord("a"): 1}) == {"Khmer": 5, "Latin": 1}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with two fonts, one of them in a collection."""
    latin = save(tmp_path / "latin.ttf", "Noto Sans")
    (tmp_path / "dejavu.ttf").write_bytes(default_font())
    monkeypatch.setattr(fonts, "files", lambda: [str(latin), str(tmp_path / "dejavu.ttf")])
    return tmp_path


def test_a_run_finds_the_fonts_of_its_input(here: Path, run: RunCommand) -> None:
    path = write_parquet(here / "in.parquet", articles("سلام word " * 40, "ក " * 300))
    done = run(path, options=f"{SMALL} --font auto --layout harfbuzz")
    assert done.code == 0
    assert done.manifest["font"]["name"] == "dejavu.ttf"
    assert "warning: no font of this machine has these characters" in done.err
    assert "300 of Khmer; they will be boxes. Install one (Debian: apt install" in done.err
    assert "pagecast: fonts: dejavu.ttf\n" in done.err
    missing = [
        line["font_metadata"]["tiny"]["missing_glyphs"] for line in done.lines("samples.jsonl")
    ]
    assert missing[0] == 0 < missing[-1]


def test_auto_stands_alone(run: RunCommand, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "in.parquet", articles("a"))
    done = run(path, options=f"{SMALL} --font auto builtin")
    assert (done.code, done.err) == (
        2, "pagecast: error: --font: auto finds all fonts: give it alone\n"
    )  # fmt: skip


def test_a_font_of_a_collection_may_be_named(tmp_path: Path, run: RunCommand) -> None:
    collection = TTCollection()
    collection.fonts = [TTFont(io.BytesIO(content)) for content in (tiny_font(), default_font())]
    collection.save(tmp_path / "two.ttc")
    path = write_parquet(tmp_path / "in.parquet", articles("word " * 40))
    done = run(path, options=f"{SMALL} --font {tmp_path}/two.ttc#1")
    assert (done.code, done.manifest["font"]["name"]) == (0, "two.ttc#1")
    wrong = run(path, options=f"{SMALL} --font {tmp_path}/two.ttc#7", into="other")
    assert wrong.code == 2
    assert f"--font {tmp_path}/two.ttc#7" in wrong.err
