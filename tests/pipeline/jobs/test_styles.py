"""Styles from the command line to the last reader: one, or several that samples vary between."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pagecast import PageReader
from pagecast.dataset.manifest import sheet_of
from pagecast.dataset.split import article_key
from pagecast.dataset.tables.arrow import read_rows
from pagecast.render.fonts import default_font
from pipeline.__main__ import main
from tests.conftest import Command, Outcome, RunCommand, articles, tree, write_parquet
from tests.pagecast.render.test_glyphs import tiny_font

TEXTS = [" ".join(f"Word {n} of {a}, long enough." for n in range(40 + 5 * a)) for a in range(12)]
SAMPLES = "--min_tokens 100 --context_tokens 50 --continuation_tokens 50 --modes tiny,custom=100"
SIZES = f"{SAMPLES} --shard_rows 3 --max_samples 40 --val_size 5"
VARIED = """
styles:
  - name: plain
  - name: airy
    weight: 2
    line_height: {from: 1.2, to: 2}
    align: [start, center]
  - name: own
    fonts: [[own.ttf, builtin], [builtin]]
"""
CONFIG = "_pagecast/config.json"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_parquet(tmp_path / "a.parquet", articles(*TEXTS))


@pytest.fixture
def varied(tmp_path: Path) -> str:
    (tmp_path / "styles").mkdir()
    (tmp_path / "styles/own.ttf").write_bytes(tiny_font())
    (tmp_path / "styles/s.yaml").write_text(VARIED)
    return f"--style {tmp_path}/styles/s.yaml"


def labels(found: Outcome) -> dict[str, str]:
    """Return the style of each sample, which is that of all its pages."""
    told = {}
    for sample in found.lines("samples.jsonl"):
        (told[sample["id"]],) = {page["style"] for page in sample["font_metadata"].values()}
    return told


def verified(out: Path, more: str = "--redraw") -> int:
    return main(["verify", "--output_dir", str(out), "--workers", "1", *more.split()])


def records(found: Outcome) -> list[Any]:
    """Return what decides a job, and what its manifest says."""
    return [(found.path / CONFIG).read_bytes(), found.manifest]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("", "--style default"),
        ("", "--vary train"),
        ("--layout harfbuzz --line_break unicode", "layout: harfbuzz\nline_break: unicode"),
        ("--font builtin", "fonts: [builtin]"),
        ("--layout harfbuzz", "name: x\nweight: 2\nlayout: [harfbuzz]\nalign: start\nsize: fit"),
        ("--style FILE --max_pages 1", "line_height: 1.5\nmax_pages: 1"),
    ],
)
def test_a_style_by_options_and_by_file_is_the_same(
    one: str, other: str, source: Path, tmp_path: Path, run: RunCommand
) -> None:
    (tmp_path / "f.yaml").write_text("line_height: 1.5\nmax_pages: 3")
    if not other.startswith("--"):
        (tmp_path / "o.yaml").write_text(other)
        other = f"--style {tmp_path}/o.yaml"
    first = run(source, options=f"{SIZES} {one.replace('FILE', str(tmp_path / 'f.yaml'))}")
    second = run(source, options=f"{SIZES} {other}", into="second")
    assert (first.code, second.code) == (0, 0)
    assert records(first) == records(second)
    assert tree(first.path) == tree(second.path)
    again = run(source, options=f"{SIZES} {other}")
    assert (again.code, again.err) == (0, "")


def test_one_style_is_recorded_and_read_back(source: Path, tmp_path: Path, run: RunCommand) -> None:
    (tmp_path / "s.yaml").write_text("line_height: 1.5\nalign: center\nmax_pages: 1")
    found = run(source, options=f"{SIZES} --style {tmp_path}/s.yaml")
    style = {"line_height": 1.5, "align": "center", "max_pages": 1}
    assert found.manifest["options"]["style"] == style
    assert found.manifest["options"]["layout"] == "basic"
    assert "style" not in found.lines("samples.jsonl")[0]["font_metadata"]["tiny"]
    assert sheet_of(found.manifest).entries[0].first.items() > style.items()
    other = run(source, options=SIZES)
    assert other.code == 2
    assert "--style, align was center, now not given" in other.err and other.err.count("\n") == 1


def test_pages_are_the_same_by_one_worker_and_two_stopped_and_on_demand(
    source: Path, varied: str, tmp_path: Path, run: RunCommand, command: Command
) -> None:
    given = f"{SIZES} {varied} --arrow --parquet"
    whole = run(source, options=given)
    assert (whole.code, whole.err) == (0, "")
    names = Counter(label.split(" ")[0] for label in labels(whole).values())
    assert set(names) == {"plain", "airy", "own"} and names["airy"] > 5
    sheet = sheet_of(whole.manifest)
    for sample, label in labels(whole).items():
        assert sheet.style_of(sample)[0] == label
    two = tmp_path / "two"
    line = f"run --input {source} --output_dir {two} --workers 2 --no_report {given}"
    assert command(line).code == 0
    assert tree(two) == tree(whole.path)

    stopped = Path(shutil.copytree(whole.path, tmp_path / "stopped"))
    for name in ("00001", "00003"):
        (stopped / f"_pagecast/shards/{name}.json").unlink()
    for image in (stopped / "images/tiny").glob("sample_000004*"):
        image.write_bytes(b"half")
    (stopped / "split_manifest.json").unlink()
    assert command(line.replace(str(two), str(stopped))).code == 0
    assert tree(stopped) == tree(whole.path)

    bare = run(source, options=f"{SIZES} {varied} --no_images", into="bare")
    stored, drawn = PageReader(whole.path), PageReader(bare.path)
    for sample in stored["train"]:
        for mode in ("tiny", "custom"):
            expected = stored.image(sample, mode).tobytes()
            assert drawn.image(sample["id"], mode).tobytes() == expected
            assert drawn.image(sample, mode).tobytes() == expected
    assert verified(whole.path) == verified(bare.path) == 0


def test_tables_have_the_style_and_verify_checks_it(
    source: Path, varied: str, run: RunCommand, capfd: pytest.CaptureFixture[str]
) -> None:
    found = run(source, options=f"{SIZES} {varied} --arrow --parquet")
    told = labels(found)
    (file,) = (found.path / "parquet").glob("train-*.parquet")
    rows = pq.read_table(file).to_pylist()
    rows += read_rows(str(next((found.path / "train_arrow").glob("*.arrow"))))
    assert len(rows) > 20
    for row in rows:
        assert {page["style"] for page in row["font_metadata"].values()} == {told[row["id"]]}
    capfd.readouterr()
    config = json.loads((found.path / CONFIG).read_text())
    config["options"]["styles"]["entries"][0]["name"] = "other"
    (found.path / CONFIG).write_text(json.dumps(config))
    assert verified(found.path, "") == 1
    assert "its style is 'plain', by its id it should be 'other'" in capfd.readouterr().out


def test_more_modes_are_drawn_in_the_style_of_those_that_are_there(
    source: Path, varied: str, run: RunCommand
) -> None:
    whole = run(source, options=f"{SIZES} {varied}")
    few = f"{SIZES} {varied}".replace("tiny,custom=100", "tiny")
    run(source, options=few, into="more")
    more = run(source, options=f"{SIZES} {varied}", into="more")
    assert tree(more.path) == tree(whole.path)


@pytest.mark.parametrize("val_size", [5, 10])
def test_vary_train_leaves_val_at_the_first_style(
    val_size: int, source: Path, varied: str, run: RunCommand, command: Command
) -> None:
    sizes = SIZES.replace("--val_size 5", f"--val_size {val_size}")
    found = run(source, options=f"{sizes} {varied} --vary train --arrow")
    assert found.code == 0
    told, split = labels(found), found.manifest["split"]
    share = found.manifest["options"]["styles"]["candidates_of_val"]
    assert share == max(0.25, 2 * val_size / 40)
    assert {told[sample["id"]] for sample in found.lines("val.jsonl")} == {"plain"}
    assert len({told[sample["id"]] for sample in found.lines("train.jsonl")}) > 4
    candidates = 0
    for sample in found.lines("samples.jsonl"):
        if article_key(42, sample["wiki_id"]).key < share * 2**64:
            assert told[sample["id"]] == "plain"
            candidates += 1
    wanted = split["val"].get("wanted", split["val"]["samples"])
    assert split["val"]["samples"] == min(wanted, candidates)
    assert ("warning: val has" in found.err) is ("wanted" in split["val"])
    assert verified(found.path) == 0
    assert run(source, options=f"{sizes} {varied}").code == 2

    line = f"split --output_dir {found.path} --name x --max_samples 30 --val_size 29 --workers 1"
    refused = command(f"{line} --seed 7")
    assert refused.code == 2 and "give --seed 42" in refused.err
    assert command(line).code == 0
    lines = (found.path / "splits/x/val.jsonl").read_text().splitlines()
    assert len(lines) == min(candidates, 29)
    assert {told[json.loads(line)["id"]] for line in lines} == {"plain"}
    assert verified(found.path) == 0


def test_the_seed_decides_only_where_something_varies(
    source: Path, varied: str, run: RunCommand
) -> None:
    run(source, options=SIZES, into="same")
    assert run(source, options=f"{SIZES} --seed 7", into="same").code == 0
    first = run(source, options=f"{SIZES} {varied}")
    refused = run(source, options=f"{SIZES} {varied} --seed 7")
    assert refused.code == 2
    assert "--seed (which the styles vary by) was 42, now 7; use another" in refused.err
    other = run(source, options=f"{SIZES} {varied} --seed 7", into="other")
    assert labels(other) != labels(first)


def test_plan_report_and_card_know_the_styles(
    source: Path, varied: str, run: RunCommand, command: Command
) -> None:
    planned = command(f"plan --input {source} {SIZES} {varied}")
    assert planned.code == 0
    assert "\nairy   50.0%  " in planned.out
    found = run(source, options=f"{SIZES} {varied} --no_images")
    assert command(f"report --output_dir {found.path} --quiet").code == 0
    report = (found.path / "report.html").read_text()
    for wanted in ("Font size by style", "airy, tiny", "line_height: 1.2 to 2.0, align: start or"):
        assert wanted in report
    shown = report.split('id="samples"')[1].split('id="worst"')[0]
    assert all(f"<strong>tiny</strong>: {name}" in shown for name in ("plain", "airy", "own"))
    sent = command(f"publish --output_dir {found.path} --repo me/x --dry_run")
    assert sent.code == 0
    card = (found.path / "_pagecast/dataset_card.md").read_text()
    assert "--style style.yaml" in card and "fonts:\n  - [own.ttf, builtin]" in card
    sheet = sheet_of(found.manifest)
    first = PageReader(found.path)["train"][0]
    style = sheet.style_of(first["id"])[1]
    assert f"line_height={style.line_height}" in card or style.line_height == 1.2


def test_the_card_names_a_style_that_is_shipped(
    source: Path, run: RunCommand, command: Command
) -> None:
    found = run(source, options=f"{SIZES} --style dense --max_pages 1 --no_images")
    assert found.manifest["options"]["style"] == {
        "min_size": 8, "line_height": 1.0, "margins": 0.01, "newline": "mark", "max_pages": 1,
    }  # fmt: skip
    other = run(source, options=f"{SIZES} --style dense --no_images", into="other")
    for out, wanted in ((found.path, "--style style.yaml"), (other.path, "--style dense")):
        assert command(f"publish --output_dir {out} --repo me/x --dry_run").code == 0
        assert wanted in (out / "_pagecast/dataset_card.md").read_text()


def test_each_font_is_stored_once(source: Path, tmp_path: Path, run: RunCommand) -> None:
    (tmp_path / "copy.ttf").write_bytes(default_font())
    (tmp_path / "s.yaml").write_text("fonts: [[copy.ttf], [builtin], [copy.ttf, builtin]]")
    found = run(source, options=f"{SIZES} --style {tmp_path}/s.yaml --no_images")
    assert found.code == 0
    assert found.manifest["font"]["name"] == "copy.ttf"
    assert len([*(found.path / "_pagecast/assets").glob("*.ttf")]) == 1
    assert len({*labels(found).values()}) == 2


def test_a_font_of_a_style_file_that_is_not_there(
    source: Path, tmp_path: Path, run: RunCommand
) -> None:
    (tmp_path / "s.yaml").write_text("fonts: gone.ttf")
    found = run(source, options=f"{SIZES} --style {tmp_path}/s.yaml")
    assert found.code == 2 and not found.path.exists()
    place = f"--style {tmp_path}/s.yaml: fonts {tmp_path}/gone.ttf cannot be opened: "
    assert found.err.startswith(f"pagecast: error: {place}") and found.err.count("\n") == 1


def test_a_language_wins_over_the_file(source: Path, tmp_path: Path, run: RunCommand) -> None:
    (tmp_path / "s.yaml").write_text("layout: basic\nalign: center\nmax_pages: 1")
    found = run(source, options=f"{SIZES} --style {tmp_path}/s.yaml --language ar")
    assert found.manifest["options"]["layout"] == "harfbuzz"
    assert found.manifest["options"]["style"]["align"] == "center"


def test_options_of_a_run_can_be_given_again(
    source: Path, varied: str, tmp_path: Path, run: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / "styles")
    first = run(source, options=f"{SIZES} --style s.yaml")
    monkeypatch.chdir(tmp_path)
    config = first.path / "_pagecast/options.yaml"
    again = run(named=False, options=f"--config {config}", into="again")
    assert tree(again.path) == tree(first.path)
