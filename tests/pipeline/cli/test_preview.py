"""The command `preview`: pages of one's own text, and what is said of them."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from pagecast.render import PageRenderer
from pagecast.style import PageStyle
from tests.conftest import SAMPLE, Command

TEXT = "The quick brown fox.\nTo read, the line breaks of a text are seen. " * 8


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "notes.txt"
    path.write_text(TEXT)
    return path


def test_one_page_is_the_renderers(command: Command, text: Path, tmp_path: Path) -> None:
    done = command(f"preview --text {text} -o {tmp_path}/page.png")
    assert (done.code, done.err) == (0, "")
    with Image.open(tmp_path / "page.png") as image:
        assert image.tobytes() == PageRenderer().render(TEXT, 1024).image.tobytes()
    assert done.out.startswith("default base: 1 page of 1024 x 1024, type of 30 px, 9 lines, 137")
    assert " in 273 vision tokens (ratio 0." in done.out
    assert done.out.endswith(", 0 clipped lines, 0 missing glyphs\n")


def test_each_style_mode_and_page_has_its_file(
    command: Command, text: Path, tmp_path: Path
) -> None:
    (tmp_path / "two.yaml").write_text(
        "styles: [{name: a, size: 30}, {name: b, ink: ['#ff0000', 0], newline: [mark, break]}]"
    )
    done = command(
        f"preview --text {text} --style {tmp_path}/two.yaml --modes tiny,x=100 -o {tmp_path}/p.png"
    )
    assert (done.code, done.err) == (0, "")
    names = sorted(path.name for path in tmp_path.glob("p-*"))
    assert names[:1] == ["p-a-tiny-p0.png"] or "p-a-tiny.png" in names
    assert {"p-b-tiny.png", "p-b-x.png", "p-a-x-p0.png", "p-a-x-p1.png"} <= set(names)
    with Image.open(tmp_path / "p-b-tiny.png") as image:
        style = PageStyle(ink="#ff0000", newline="mark")  # of each field the first value
        assert image.tobytes() == PageRenderer(style).render(TEXT, 512).image.tobytes()
    assert len(done.out.splitlines()) == 4


def test_pages_side_by_side(command: Command, text: Path, tmp_path: Path) -> None:
    done = command(f"preview --text {text} --modes tiny,base --side_by_side -o {tmp_path}/p.png")
    assert done.code == 0
    with Image.open(tmp_path / "p.png") as image:
        assert image.size == (512 + 1024 + 3 * 16, 1024 + 2 * 16)


def test_the_first_context_of_parquet(command: Command, tmp_path: Path) -> None:
    done = command(f"preview --input {SAMPLE} --style paper -o {tmp_path}/p.png")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("paper base: 1 page of 768 x 1024")
    assert " 1,000 tokens in 209 vision tokens (ratio 4.8)" in done.out


def test_standard_input(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("naïve".encode())))
    assert command(f"preview --text - --modes x=64 -o {tmp_path}/p.png").code == 0
    with Image.open(tmp_path / "p.png") as image:
        assert image.tobytes() == PageRenderer().render("naïve", 64).image.tobytes()


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("--text nowhere.txt", "--text nowhere.txt cannot be read: "),
        ("--text .", "--text . cannot be read: it is a directory"),
        ("", "give the text: either --text FILE, or --input with a parquet file"),
        ("--text a --input b", "give the text: either --text FILE"),
        ("--text latin.txt", "--text latin.txt is not UTF-8: invalid"),
        ("--input notes.txt", "--input notes.txt cannot be read as parquet with a column text: "),
        ("--text notes.txt --style none", "--style none: there is no such style"),
        ("--text notes.txt --modes huge", "unknown mode 'huge'"),
        ("--text notes.txt -o ''", "--output is empty"),
        (f"--input {SAMPLE} --min_tokens 999999999", "has no article that gives a sample"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(
    asked: str, why: str, command: Command, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(text.parent)
    Path("latin.txt").write_bytes(b"na\xefve")
    done = command(f"preview -o p.png {asked}")
    assert (done.code, done.out) == (2, "")
    assert why in done.err
    assert done.err.count("\n") == 1
    assert not Path("p.png").exists()


def test_it_starts_without_beam(text: Path) -> None:
    code = f"""
import sys
from pipeline.__main__ import main
assert main(["preview", "--text", {str(text)!r}, "-o", {str(text.with_suffix(".png"))!r}]) == 0
loaded = [name for name in ("apache_beam", "transformers") if name in sys.modules]
sys.exit(f"{{loaded}} is imported" if loaded else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
