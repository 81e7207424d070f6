"""What could not be read is replaced or left out, and the same command goes on."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.launch import prepare
from pipeline.launch.output.replaced import unchanged
from tests.conftest import Outcome, RunCommand, articles, tree, write_parquet
from tests.support.bad import LONG, flipped
from tests.support.hub import FakeHub

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


_fresh: dict[object, dict[str, bytes]] = {}


def fresh(run: RunCommand, at: Path, options: str, inputs: str = "") -> dict[str, bytes]:
    """Return what a run of a directory into a new one gives, which its files and options decide."""
    key = options, bool(inputs), tuple(tree(at).items())
    if key not in _fresh:
        found = run(inputs or at, options=options, into="fresh")
        assert found.code == 0, found.err
        _fresh[key] = tree(found.path)
    return _fresh[key]


def fresh_equals(run: RunCommand, at: Path, found: Outcome, options: str) -> None:
    """Assert that a dataset is the one that a run into a new directory gives, and faultless."""
    assert found.code == 0, found.err
    assert tree(found.path) == fresh(run, at, options)
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


@pytest.mark.parametrize("form", ["", "--image_shards"])
def test_no_page_of_a_shard_that_was_only_begun_stays_and_all_that_is_foreign_does(
    run: RunCommand, tmp_path: Path, form: str
) -> None:
    at, out, options = tmp_path / "in", tmp_path / "out", f"{SMALL} {form}"
    at.mkdir()
    damaged(at)
    assert run(at, options=options).code == 1
    for path in (out / "_pagecast/shards").glob("*.json*"):
        path.unlink()  # as if the run had been killed before these receipts
    foreign = [
        "images/tiny/sample_000001_chunk_0.png.bak", "images/tiny/cat.png",
        "images/mine/sample_000003_chunk_0.png", "images/mine/00003.tar",
        "images/tiny/sample_000999_chunk_0.png", "_pagecast/notes.txt",
    ]  # fmt: skip
    for name in foreign:
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("mine")
    left_out(at)
    assert run(at, options=options).code == 0
    for name in foreign:
        assert (out / name).read_text() == "mine"
        (out / name).unlink()
    assert tree(out) == fresh(run, at, options)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (left_out, replaced(2)),
        (under_another_name, lambda at: (at / "bb.parquet").unlink()),
        (under_another_name, lambda at: (at / "bb.parquet").rename(at / "b.parquet")),
        (replaced(3), left_out),
        (None, left_out),  # the very first run is stopped there
        (None, under_another_name),
    ],
)
def test_a_stop_before_the_plan_is_written_forbids_no_other_change(
    run: RunCommand,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    first: Change | None,
    second: Change,
) -> None:
    at, options = tmp_path / "in", f"{SMALL} --no_images"
    at.mkdir()
    damaged(at) if first else cut(at)
    if first:
        assert run(at, options=options).code == 1
        first(at)
    with monkeypatch.context() as patch:
        patch.setattr(prepare, "write_plan", stop)
        assert run(at, options=options).code == 130
    second(at)
    found = run(at, options=options)
    assert found.code == 0, found.err
    assert tree(found.path) == fresh(run, at, options)


def stop(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("which", "change"),
    [
        ("a.parquet", "replace"),
        ("a.parquet", "leave out"),
        ("c.parquet", "rename"),
        ("only.parquet", "replace"),
        ("only.parquet", "leave out"),
        ("b.jsonl", "replace"),
    ],
)
def test_whichever_file_it_is(run: RunCommand, tmp_path: Path, which: str, change: str) -> None:
    at, options = tmp_path / "in", f"{SMALL} --no_images"
    at.mkdir()
    for letter in "abc" if which != "only.parquet" else "":
        make(at, letter, 2)
    (at / which).unlink(missing_ok=True)
    (at / which).symlink_to("gone")
    assert "which is not there" in run(f"{at}/*", options=options).err
    (at / which).unlink()
    if change != "leave out":
        make(tmp_path, "good", 3).rename(at / ("d.parquet" if change == "rename" else which))
    if which == "b.jsonl" and change == "replace":
        assert run(at / "a.parquet", options=f"{options} --filtered", into="other").code == 0
        shutil.copy(tmp_path / "other/filtered.jsonl", at / which)
    found = run(f"{at}/*", options=options)
    if (which, change) == ("only.parquet", "leave out"):
        assert (found.code, "no parquet file there" in found.err) == (2, True)
        return
    assert found.code == 0, found.err
    assert tree(found.path) == fresh(run, at, options, f"{at}/*")


def test_a_file_on_the_hub_is_replaced_by_another_commit(
    run: RunCommand, tmp_path: Path, hub: FakeHub
) -> None:
    cut(tmp_path)
    files = {f"d/{n}.parquet": (tmp_path / f"{n}.parquet").read_bytes() for n in "abc"}
    hub.push("o/n", files)
    options = f"{SMALL} --no_images"
    assert run("hf://datasets/o/n", options=options).code == 1
    before = receipts(tmp_path / "out")
    commit = hub.push("o/n", {**files, "d/b.parquet": make(tmp_path, "b", 2).read_bytes()})
    found = run("hf://datasets/o/n", options=options)
    assert found.code == 0, found.err
    assert found.manifest["source"] == [{"repo": "o/n", "commit": commit}]
    assert len(before.items() & receipts(tmp_path / "out").items()) == 2
    hub.push("o/n", {**files, "d/b.parquet": make(tmp_path, "b", 3).read_bytes()})
    assert "commit of o/n was" in run("hf://datasets/o/n", options=options).err


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
