"""What could not be read is replaced or left out, and the same command goes on."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.replaced import unchanged
from tests.bad import LONG, flipped
from tests.conftest import Outcome, RunCommand, articles, tree, write_parquet

SMALL = "--min_tokens 50 --context_tokens 25 --continuation_tokens 25 --modes tiny"
Change = Callable[[Path], object]


def texts(letter: str, count: int) -> dict[str, list[str | None]]:
    found = articles(*(f"{letter}{n} {LONG}" for n in range(count)))
    return {**found, "id": [f"{letter}{n}" for n in range(count)]}


def make(at: Path, letter: str, rows: int, group_rows: int = 1) -> Path:
    return write_parquet(at / f"{letter}.parquet", texts(letter, rows), group_rows)


def cut(at: Path) -> None:
    """Three files, of which the second has no footer."""
    for letter in "abc":
        make(at, letter, 2)
    (at / "b.parquet").write_bytes((at / "b.parquet").read_bytes()[:-20])


def damaged(at: Path) -> None:
    """Three files; in the second one of two row groups cannot be read."""
    cut(at)
    path = make(at, "b", 2)
    path.write_bytes(flipped(0xFF)(path.read_bytes()))


def no_text(at: Path) -> None:
    cut(at)
    write_parquet(at / "b.parquet", {"title": ["t"] * 3, "id": ["i"] * 3})


def replaced(rows: int) -> Change:
    return lambda at: make(at, "b", rows)


def left_out(at: Path) -> None:
    (at / "b.parquet").unlink()


def under_another_name(at: Path) -> None:
    left_out(at)
    shutil.move(make(at / "new", "x", 3), at / "bb.parquet")


def receipts(out: Path) -> dict[str, tuple[int, int]]:
    """Return which file each receipt is, by its time too: inode numbers are used again."""
    found = {p.name: os.stat(p) for p in (out / "_pagecast/shards").glob("*.json")}
    return {name: (status.st_ino, status.st_mtime_ns) for name, status in found.items()}


def fresh_equals(run: RunCommand, at: Path, found: Outcome, options: str) -> None:
    """Assert that a dataset is the one that a run into a new directory gives, and faultless."""
    assert found.code == 0, found.err
    assert run(at, options=options, into="fresh").code == 0
    assert tree(found.path) == tree(found.path.parent / "fresh")
    assert main(["verify", "--output_dir", str(found.path), "--workers", "1"]) == 0


@pytest.mark.parametrize(
    ("bad", "change", "stay", "form"),
    [
        (cut, replaced(2), 2, ""),
        (cut, left_out, 4, ""),  # it had no rows
        (cut, under_another_name, 2, ""),
        (damaged, replaced(2), 5, ""),  # of the same size: only what failed is tried again
        (damaged, replaced(3), 2, ""),
        (damaged, left_out, 2, ""),
        (damaged, left_out, 2, "--image_shards"),
        (damaged, left_out, 2, "--no_images --filtered"),
        (no_text, replaced(5), 2, "--image_shards"),
        (no_text, left_out, 2, ""),
    ],
)
def test_the_same_command_goes_on(
    run: RunCommand, tmp_path: Path, bad: Change, change: Change, stay: int, form: str
) -> None:
    at = tmp_path / "in"
    at.mkdir()
    bad(at)
    options = f"{SMALL} {form}"
    assert "replace or leave out what could not be read" in run(at, options=options).err
    before = receipts(tmp_path / "out")
    change(at)
    again = run(at, options=options)
    after = receipts(tmp_path / "out")
    fresh_equals(run, at, again, options)
    assert len(before.items() & after.items()) == stay


def test_one_that_fails_may_follow_another_and_a_stopped_run_forgets_nothing(
    run: RunCommand, tmp_path: Path
) -> None:
    at = tmp_path / "in"
    at.mkdir()
    damaged(at)
    assert run(at, options=SMALL).code == 1
    no_text(at)
    assert "it has no column 'text'" in run(at, options=SMALL).err
    (tmp_path / "out/_pagecast/errors.jsonl").unlink()  # as a stopped run leaves it
    left_out(at)
    fresh_equals(run, at, run(at, options=SMALL), SMALL)


def test_the_directory_in_common_may_change(run: RunCommand, tmp_path: Path) -> None:
    for name in ("in/x", "in/y", "new"):
        (tmp_path / name).mkdir(parents=True)
    files = [make(tmp_path / "in/x", letter, 2) for letter in "ab"]
    bad = tmp_path / "in/y/bad.parquet"
    bad.write_bytes(b"PAR1")
    assert run(*files, bad, options=SMALL).code == 1
    before = receipts(tmp_path / "out")
    found = run(*files, make(tmp_path / "new", "bad", 1), options=SMALL)
    assert found.code == 0, found.err
    assert before.items() < receipts(tmp_path / "out").items()
    assert [file["path"] for file in found.manifest["inputs"]] == [
        "in/x/a.parquet", "in/x/b.parquet", "new/bad.parquet",
    ]  # fmt: skip


def test_what_did_not_fail_stays_as_it_was(run: RunCommand, tmp_path: Path) -> None:
    at = tmp_path / "in"
    at.mkdir()
    cut(at)
    assert run(at, options=SMALL).code == 1
    before = tree(tmp_path / "out/_pagecast")
    left_out(at)
    make(at, "c", 3)
    found = run(at, options=SMALL)
    assert found.code == 2
    assert "input c.parquet was" in found.err
    assert tree(tmp_path / "out/_pagecast") == before


def inputs(*files: str) -> dict[str, object]:
    return {"inputs": [{"path": f, "bytes": len(f.split("/")[-1]), "rows": 1} for f in files]}


@pytest.mark.parametrize(
    ("old", "failed", "new", "same"),
    [
        ("x/a x/b y/c", "y/c", "a b", {"a": "x/a", "b": "x/b"}),
        ("a b c", "c", "d/a d/b e/c", {"d/a": "a", "d/b": "b"}),
        ("a bb", "bb", "a", {"a": "a"}),
        ("x/a y/bb z/c", "y/bb", "x/a z/c", {"x/a": "x/a", "z/c": "z/c"}),
        ("a bb", "a bb", "c", {}),
        ("a bb", "bb", "bb", None),  # it was not the one that failed that was left out
        ("a bb", "bb", "a c dd", None),  # one cannot be replaced by two
        ("a bb", "", "a", None),
    ],
)
def test_names_are_of_the_directory_that_files_have_in_common(
    tmp_path: Path, old: str, failed: str, new: str, same: dict[str, str] | None
) -> None:
    private = tmp_path / "_pagecast"
    private.mkdir()
    lines = [
        json.dumps({"failed": {"path": f"/data/{name}", "where": "", "reason": ""}}) + "\n"
        for name in failed.split()
    ]
    (private / "plan.jsonl").write_text("".join(lines))
    before = {**inputs(*old.split()), "failed_inputs": failed.split()}
    assert unchanged(str(tmp_path), before, inputs(*new.split())) == same
