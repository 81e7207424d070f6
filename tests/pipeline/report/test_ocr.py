"""Reading pages with Tesseract: the error rate, what is said where it is missing, real pages."""

import builtins
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline.__main__ import main
from pipeline.report.images import Images
from pipeline.report.ocr import Reading, error_rate, legibility, read_pages
from tests.conftest import Outcome

needs_tesseract = pytest.mark.skipif(
    not shutil.which("tesseract"), reason="no Tesseract is installed"
)


@pytest.mark.parametrize(
    ("read", "written", "rate"),
    [
        ("the same", "the same", 0),
        ("the\nsame\n\x0c", " the  same", 0),
        ("", "abcd", 1),
        ("abxd", "abcd", 0.25),
        ("abcde", "abcd", 0.25),
        ("bcd", "abcd", 0.25),
        ("ab cd", "abcd", 0.25),
        ("anything", "", 8),
    ],
)
def test_error_rate(read: str, written: str, rate: float) -> None:
    assert error_rate(read, written) == rate


def test_each_page_is_compared_with_its_own_text() -> None:
    def line(text: str, sizes: dict[str, int]) -> bytes:
        metadata = {mode: {"font_size": size} for mode, size in sizes.items()}
        return json.dumps({"context_text": text, "font_metadata": metadata}).encode()

    lines = [line("abcd", {"tiny": 8, "base": 16}), line("efgh", {"tiny": 9, "base": 17})]

    def image(sample: dict[str, Any], mode: str) -> Any:
        return sample["context_text"] if mode == "base" else sample["context_text"][:3]

    found = read_pages(lines, ["tiny", "base"], image, lambda page: page)
    assert found == {
        "tiny": [Reading(8, 0.25), Reading(9, 0.25)], "base": [Reading(16, 0), Reading(17, 0)],
    }  # fmt: skip
    assert legibility(found).rows == [
        ("tiny", 2, "8 px", *["25.0%"] * 4), ("base", 2, "16 px", *["0.0%"] * 4),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ("--ocr -1", '"-1" for --ocr. Must be >= 0'),
        pytest.param(
            "--ocr 1 --ocr_language xx", "Tesseract has no xx here", marks=needs_tesseract
        ),
    ],
)
def test_wrong_use(
    demo: Outcome, options: str, text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    before = (demo.path / "report.html").read_bytes()
    assert main(["report", "--output_dir", str(demo.path), *options.split()]) == 2
    out, err = capfd.readouterr()
    assert text in err
    assert (out, err.count("\n")) == ("", 1)
    assert (demo.path / "report.html").read_bytes() == before


def test_what_is_not_installed_is_named(
    demo: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    command = ["report", "--output_dir", str(demo.path), "--ocr", "1"]
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        assert main(command) == 2
    assert "--ocr needs Tesseract, and it is not installed here" in capfd.readouterr().err
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "pytesseract":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    assert main(command) == 2
    assert "pip install 'pagecast[ocr]'" in capfd.readouterr().err


@needs_tesseract
def test_tesseract_reads_large_pages_better_than_tiny_ones(
    demo_copy: Path, demo: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On one real page of each; the sizes between would only take time."""
    sample = demo.lines("samples.jsonl")[0]
    seen: list[str] = []
    real = Images.image

    def image(self: Images, sample: dict[str, Any], mode: str) -> Image.Image:
        seen.append(mode)
        return real(self, sample, mode)

    monkeypatch.setattr(Images, "image", image)
    assert main(["report", "--output_dir", str(demo_copy), "--ocr", "1"]) == 0
    assert seen[-4:] == list(sample["images"])
    content = (demo_copy / "report.html").read_text("utf-8")
    found = re.findall(
        r"<bdi>(\w+)</bdi></th><td>1</td><td><bdi>(\d+) px</bdi></td><td><bdi>([\d.]+)%", content
    )
    assert [mode for mode, _, _ in found] == list(sample["images"])
    sizes, rates = [int(size) for _, size, _ in found], [float(rate) for _, _, rate in found]
    assert sizes == sorted(sizes)
    assert max(rates[2:]) < 3 < rates[0]
