"""The real command line on real parquet, compared with what was computed independently."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pagecast.dataset.split import SplitSettings, sample_key
from pagecast.render import PageRenderer
from pagecast.style.sheet import StyleSheet
from pipeline import graph
from pipeline.commands import run as run_module
from pipeline.commands.run import why_empty
from pipeline.launch.inputs import read_footer
from pipeline.options import RunOptions
from tests.conftest import (
    GOLDEN,
    SAMPLE,
    Outcome,
    RunCommand,
    articles,
    quiet,
    tree,
    write_parquet,
)
from tests.transforms.test_split import split_by_the_rule

LONG = " ".join(f"Word {n} of an article that is long enough." for n in range(40))
SMALL = "--min_tokens 100 --context_tokens 50 --continuation_tokens 50 --modes tiny"


def sha(ids: list[int]) -> str:
    return hashlib.sha256(",".join(map(str, ids)).encode()).hexdigest()


def test_demo_equals_the_golden_samples_to_the_pixel(demo: Outcome) -> None:
    assert demo.code == 0, demo.err
    golden = sorted(map(json.loads, GOLDEN.open()), key=lambda g: g["order"])
    samples = demo.lines("samples.jsonl")
    assert len(samples) == len(golden) == 59
    for sample, expected in zip(samples, golden, strict=True):
        assert sample["id"] == f"sample_{expected['row']:06d}_chunk_{expected['chunk_index']}"
        for name in ("wiki_id", "title", "chunk_index", "total_article_tokens", "context_text"):
            assert sample[name] == expected[name]
        assert sha(sample["context_tokens"]) == expected["context_sha256"]
        assert sha(sample["continuation_tokens"]) == expected["continuation_sha256"]
        assert list(sample["font_metadata"]) == ["tiny", "small", "base", "large"]
        for mode, page in expected["modes"].items():
            metadata = sample["font_metadata"][mode]
            assert {key: metadata[key] for key in page if key != "pixels_sha256"} == {
                key: page[key] for key in page if key != "pixels_sha256"
            }
            with Image.open(demo.path / sample["images"][mode]) as image:
                assert image.mode == "L"
                pixels = hashlib.sha256(image.tobytes()).hexdigest()
            assert pixels == page["pixels_sha256"], (sample["id"], mode)
    assert len(list((demo.path / "images").rglob("*.png"))) == 236


def test_the_renderer_gives_the_stored_images_as_the_readme_says(demo: Outcome) -> None:
    renderer = PageRenderer()
    for sample in demo.lines("samples.jsonl")[:3]:
        pages = list(renderer.render_sizes(sample["context_text"], [512, 640, 1024, 1280]))
        pages[1] = renderer.render(sample["context_text"], 640)
        for (image, metadata), mode in zip(pages, sample["images"], strict=True):
            with Image.open(demo.path / sample["images"][mode]) as stored:
                assert stored.tobytes() == image.tobytes()
            assert sample["font_metadata"][mode] == metadata._asdict()


def test_demo_ends_with_a_table_and_nothing_else(demo: Outcome) -> None:
    table = dict(line.rsplit("  ", 1) for line in demo.out.splitlines())
    table = {name.strip(): value for name, value in table.items()}
    assert float(table.pop("seconds")) > 0
    assert table == {
        "articles in": "32", "kept": "22", "dropped, too_short": "10", "samples": "59",
        "pages": "236", "train": "57", "val": "1", "unused": "1", "output": str(demo.path),
    }  # fmt: skip
    assert demo.err == ""


def test_demo_accounts_balance_and_splits_are_disjoint(demo: Outcome) -> None:
    counts = demo.manifest["counts"]
    assert counts["rows_read"] == 32
    assert counts["kept"] + sum(counts["dropped"].values()) + counts["failed"] == 32
    assert counts["dropped"] == {"too_short": 10}
    split = demo.manifest["split"]
    assert sum(part["samples"] for part in split.values()) == counts["samples"] == 59
    ids = {name: {s["wiki_id"] for s in demo.lines(f"{name}.jsonl")} for name in ("train", "val")}
    assert not ids["train"] & ids["val"]
    assert (len(ids["train"]), len(ids["val"])) == (
        split["train"]["articles"],
        split["val"]["articles"],
    )
    assert demo.manifest["inputs"] == [
        {
            "path": "finewiki_sample.parquet",
            "bytes": os.path.getsize(SAMPLE),
            "rows": 32,
            "footer_sha256": read_footer(SAMPLE).footer_sha256,
        }
    ]


def check_split(found: Outcome, wanted: SplitSettings) -> None:
    """Recompute the split from samples.jsonl and compare both files line by line."""
    lines = (found.path / "samples.jsonl").read_bytes().splitlines(keepends=True)
    samples = [json.loads(line) for line in lines]
    rows: dict[int, list[int]] = defaultdict(list)
    for number, sample in enumerate(samples):
        rows[int(sample["id"].split("_")[1])].append(number)
    ordered = sorted(rows)
    side = split_by_the_rule(
        [(samples[rows[row][0]]["wiki_id"], len(rows[row])) for row in ordered], wanted
    )
    for name in ("train", "val"):
        numbers = [rows[ordered[row]][chunk] for (row, chunk), at in side.items() if at == name]
        numbers.sort(
            key=lambda n: (
                sample_key(wanted.seed, samples[n]["wiki_id"], samples[n]["chunk_index"]),
                samples[n]["id"],
            )
        )
        expected = b"".join(lines[number] for number in numbers)
        assert (found.path / f"{name}.jsonl").read_bytes() == expected
        assert found.manifest["split"][name]["samples"] == len(numbers)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ("--max_samples 40 --val_size 10", SplitSettings(40, 10, 42)),
        ("--max_samples 40 --val_size 10 --seed 7", SplitSettings(40, 10, 7)),
        ("--max_samples 59 --val_size 58", SplitSettings(59, 58, 42)),
        ("--max_samples 100 --val_size 30 --seed 7", SplitSettings(100, 30, 7)),
        ("--val_size 0 --max_samples 1", SplitSettings(1, 0, 42)),
        ("", SplitSettings(510_000, 10_000, 42)),
    ],
)
def test_other_split_options_render_nothing_and_split_by_the_rule(
    demo: Outcome, run: RunCommand, options: str, wanted: SplitSettings
) -> None:
    shutil.copytree(demo.path, demo.path.parent / "copy", dirs_exist_ok=True)
    copy = demo.path.parent / "copy"
    pages = {path: path.stat().st_mtime_ns for path in copy.rglob("*.png")}
    found = run(SAMPLE, options=options, into=str(copy))
    assert found.code == 0, found.err
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*.png")} == pages
    check_split(found, wanted)


@pytest.mark.parametrize("shard_rows", [3, 1000])
def test_bytes_do_not_depend_on_workers_or_shards(
    demo: Outcome, run: RunCommand, shard_rows: int
) -> None:
    """The demo ran with two processes and other shards; this runs within the test's own."""
    found = run(SAMPLE, options=f"--shard_rows {shard_rows}")
    assert found.code == 0, found.err
    assert tree(found.path) == tree(demo.path)


def test_bytes_do_not_depend_on_how_the_input_is_cut_into_files(
    demo: Outcome, run: RunCommand, tmp_path: Path
) -> None:
    table = pq.read_table(SAMPLE)
    for name, start, rows in (("a", 0, 5), ("b", 5, 0), ("c", 5, 20), ("d/e", 25, 7)):
        path = tmp_path / "in" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table.slice(start, rows), path, row_group_size=6)
    found = run(tmp_path / "in")
    assert found.code == 0, found.err
    skip = "split_manifest.json"  # it names the input files
    assert tree(found.path, skip) == tree(demo.path, skip)
    assert [file["rows"] for file in found.manifest["inputs"]] == [5, 0, 20, 7]


def test_the_first_articles_give_the_same_samples_as_in_the_whole(
    demo: Outcome, run: RunCommand
) -> None:
    found = run(SAMPLE, options="--num_articles 11")
    assert found.manifest["counts"]["rows_read"] == 11
    samples = found.lines("samples.jsonl")
    assert samples == [s for s in demo.lines("samples.jsonl") if s["id"] < "sample_000011"]
    assert samples


def test_a_run_goes_on_where_an_earlier_one_stopped(demo: Outcome, run: RunCommand) -> None:
    out = demo.path.parent / "stopped"
    shutil.copytree(demo.path, out)
    expected = tree(out)
    for name in ("samples.jsonl", "train.jsonl", "split_manifest.json"):
        (out / name).unlink()
    (out / "_pagecast/shards/00001.json").unlink()  # no receipt, no shard
    shard = out / "_pagecast/shards/00002.jsonl"
    shard.write_bytes(shard.read_bytes()[:1000])
    done = (out / "_pagecast/shards/00003.json").stat().st_mtime_ns
    found = run(SAMPLE, into=str(out))
    assert found.code == 0, found.err
    assert tree(out) == expected
    assert (out / "_pagecast/shards/00003.json").stat().st_mtime_ns == done


def test_rows_that_real_data_has(run: RunCommand, tmp_path: Path) -> None:
    control = "<image> <td>x</td> <｜end▁of▁sentence｜> <｜User｜> <｜tool▁sep｜> " * 30
    texts = [LONG, None, "", " \n", "short", LONG, LONG, control, "日本語 😀 \x00 \u202e é " * 60]
    ids: list[str | None] = ["a", "b", "c", "d", "e", "a", None, "g", "h"]
    titles: list[str | None] = ["A", "B", "C", "D", "E", "F", None, "H", "I"]
    first = write_parquet(
        tmp_path / "in/1.parquet", {"text": texts, "title": titles, "id": ids}, group_rows=4
    )
    with pq.ParquetWriter(tmp_path / "in/2.parquet", pa.schema(
        [("title", pa.string()), ("text", pa.string())]
    )) as writer:  # fmt: skip
        for part in ([], [LONG], [], [LONG]):
            writer.write_table(pa.table({"title": pa.array(part, pa.string()),
                                         "text": pa.array(part, pa.string())}))  # fmt: skip
    found = run(first.parent, options=f"{SMALL} --max_samples 20 --val_size 5")
    assert found.code == 0, found.err
    counts = found.manifest["counts"]
    assert counts["rows_read"] == 11
    assert counts["dropped"] == {"blank_text": 2, "null_text": 1, "too_short": 1}
    assert counts["kept"] == 7
    samples = found.lines("samples.jsonl")
    by_row: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for sample in samples:
        by_row[int(sample["id"].split("_")[1])].append(sample)
    assert {row: chunks[0]["wiki_id"] for row, chunks in by_row.items()} == {
        0: "a", 5: "a", 6: "1.parquet#6", 7: "g", 8: "h", 9: "2.parquet#9", 10: "2.parquet#10",
    }  # fmt: skip
    assert by_row[6][0]["title"] == ""
    assert max(max(s["context_tokens"] + s["continuation_tokens"]) for s in samples) < 128_000
    assert control.startswith(by_row[7][0]["context_text"].rstrip("\ufffd"))
    check_split(found, SplitSettings(20, 5, 42))


def test_one_giant_article_and_one_giant_row_group(run: RunCommand, tmp_path: Path) -> None:
    giant = LONG * 100
    path = write_parquet(tmp_path / "g.parquet", articles(*["x"] * 4999, giant), group_rows=5000)
    found = run(path, options=f"{SMALL} --context_tokens 20000 --continuation_tokens 0")
    assert found.code == 0, found.err
    assert "row group of 5000 rows: its shards hold 313 rows, not 256" in found.err
    assert len(list((found.path / "_pagecast/shards").glob("*.json"))) == 16
    samples = found.lines("samples.jsonl")
    assert {s["id"].split("_chunk")[0] for s in samples} == {"sample_004999"}
    assert len(samples) == samples[0]["total_article_tokens"] // 20_000 > 1


def test_unreadable_input_fails_by_name_and_the_rest_is_done(
    run: RunCommand, tmp_path: Path
) -> None:
    good = write_parquet(tmp_path / "in/a.parquet", articles(LONG, LONG), group_rows=1)
    (tmp_path / "in/b.parquet").write_bytes(good.read_bytes()[:-20])
    write_parquet(tmp_path / "in/c.parquet", {"title": ["t"], "id": ["i"]})
    write_parquet(tmp_path / "in/d.parquet", articles(LONG))
    found = run(tmp_path / "in", options=SMALL)
    assert found.code == 1
    assert found.out == ""
    errors = found.err.splitlines()
    assert f"cannot read {tmp_path}/in/b.parquet, the whole file: " in errors[0]
    assert errors[1].endswith("c.parquet, the whole file: it has no column 'text', only title, id")
    assert "no split was written" in errors[-1]
    assert len(list((found.path / "_pagecast/shards").glob("*.json"))) == 3
    assert not list(found.path.glob("*.json*"))
    assert not (found.path / "_pagecast/parts").exists()
    for name in ("b", "c"):
        (tmp_path / f"in/{name}.parquet").unlink()
    again = run(tmp_path / "in", options=SMALL)
    assert (again.code, again.manifest["counts"]["rows_read"]) == (0, 3)


def test_a_bad_article_is_named_and_the_rest_goes_on(run: RunCommand, tmp_path: Path) -> None:
    values = pa.array([LONG.encode(), b"\xff" + LONG.encode()]).view(pa.string())
    path = write_parquet(
        tmp_path / "a.parquet", {"id": ["x", "y"], "title": ["", ""], "text": values}
    )
    found = run(path, options=SMALL)
    assert found.code == 1
    assert "article a.parquet#1 (row 1) failed to read: not valid UTF-8" in found.err
    assert "1 articles failed, --max_errors is 0" in found.err
    assert found.manifest["counts"]["failed"] == 1
    assert found.lines("train.jsonl") or found.lines("val.jsonl")
    (error,) = found.lines("_pagecast/errors.jsonl")
    assert (error["kind"], error["row"], error["step"]) == ("article", 1, "read")
    allowed = run(path, options=f"{SMALL} --max_errors 1")
    assert allowed.code == 0


def test_only_the_first_of_many_errors_are_printed(run: RunCommand, tmp_path: Path) -> None:
    bad = pa.array([b"\xff"] * 12).view(pa.string())
    path = write_parquet(tmp_path / "a.parquet", {"title": ["t"] * 12, "text": bad})
    found = run(path, options=SMALL)
    assert found.code == 1
    assert found.err.count("failed to read") == 10
    assert "and 2 more" in found.err
    assert "12 articles failed, --max_errors is 0" in found.err
    assert len(found.lines("_pagecast/errors.jsonl")) == 12


def test_when_all_articles_fail_no_length_is_blamed(run: RunCommand, tmp_path: Path) -> None:
    bad = pa.array([b"\xff"] * 2).view(pa.string())
    path = write_parquet(tmp_path / "a.parquet", {"title": ["t"] * 2, "text": bad})
    found = run(path, options=SMALL)
    assert found.code == 1
    assert "warning: every article failed; the dataset is empty" in found.err
    assert "tokens or more" not in found.err


@pytest.mark.parametrize(
    ("kept", "failed", "rows", "why"),
    [
        (0, 0, 3, "no article has 2000 tokens or more"),
        (0, 0, 0, "no article has 2000 tokens or more"),
        (0, 1, 1, "every article failed"),
        (0, 1, 3, "1 of 3 articles failed, and of the other articles none has 2000 tokens or more"),
        (2, 1, 3, "no article that is kept has the 5000 tokens of a sample"),
    ],
)
def test_why_a_dataset_is_empty(kept: int, failed: int, rows: int, why: str) -> None:
    options = RunOptions(input=("a",), output_dir="o", context_tokens=4000)
    assert why_empty({"kept": kept, "failed": failed, "rows_read": rows}, options) == why


def test_nothing_kept_is_an_empty_but_valid_dataset(run: RunCommand, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", articles("short", None))
    found = run(path, options="--modes tiny")
    assert found.code == 0
    assert "no article has 2000 tokens or more; the dataset is empty" in found.err
    assert [(found.path / f"{n}.jsonl").read_bytes() for n in ("samples", "train", "val")] == (
        [b"", b"", b""]
    )
    assert found.manifest["counts"]["rows_read"] == 2


def test_parts_can_be_left_as_they_are(run: RunCommand, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", articles(LONG, LONG, LONG))
    merged = run(path, options=SMALL, into="merged")
    parts = run(path, options=f"{SMALL} --no_merge", into="parts")
    assert parts.code == 0
    assert sorted(p.name for p in parts.path.glob("*.jsonl")) == [
        "train-00000-of-00001.jsonl", "val-00000-of-00001.jsonl",
    ]  # fmt: skip
    for split in ("train", "val"):
        part = parts.path / f"{split}-00000-of-00001.jsonl"
        assert part.read_bytes() == (merged.path / f"{split}.jsonl").read_bytes()
    both = run(path, options=SMALL, into="parts")
    assert sorted(p.name for p in both.path.glob("*.jsonl")) == [
        "samples.jsonl", "train.jsonl", "val.jsonl",
    ]  # fmt: skip


@pytest.mark.parametrize("workers", [1, 2])
def test_a_disk_that_refuses_is_one_line_and_finished_shards_stay(
    tmp_path: Path, small_tokenizer: Path, workers: int
) -> None:
    path = write_parquet(tmp_path / "a.parquet", articles(LONG, LONG), group_rows=1)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "pipeline", "run", "--input", path, "--output_dir", out]
    command += [*SMALL.split(), "--workers", str(workers), "--no_report"]
    command += ["--tokenizer", small_tokenizer / "small"]
    subprocess.run(command, capture_output=True, check=True, cwd=tmp_path)
    (out / "_pagecast/shards/00001.json").unlink()
    shutil.rmtree(out / "images/tiny")
    (out / "images/tiny").write_text("no directory")
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert quiet(done.stderr) == (
        f"pagecast: error: FileExistsError: [Errno 17] File exists: '{out}/images/tiny' "
        "[while running 'MakeSamples/RenderPages']; finished shards are kept, and the same "
        f"command goes on from there; the whole trace is in {out}/_pagecast/failure.log\n"
    )
    assert "write_in_place" in (out / "_pagecast/failure.log").read_text()
    assert (out / "_pagecast/shards/00000.json").exists()
    assert not (out / "split_manifest.json").exists()
    (out / "images/tiny").unlink()
    again = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (again.returncode, quiet(again.stderr)) == (0, "")


class Server:
    """Takes note of what workers are said to need."""

    def __init__(self) -> None:
        self.asked: list[tuple[set[str], str | None]] = []

    def load(self, modules: Iterable[str], tokenizer: str | None, _: bool) -> None:
        self.asked.append((set(modules), tokenizer))


def test_workers_find_loaded_what_they_need_and_no_more(tmp_path: Path) -> None:
    options = RunOptions(input=("hf://datasets/a/b", "s3://c/d.parquet"), output_dir=str(tmp_path))
    job = graph.Job(options, str(tmp_path), "tokenizer.json", StyleSheet())
    server = Server()
    (tmp_path / "_pagecast" / "shards").mkdir(parents=True)
    for name in ("00000.jsonl", "00000.json"):
        (tmp_path / "_pagecast" / "shards" / name).touch()
    for shards in (2, 1):
        run_module._warm(server, job, options, shards)  # type: ignore[arg-type]
    modules = {"pagecast.storage.stores.hub", "pagecast.storage.stores.objects", "s3fs"}
    assert server.asked == [(modules, "tokenizer.json"), (modules, None)]
