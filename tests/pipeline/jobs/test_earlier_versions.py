"""A run that an earlier version began goes on, and what that finished is what this one would make.

The dataset in tests/data was written by commit d52a951, with the options below. Its tokenizer and
font are left out, as large as they are.
"""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pytest

from pagecast.dataset.layout import CONFIG, MANIFEST
from pagecast.dataset.versions import versions
from pipeline.__main__ import main
from tests.conftest import SAMPLE, Outcome, RunCommand, tree

EARLIER = Path(__file__).parents[2] / "data/begun_by_0.1.0.tar.xz"
OPTIONS = (
    "--modes tiny --num_articles 3 --shard_rows 1 --min_tokens 100 --context_tokens 800 "
    "--continuation_tokens 200 --max_samples 10 --val_size 2 --filtered --arrow"
)
# What names the place of the input, and what is not kept of the earlier run.
ELSEWHERE = {"plan.jsonl", "options.yaml", "lock", "assets"}


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """The earlier dataset, by the versions of libraries that are here: they decide bytes too."""
    with tarfile.open(EARLIER) as archive:
        archive.extractall(tmp_path, filter="data")
    for path in (tmp_path / "out/_pagecast" / CONFIG, tmp_path / "out" / MANIFEST):
        record = json.loads(path.read_bytes())
        record["versions"] = {name: versions()[name] for name in record["versions"]}
        path.write_text(json.dumps(record, indent=2) + "\n")
    return tmp_path / "out"


def private(out: Path) -> dict[str, object]:
    """Return the private files; of receipts all but where the input is and the hash."""
    found: dict[str, object] = {}
    for path in (out / "_pagecast").rglob("*"):
        if path.is_dir() or ELSEWHERE & set(path.parts):
            continue
        found[str(path.relative_to(out))] = path.read_bytes()
        if path.match("shards/*.json"):
            receipt = json.loads(path.read_bytes())
            receipt["shard"]["path"] = receipt["sha256"] = ""
            found[str(path.relative_to(out))] = json.dumps(receipt)  # also the order of the fields
    return found


def go_on(earlier: Path, run: RunCommand, capfd: pytest.CaptureFixture[str]) -> None:
    done = run(SAMPLE, options=OPTIONS, into=earlier.name)
    assert (done.code, done.err) == (0, "")
    fresh: Outcome = run(SAMPLE, options=OPTIONS, into="fresh")
    assert tree(earlier) == tree(fresh.path)
    assert private(earlier) == private(fresh.path)
    assert main(["verify", "--output_dir", str(earlier), "--redraw", "--workers", "1"]) == 0
    assert capfd.readouterr().out == "checked 3 shards, 11 samples, 11 images, 5 files: no faults\n"


def test_what_is_finished_stays_as_it_is(
    earlier: Path, run: RunCommand, capfd: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in (earlier / "_pagecast/shards").iterdir()}
    go_on(earlier, run, capfd)
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_what_was_begun_goes_on(
    earlier: Path, run: RunCommand, capfd: pytest.CaptureFixture[str]
) -> None:
    """It was killed in its last shard, some of whose images are there."""
    shards = earlier / "_pagecast/shards"
    kept = {path: path.stat().st_mtime_ns for path in shards.glob("0000[01]*")}
    for path in (
        *earlier.glob("*.json*"),
        *earlier.glob("_pagecast/filtered.json"),
        *shards.glob("00002*"),
        *earlier.glob("images/tiny/sample_000002_chunk_[345]*"),
    ):
        path.unlink()  # fmt: skip
    for path in (earlier / "train_arrow", earlier / "val_arrow", earlier / "_pagecast/parts"):
        shutil.rmtree(path)
    go_on(earlier, run, capfd)
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
