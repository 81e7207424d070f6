"""The report: its numbers against the samples, hostile texts, all forms of images, its bytes."""

import base64
import json
import os
import re
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pagecast.reader import PageReader
from pipeline.__main__ import main
from pipeline.commands import run as run_module
from pipeline.report import charts, images
from pipeline.report.make import ReportSettings, report_page
from pipeline.report.survey import WORST
from tests.conftest import SAMPLE, Outcome, RunCommand, articles, write_parquet

REPORTS = True  # for the fixture `run`
HOSTILE = [
    "<script>alert(1)</script>",
    "</title></style><style>*{display:none}</style>",
    "\"><img src=x onerror=alert(1)>' onload='x",
    "a\x00b\x1b[31m\u202eevil\ud7ff&amp;<!-- --><![CDATA[",
    "</svg></details><iframe src=//evil></iframe>",
]
WORDS = " of an article that is long enough for its samples." * 30
OPTIONS = (
    "--min_tokens 100 --context_tokens 60 --continuation_tokens 40 --modes tiny,odd=70 "
    "--shard_rows 2"
)
VOID = {"meta", "img", "br"}


@pytest.fixture(scope="session")
def options(small_tokenizer: Path) -> str:
    """Options for small samples, by a tokenizer that loads in no time."""
    return f"{OPTIONS} --tokenizer {small_tokenizer}/small"


class Parsed(HTMLParser):
    """A page as a parser of HTML sees it: which elements there are, and the text of each kind."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(content)
        self.close()
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)

    def of(self, tag: str, name: str) -> list[str]:
        return [value for t, n, value in self.attributes if (t, n) == (tag, name)]


def html(path: Path) -> str:
    return (path / "report.html").read_text("utf-8")


def rows(content: str, caption: str) -> dict[str, list[str]]:
    """Return the first table of that caption: the name of each row to its cells."""
    start = content.index(f"<caption>{caption}")
    table = content[start : content.index("</table>", start)]
    found = {}
    for name, cells in re.findall(r'<tr><th scope="row"><bdi>(.*?)</bdi></th>(.*?)</tr>', table):
        found[name] = [re.sub("<.*?>", "", cell) for cell in re.findall(r"<td>(.*?)</td>", cells)]
    return found


def test_a_run_ends_with_a_report_of_its_numbers(demo: Outcome) -> None:
    content, counts = html(demo.path), demo.manifest["counts"]
    job = rows(content, "The job")
    assert job["articles in"] == [str(counts["rows_read"])]
    assert job["pages stored"] == [str(counts["pages"])]
    assert rows(content, "Articles by reason") == {"dropped: too short": ["10"]}
    assert rows(content, "Sizes") == {
        "val": ["1", "1"], "train": ["57", "21"], "unused": ["1", "0"],
    }  # fmt: skip
    assert "✓ Disjoint: 1 (articles in val) + 21 (in train) = 22;" in content
    assert "Looked at: all 59 samples." in content
    assert (demo.path / "report.html").stat().st_size < 8_000_000


def test_distributions_are_those_of_the_samples(demo: Outcome) -> None:
    content, samples = html(demo.path), demo.lines("samples.jsonl")
    kept = {s["wiki_id"]: s["total_article_tokens"] for s in samples}.values()
    expected = {"Tokens": {"articles": sorted(kept)}}
    fields = {"Font size": "font_size", "Lines": "total_lines", "Missing glyphs": "missing_glyphs"}
    for caption, field in fields.items():
        expected[caption] = {
            mode: sorted(s["font_metadata"][mode][field] for s in samples)
            for mode in ("tiny", "small", "base", "large")
        }
    for caption, by_mode in expected.items():
        found = rows(content, caption)
        assert found.keys() == by_mode.keys()
        for mode, values in by_mode.items():
            least, _, median, _, most, mean = found[mode]
            assert (least, most) == (f"{values[0]:,}", f"{values[-1]:,}")
            assert median == f"{statistics.median_low(values):,}"
            assert mean == f"{round(statistics.mean(values), 2):,.2f}"


def test_the_worst_pages_are_the_worst(run: RunCommand, tmp_path: Path, options: str) -> None:
    """Each of three kinds of trouble leads: lines that are not drawn, glyphs, small fonts."""
    texts = [f"Article {n}{WORDS}" for n in range(40)]
    texts[7] = "\ue000 " * 20 + texts[7]
    texts[9] = "x" * 400 + texts[9]
    found = run(write_parquet(tmp_path / "a.parquet", articles(*texts)), options=options)
    samples = {s["id"]: s for s in found.lines("samples.jsonl")}
    assert len(samples) > 100
    shown = re.findall(r'<figure class="page" id="worst-(.*?_\d+)-(\w+)">', html(found.path))
    assert len(shown) == len(set(shown)) == WORST

    def lost(page: dict[str, int]) -> tuple[int, int]:
        return page["total_lines"] - page["rendered_lines"], page["clipped_lines"]

    pages = [(s["id"], m, page) for s in samples.values() for m, page in s["font_metadata"].items()]
    worst_lost = max(pages, key=lambda p: lost(p[2]))[2]
    sample, mode = shown[0]
    assert lost(samples[sample]["font_metadata"][mode]) == lost(worst_lost)
    most_missing = max(p["missing_glyphs"] for _, _, p in pages)
    assert most_missing >= 10
    assert most_missing in [samples[s]["font_metadata"][m]["missing_glyphs"] for s, m in shown]
    smallest = min(p["font_size"] for _, _, p in pages)
    assert smallest in [samples[s]["font_metadata"][m]["font_size"] for s, m in shown]


def test_hostile_titles_and_texts_stay_text(run: RunCommand, tmp_path: Path, options: str) -> None:
    columns = articles(*(f"{text} {text}{WORDS}" for text in HOSTILE))
    columns["title"] = list(HOSTILE)
    columns["id"] = [f"{text}{n}" for n, text in enumerate(HOSTILE)]
    found = run(write_parquet(tmp_path / "a.parquet", columns), options=options)
    assert found.code == 0
    content = html(found.path)
    page = Parsed(content)
    allowed = (
        "html head meta title style body header h1 h2 h3 p nav ul ol li a main section div table "
        "caption thead tbody tr th td figure figcaption details summary article small strong br "
        "img bdi svg defs g path use clippath rect text"
    )
    assert set(page.tags) <= set(allowed.split())
    assert page.tags["style"] == 1
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", content)
    titles = [t for t in page.texts["bdi"] if "script" in t]
    assert HOSTILE[0] in titles
    assert "a␀b␛[31m" in "".join(page.texts["bdi"])


def test_the_page_asks_for_nothing(demo: Outcome) -> None:
    content = html(demo.path)
    page = Parsed(content)
    (policy,) = re.findall(r'Content-Security-Policy" content="(.*?)"', content)
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    assert "script" not in page.tags
    for tag, name, value in page.attributes:
        if name in ("href", "xlink:href"):
            assert value.startswith("#"), (tag, value)
        if name == "src":
            assert value.startswith("data:image/png;base64,")
    assert "url(" not in re.sub(r"url\(#[\w-]+\)", "", content)
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {v[1:] for t, n, v in page.attributes if n.endswith("href")} <= set(ids)
    assert all(page.of("img", "alt"))
    assert page.tags["img"] == 8 * 4 + WORST
    assert page.tags["h1"] == 1


def report_of(path: Path, more: str = "") -> bytes:
    assert main(["report", "--output_dir", str(path), *more.split()]) == 0
    return (path / "report.html").read_bytes()


def test_the_same_dataset_gives_the_same_bytes(
    demo: Outcome, demo_copy: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """In another process too."""
    first = (demo.path / "report.html").read_bytes()
    assert report_of(demo_copy) == first
    assert capfd.readouterr() == (f"{demo_copy}/report.html\n", "")
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    command = [sys.executable, "-m", "pipeline", "report", "--output_dir", str(demo_copy)]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (demo_copy / "report.html").read_bytes() == first
    assert report_of(demo_copy, "--seed 1") != first


def test_all_forms_of_images_and_files_give_the_same_images(
    run: RunCommand, tmp_path: Path, options: str
) -> None:
    source = write_parquet(
        tmp_path / "a.parquet", articles(*(f"Article {n}{WORDS}" for n in range(6)))
    )
    forms = {
        form: run(source, options=f"{options} {form}", into=f"out{n}")
        for n, form in enumerate(["", "--image_shards", "--no_images", "--no_merge --shard_rows 5"])
    }
    images = {form: Parsed(html(f.path)).of("img", "src") for form, f in forms.items()}
    assert len(images[""]) > 10
    assert all(found == images[""] for found in images.values())
    reports = {form: (f.path / "report.html").read_bytes() for form, f in forms.items()}
    assert reports[""] == reports["--image_shards"] == reports["--no_merge --shard_rows 5"]
    sampled = {form: report_of(f.path, "--sample 9") for form, f in forms.items()}
    total = len(forms[""].lines("samples.jsonl"))
    said = f"Looked at: 9 of {total} samples: the first of val and of train"
    assert said.encode() in sampled[""]
    assert sampled[""] == sampled["--image_shards"] == sampled["--no_merge --shard_rows 5"]


def test_images_are_the_stored_ones(demo: Outcome) -> None:
    stored = {path.read_bytes() for path in (demo.path / "images").rglob("*.png")}
    shown = Parsed(html(demo.path)).of("img", "src")
    assert {base64.b64decode(source.partition(",")[2]) for source in shown} <= stored


def test_the_file_stays_small(demo: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "SHEET_BYTES", 400_000)
    monkeypatch.setattr(images, "WORST_BYTES", 100_000)
    content = report_page(str(demo.path), demo.manifest, ReportSettings())
    assert len(content) < 1_200_000
    omitted = [int(n) for n in re.findall(r"<p>(\d+) images are left out", content)]
    assert len(omitted) == 2
    assert Parsed(content).tags["img"] == 8 * 4 + WORST - sum(omitted)


def test_failed_articles_are_counted_by_reason(
    run: RunCommand, tmp_path: Path, options: str
) -> None:
    texts = [f"Article {n}{WORDS}" for n in range(3)]
    source = write_parquet(tmp_path / "a.parquet", articles(*texts, "y" * 9000, "y" * 9001, None))
    found = run(source, options=f"{options} --max_article_chars 8000 --max_errors 9")
    assert found.code == 0
    reasons = rows(html(found.path), "Articles by reason")
    assert reasons.pop("dropped: null text") == ["1"]
    assert list(reasons.values()) == [["2"]]
    assert "6 read = 3 kept + 1 dropped + 2 failed: the account balances." in html(found.path)


def test_an_empty_dataset_has_a_report_of_its_numbers(
    run: RunCommand, tmp_path: Path, capfd: pytest.CaptureFixture[str], options: str
) -> None:
    found = run(write_parquet(tmp_path / "a.parquet", articles("short", None)), options=options)
    assert found.code == 0
    assert rows(html(found.path), "Articles by reason").keys() == {
        "dropped: null text", "dropped: too short",
    }  # fmt: skip
    assert "There are no samples." in html(found.path)
    report_of(found.path)
    err = capfd.readouterr().err
    assert err == "pagecast: warning: the dataset is empty; the report has only the numbers\n"


def test_nothing_that_fails_in_the_report_fails_the_run(
    run: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("the report\nis broken")

    monkeypatch.setattr(run_module, "write_report", fail)
    found = run(SAMPLE, options="--num_articles 1 --modes tiny")
    assert found.code == 0
    assert found.err.splitlines()[-1] == (
        "pagecast: warning: no report was made (ValueError: is broken); `pagecast report` tries "
        "again"
    )
    assert not (found.path / "report.html").exists()


def test_a_report_is_taken_back_with_the_manifest_and_by_overwrite(
    demo_copy: Path, run: RunCommand
) -> None:
    again = run(SAMPLE, options="--max_samples 20 --val_size 5", into=str(demo_copy))
    assert again.code == 0
    assert rows(html(demo_copy), "Sizes")["val"][0] == "5"
    assert (
        run(SAMPLE, options="--modes tiny --num_articles 1 --overwrite", into=str(demo_copy)).code
        == 0
    )
    assert "small" not in rows(html(demo_copy), "Font size")
    assert main(["verify", "--output_dir", str(demo_copy), "--workers", "1"]) == 0


def cut(path: Path) -> None:
    shard = path / "_pagecast/shards/00000.jsonl"
    shard.write_bytes(shard.read_bytes()[:-100])


FAULTS: list[tuple[Callable[[Path], object], str, int, str]] = [
    (lambda path: None, "--sample 0", 2, '"0" for --sample. Must be >= 1'),
    (lambda path: None, "--frob", 2, "unknown option --frob"),
    (lambda path: (path / "_pagecast/config.json").unlink(), "", 2, "is not a dataset"),
    (lambda path: (path / "split_manifest.json").unlink(), "", 1, "the job is not finished, or it"),
    (lambda path: (path / "split_manifest.json").write_text("[]"), "", 1, "is damaged: TypeError"),
    (cut, "", 1, "a line is not a sample"),
    (lambda path: [p.unlink() for p in (path / "images/tiny").iterdir()], "", 1, "No such file"),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(FAULTS)))
def test_faults_are_one_line(demo_copy: Path, capfd: pytest.CaptureFixture[str], case: int) -> None:
    damage, options, code, text = FAULTS[case]
    damage(demo_copy)
    assert main(["report", "--output_dir", str(demo_copy), *options.split()]) == code
    out, err = capfd.readouterr()
    assert text in err
    assert (out, err.count("\n")) == ("", 1)


def test_a_report_of_a_store_that_is_no_place(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--output_dir", "s3://"]) == 2
    assert "names no bucket" in capfd.readouterr().err


def test_reading_a_dataset_needs_no_template(demo: Outcome) -> None:
    """A run, and whoever reads pages, is not slowed by what only the report needs."""
    code = "import pipeline.commands.run, pagecast.reader, sys; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert PageReader(demo.path).modes.keys() == {"tiny", "small", "base", "large"}
    assert json.loads((demo.path / "split_manifest.json").read_text())


def test_a_chart_has_bars_where_values_are() -> None:
    values = {"a": Counter({1: 3, 2: 1}), "b": Counter({4: 1})}
    chart = charts.distribution(values, {"a": "", "b": ""}, "", "whole")
    assert chart is not None
    a, b = chart.rows
    assert [bar.height for bar in a.bars] == [charts.BARS, charts.BARS / 3, 0, 0]
    assert [bar.height for bar in b.bars] == [0, 0, 0, charts.BARS]
    assert (a.top, b.top) == ("75%", "100%")
    assert a.bars[0].x == charts.LEFT
    assert a.bars[-1].x + a.bars[-1].width == pytest.approx(charts.WIDTH - charts.RIGHT)
    assert [label for _, label in chart.ticks] == ["1", "2", "3", "4"]
    assert chart.ticks[0][0] == pytest.approx(a.bars[0].x + a.bars[0].width / 2)


@pytest.mark.parametrize("value", [0, 0.0, 1, 7.5, 10**9])
@pytest.mark.parametrize("scale", ["whole", "linear", "log"])
def test_a_chart_can_have_one_value(value: float, scale: str) -> None:
    chart = charts.distribution({"a": Counter({value: 5})}, {"a": ""}, "", scale)
    assert chart is not None
    assert max(bar.height for bar in chart.rows[0].bars) == charts.BARS
    assert charts.distribution({"a": Counter()}, {}, "", scale) is None


def test_tokens_are_on_a_scale_of_doublings() -> None:
    chart = charts.distribution({"a": Counter({2000: 1, 40_000: 1})}, {"a": ""}, "", "log")
    assert chart is not None
    assert [label for _, label in chart.ticks] == ["2,000", "5,000", "10,000", "20,000"]


def test_missing_glyphs_are_grouped() -> None:
    groups = charts.missing_groups(Counter({0: 2, 3: 1, 500: 1}))
    assert groups == {"0": 50, "1": 0, "2–3": 25, "4–7": 0, "8–31": 0, "32+": 25}
