"""Reading pages: error rates by style and mode, what is said where nothing reads, real pages."""

import builtins
import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pagecast.reader import PageReader
from pipeline.__main__ import main
from pipeline.report.charts import WIDTH
from pipeline.report.images import Images
from pipeline.report.legibility.ocr import error_rate
from pipeline.report.legibility.plot import LEFT, TOP, plot
from pipeline.report.legibility.readings import (
    Legibility,
    Reading,
    as_csv,
    read_samples,
    summary,
    table,
)
from pipeline.report.make import measure_legibility, template
from tests.conftest import Outcome, RunCommand, articles, write_parquet

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
        ("a \u00b6 b", "a\nb", 0),
    ],
)
def test_error_rate(read: str, written: str, rate: float) -> None:
    assert error_rate(read, written) == rate


def sample_line(name: str, text: str, sizes: dict[str, int]) -> bytes:
    metadata = {mode: {"font_size": size} for mode, size in sizes.items()}
    sample = {"id": name, "context_text": text, "context_tokens": [1] * 100}
    return json.dumps({**sample, "font_metadata": metadata}).encode()


def page(text: str, size: tuple[int, int] = (64, 128)) -> Image.Image:
    """Return an image with a text that `said` reads."""
    image = Image.new("L", size)
    image.info["text"] = text
    return image


def said(image: Image.Image) -> str:
    return str(image.info["text"])


def test_pages_are_compared_with_their_own_text() -> None:
    chosen = {
        "plain": [
            sample_line("a", "abcd", {"tiny": 8, "base": 16}),
            sample_line("b", "efgh", {"tiny": 9, "base": 17}),
        ],
        "paged": [sample_line("c", "ab cd ef gh", {"tiny": 9, "base": 9})],
    }

    def images(sample: dict[str, Any], mode: str) -> list[Image.Image]:
        text = sample["context_text"]
        if mode == "base":
            return [page(text, (100, 100))]
        return [page(part) for part in (text.split(" ") if " " in text else [text[:3]])]

    found = list(read_samples(chosen, ["tiny", "base"], images, said))
    assert found == [
        Reading("plain", "tiny", "a", 8, 1, 100, 5, 0.25),
        Reading("plain", "base", "a", 16, 1, 100, None, 0),
        Reading("plain", "tiny", "b", 9, 1, 100, 5, 0.25),
        Reading("plain", "base", "b", 17, 1, 100, None, 0),
        Reading("paged", "tiny", "c", 9, 4, 100, 20, 0),
        Reading("paged", "base", "c", 9, 1, 100, None, 0),
    ]
    together = summary(found)
    assert [of[:6] for of in together] == [
        ("plain", "tiny", 2, 2, 8, 20), ("plain", "base", 2, 2, 16, None),
        ("paged", "tiny", 1, 4, 9, 5), ("paged", "base", 1, 1, 9, None),
    ]  # fmt: skip
    assert table(together).rows[0] == ("plain, tiny", 2, 2, "8 px", "20.0", *["25.0%"] * 4)
    assert table(together).rows[3] == ("paged, base", 1, 1, "9 px", "none", *["0.0%"] * 4)
    lines = as_csv(found).splitlines()
    assert lines[0] == ",".join(Reading._fields)
    assert lines[1:3] == ["plain,tiny,a,8,1,100,5,0.25", "plain,base,a,16,1,100,,0.0"]


def of(style: str, mode: str, ratio: float | None, mean: float) -> Legibility:
    return Legibility(style, mode, 1, 1, 9, ratio, mean, mean, mean, mean)


def test_the_plot_has_a_line_for_each_style_and_a_mark_for_each_mode() -> None:
    found = [
        of("a", "tiny", 13.7, 0.9), of("a", "base", 3.7, 0), of("a", "odd", None, 0.5),
        of("b", "tiny", 8, 3.0), of("b", "base", 4, 0.01),
    ]  # fmt: skip
    drawn = plot(found)
    assert drawn is not None
    one, other = drawn.lines
    assert [mark.title.partition(":")[0] for mark in one.marks] == ["a, base", "a, tiny"]
    assert [mark.title.partition(":")[0] for mark in other.marks] == ["b, base", "b, tiny"]
    assert len({line.dash for line in drawn.lines}) == len({line.colour for line in drawn.lines})
    assert one.marks[0].shape == other.marks[0].shape != one.marks[1].shape
    assert [mode for _, mode in drawn.modes] == ["tiny", "base"]
    # A higher ratio is further right, a higher error further up.
    assert one.marks[0].x < other.marks[0].x < other.marks[1].x < one.marks[1].x
    assert one.marks[0].y > other.marks[0].y > one.marks[1].y > other.marks[1].y == TOP
    assert one.marks[0].y == drawn.ground
    assert [label for _, label in drawn.y_ticks] == ["0.1%", "1%", "10%", "100%"]
    assert [label for _, label in drawn.x_ticks] == ["4", "8"]


@pytest.mark.parametrize("mean", [0, 0.05, 1, 8])
@pytest.mark.parametrize("ratio", [0.5, 3.7, 16])
def test_a_plot_can_have_one_mark(mean: float, ratio: float) -> None:
    drawn = plot([of("a", "base", ratio, mean)])
    assert drawn is not None
    (mark,) = drawn.lines[0].marks
    assert LEFT < mark.x < WIDTH and TOP <= mark.y <= drawn.ground
    assert drawn.x_ticks and drawn.y_ticks
    assert plot([of("a", "odd", None, mean)]) is None


def test_many_styles_are_told_apart_by_their_numbers() -> None:
    drawn = plot([of(f"s{n}", "base", 3 + n, 0.1) for n in range(14)])
    assert drawn is not None
    assert [line.number for line in drawn.lines] == list(range(1, 15))
    assert template("plot.svg").render(plot=drawn).count("<title>") == 14


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ("--ocr -1", '"-1" for --ocr. Must be >= 0'),
        ("--ocr_judge json:loads", "--ocr_judge needs --ocr N, the number of samples to read"),
        ("--ocr 1 --ocr_judge judge", "--ocr_judge judge: give it as module:function"),
        ("--ocr 1 --ocr_judge a-b:c", "--ocr_judge a-b:c: give it as module:function"),
        ("--ocr 1 --ocr_judge no.such:f", "no.such:f cannot be imported: ModuleNotFoundError: No"),
        ("--ocr 1 --ocr_judge json:nosuch", "cannot be imported: AttributeError: module 'json'"),
        ("--ocr 1 --ocr_judge json:decoder", "--ocr_judge json:decoder is no function"),
        ("--ocr 1 --ocr_judge builtins:id", "builtins:id gave int where text was expected"),
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


STYLES = """
styles:
  - name: whole
  - name: paged
    size: 20
    newline: mark
    paper: "#fffbe8"
"""
SMALL = (
    "--min_tokens 100 --context_tokens 60 --continuation_tokens 40 --modes little=128,odd=150 "
    "--shard_rows 4"
)


def test_a_model_of_ones_own_reads_all_pages_of_each_style(
    run: RunCommand, tmp_path: Path, small_tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No two pages are alike.
    texts = [" ".join(f"no{n}.{i}" + "\n" * (i % 9 == 0) for i in range(60)) for n in range(8)]
    path = write_parquet(tmp_path / "a.parquet", articles(*texts))
    (tmp_path / "s.yaml").write_text(STYLES)
    options = f"{SMALL} --style {tmp_path}/s.yaml --tokenizer {small_tokenizer}/small"
    done = run(path, options=options)
    assert done.code == 0, done.err
    out = done.path
    dataset = PageReader(str(out))
    lines = [json.loads(line) for line in (out / "samples.jsonl").read_text("ascii").splitlines()]
    known: dict[bytes, str] = {}  # all but the last word stands on a text's first page
    for sample in lines:
        *words, last = sample["context_text"].replace("\n", " \u00b6 ").split()
        for mode in dataset.modes:
            first, *others = dataset.images(sample, mode)
            known |= {image.tobytes(): "" for image in others}
            known |= {image.tobytes(): last for image in others[-1:]}
            known[first.tobytes()] = " ".join(words)

    def read(image: Image.Image) -> str:
        return known[image.tobytes()]

    found = measure_legibility(str(out), read, samples=2)
    assert Counter(reading[:2] for reading in found) == {
        (style, mode): 2 for style in ("whole", "paged") for mode in ("little", "odd")
    }
    assert found == measure_legibility(str(out), read, samples=2)
    for reading in found:
        (sample,) = (line for line in lines if line["id"] == reading.sample)
        pages = dataset.images(sample, reading.mode)
        assert reading.pages == len(pages) and (len(pages) > 1) == (reading.style == "paged")
        assert reading.vision_tokens == (7 * len(pages) if reading.mode == "little" else None)
        assert (reading.error_rate == 0) == (len(pages) > 1)
        assert reading.error_rate < 0.2
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_judge.py").write_text("def read(image):\n    return image.mode")
    command = ["report", "--output_dir", str(out), "--ocr", "2", "--ocr_judge", "own_judge:read"]
    assert main(command) == 0
    content = (out / "report.html").read_text("utf-8")
    assert "Character error rate of own_judge:read: " in content
    for reading in found:
        place = f"{reading.style},{reading.mode},{reading.sample},{reading.font_size},"
        assert content.count(f"\n{place}{reading.pages},60,") == 1
    assert content.count("<title>") == 1 + 2  # the page's, and a mark for each style at `little`


@needs_tesseract
def test_tesseract_reads_large_pages_better_than_tiny_ones(
    demo_copy: Path, demo: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On one real page of each; the sizes between would only take time."""
    sample = demo.lines("samples.jsonl")[0]
    seen: list[str] = []
    real = Images.image

    def image(self: Images, sample: dict[str, Any], mode: str, page: int = 0) -> Image.Image:
        seen.append(mode)
        return real(self, sample, mode, page)

    monkeypatch.setattr(Images, "image", image)
    assert main(["report", "--output_dir", str(demo_copy), "--ocr", "1"]) == 0
    assert seen[-4:] == list(sample["images"])
    content = (demo_copy / "report.html").read_text("utf-8")
    found = re.findall(
        r"<bdi>style, (\w+)</bdi></th><td>1</td><td>1</td><td><bdi>(\d+) px</bdi></td>"
        r"<td><bdi>[\d.]+</bdi></td><td><bdi>([\d.]+)%",
        content,
    )
    assert [mode for mode, _, _ in found] == list(sample["images"])
    sizes, rates = [int(size) for _, size, _ in found], [float(rate) for _, _, rate in found]
    assert sizes == sorted(sizes)
    assert max(rates[2:]) < 3 < rates[0]
