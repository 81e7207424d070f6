"""The command `plan`, as a person gives it."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from pagecast.tokens.tokenizer import ArticleTokenizer
from pipeline.cli.commandline import Call, parse
from pipeline.cli.commands import APP
from pipeline.commands.plan import command_line
from pipeline.estimate import measure
from pipeline.options import UsageError
from tests.conftest import SAMPLE, Command, Outcome, RunCommand, articles, parse_run, write_parquet
from tests.pagecast.storage.test_hub import parquet
from tests.support.hub import FINEWIKI, FakeHub
from tests.support.stores import LONG, SMALL


@pytest.fixture(autouse=True)
def _in_the_directory_of_the_tokenizer(
    small_tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(small_tokenizer)


def planned(command: Command, line: str) -> dict[str, Any]:
    found = command(f"plan --json {line}")
    assert (found.code, found.err) == (0, "")
    return json.loads(found.out)


def words(text: str) -> str:
    """Return a text with single spaces."""
    return " ".join(text.split())


@pytest.fixture
def given(tmp_path: Path) -> Path:
    return write_parquet(tmp_path / "in.parquet", articles(LONG, "short", None, LONG[9:], " "))


def test_a_person_reads_a_table_and_nothing_is_written(
    command: Command, given: Path, tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*")), sorted(Path.cwd().rglob("*"))
    line = f"--input {given} --output_dir {tmp_path}/new {SMALL}"
    found = command(f"plan {line}")
    assert (found.code, found.err) == (0, "")
    lines = found.out.splitlines()
    assert lines[-1] == f"pagecast run {line}"
    assert lines[-2].startswith(f"free on the disk of {tmp_path}: ")
    assert len(lines) < 36
    assert max(map(len, lines[:-2])) <= 80
    for part in ("kept 2: 40.0%", "dropped, null_text 1", "dropped, blank_text 1"):
        assert part in words(found.out)
    assert before == (sorted(tmp_path.rglob("*")), sorted(Path.cwd().rglob("*")))


def test_counts_are_those_of_the_run(command: Command, run: RunCommand, given: Path) -> None:
    found, done = planned(command, f"--input {given} {SMALL}"), run(given, options=SMALL)
    counts = done.manifest["counts"]
    assert found["samples"]["estimate"] == counts["samples"] > 0
    assert found["kept"]["estimate"] == counts["kept"]
    assert {name: n["estimate"] for name, n in found["dropped"].items()} == counts["dropped"]
    assert found["disk"] is None


def test_articles_that_come_with_tokens(command: Command, run: RunCommand, given: Path) -> None:
    done = run(given, options=f"{SMALL} --filtered")
    tokens = done.path / "filtered.jsonl"
    found = planned(command, f"--input {tokens} {SMALL}")
    assert found["articles"] == 2
    assert found["samples"]["estimate"] == done.manifest["counts"]["samples"]
    some = planned(command, f"--input {tokens} {SMALL} --num_articles 1")
    assert some["articles"] == 1


def test_articles_on_the_hub(command: Command, hub: FakeHub) -> None:
    hub.push(FINEWIKI, {"data/enwiki/000.parquet": parquet(articles(LONG, "short", LONG[5:]))})
    place = f"hf://datasets/{FINEWIKI}/data/enwiki/*.parquet"
    found = planned(command, f"--input {place} {SMALL}")
    assert (found["articles"], found["kept"]["estimate"]) == (3, 2)


def test_what_cannot_be_read_is_named_as_run_names_it(
    command: Command, run: RunCommand, given: Path, tmp_path: Path
) -> None:
    (tmp_path / "cut.parquet").write_bytes(given.read_bytes()[:-9])
    damaged = write_parquet(tmp_path / "damaged.parquet", articles(LONG, LONG[1:]))
    content = damaged.read_bytes()
    damaged.write_bytes(content[:4] + bytes(200) + content[204:])
    found = command(f"plan --input {tmp_path} {SMALL}")
    done = run(tmp_path, options=SMALL)
    assert found.code == done.code == 1
    told = [line for line in found.err.splitlines() if "cannot read" in line]
    assert len(told) >= 2
    assert sorted(told) == sorted(line for line in done.err.splitlines() if "cannot read" in line)
    assert "articles in 7 " in words(found.out)


def test_articles_that_fail_are_named(command: Command, given: Path) -> None:
    found = command(f"plan --input {given} {SMALL} --max_article_chars 1000")
    assert found.code == 0
    assert "failed 2 " in words(found.out)
    assert "article a0 (row 0) failed to read: it has" in found.err


def test_a_font_that_lacks_a_script_is_warned_about(command: Command, tmp_path: Path) -> None:
    text = " ".join("漢字かな" for _ in range(60)) + LONG
    path = write_parquet(tmp_path / "ja.parquet", articles(text))
    found = command(f"plan --input {path} {SMALL}")
    assert found.code == 0
    assert "characters on pages: Han (" in found.err
    assert "Hiragana (" in found.err
    assert found.err.endswith("; give --font auto, or one that has them\n")


def sizes(path: Path, pattern: str) -> list[int]:
    return [file.stat().st_size for file in path.glob(pattern) if file.is_file()]


def exactly(value: int) -> dict[str, int]:
    return {"estimate": value, "low": value, "high": value}


def test_of_a_small_input_counts_and_pages_are_exact(demo: Outcome, command: Command) -> None:
    found = planned(command, f"--input {SAMPLE} --modes tiny,small,base,large")
    counts, split = demo.manifest["counts"], demo.manifest["split"]
    for name in ("kept", "samples", "pages", "failed"):
        assert found[name] == exactly(counts[name])
    assert found["articles"] == counts["rows_read"]
    assert found["dropped"] == {name: exactly(n) for name, n in counts["dropped"].items()}
    assert found["val"] == split["val"]["samples"]
    assert found["train"] == split["train"]["samples"] + split["unused"]["samples"]
    for mode in found["modes"]:
        assert mode["bytes"] == exactly(sum(sizes(demo.path, f"images/{mode['mode']}/*")))
    files = [file for file in demo.path.rglob("*") if file.is_file()]
    assert found["all_asked_for"]["files"]["estimate"] == pytest.approx(len(files), abs=20)
    disk = sum(512 * file.stat().st_blocks for file in files)
    assert found["all_asked_for"]["disk"]["estimate"] == pytest.approx(disk, rel=0.05)


@pytest.mark.parametrize(
    ("form", "more"),
    [("shards", "--image_shards --arrow --filtered --parquet"), ("none", "--no_images")],
)
def test_all_forms_and_outputs_come_out_as_planned(
    form: str, more: str, command: Command, run: RunCommand
) -> None:
    given = f"--modes tiny,base --no_report {more}"
    found, done = planned(command, f"--input {SAMPLE} {given}"), run(SAMPLE, options=given)
    assert done.code == 0
    each = {**found["pictures"], **found["outputs"]}
    for name, pattern in {
        form: "images/*/*",
        "_pagecast/shards": "_pagecast/shards/*",
        "samples.jsonl": "samples.jsonl",
        "filtered.jsonl": "filtered.jsonl",
        "train.jsonl, val.jsonl": "[tv]*.jsonl",
        "train_arrow, val_arrow": "*_arrow/*.arrow",
        "parquet": "parquet/*",
    }.items():
        made = sizes(done.path, pattern)
        assert (name in found["asked_for"]) == (bool(made) or name == "none")
        if made:  # a block of each file is half empty; the last article of val is not in train
            planned_size = each[name]["disk"]["estimate"]
            assert planned_size == pytest.approx(sum(made), rel=0.06, abs=len(made) * 4096)


def test_a_sample_of_the_demo_has_the_truth_in_its_intervals(
    demo: Outcome, tokenizer: ArticleTokenizer, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third of 32 articles, for several seeds: nearly all intervals have to contain it."""
    monkeypatch.setattr(measure, "ArticleTokenizer", lambda definition, quick: tokenizer)
    counts = demo.manifest["counts"]
    images = sum(file.stat().st_size for file in demo.path.glob("images/tiny/*.png"))
    hits = 0
    for seed in range(5):
        line = f"--input {SAMPLE} --modes tiny --sample 11 --sample_seed {seed}"
        found = planned(command, line)
        assert found["looked_at"]["articles"] <= 11
        for values, truth in (
            (found["kept"], counts["kept"]),
            (found["samples"], counts["samples"]),
            (found["modes"][0]["bytes"], images),
        ):
            assert values["low"] < values["high"]
            hits += values["low"] <= truth <= values["high"]
    assert hits >= 13


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "--input is required"),
        ("--input a --sample 9", 'invalid value "9" for --sample. Must be >= 10'),
        ("--input a --sampel 9", "unknown option --sampel; did you mean --sample?"),
        ("--input a --modes huge", "unknown mode 'huge'"),
        ("--input a --output_dir=", "--output_dir is empty"),
    ],
)
def test_wrong_use(line: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(APP, ["plan", *line.split()])
    assert message in str(error.value)


def asked(*words: str) -> Call:
    return parse(APP, ["plan", *words]).bound.arguments["call"]


def test_the_run_is_written_for_a_shell(tmp_path: Path) -> None:
    line = command_line(asked("--input", "a b", "c*", "--sample", "99", "--json", "--seed=7"))
    assert line == "pagecast run --input 'a b' 'c*' --seed=7 --output_dir DIR"
    assert parse_run(shlex.split(line)[2:]).input == ("a b", "c*")
    config = tmp_path / "a.yaml"
    config.write_text("input: [a]\noutput_dir: o\n")
    given = asked("--config", str(config))
    assert "output_dir" in given.given
    assert command_line(given) == f"pagecast run --config {config}"
