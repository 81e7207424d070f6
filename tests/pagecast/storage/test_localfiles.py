"""Links, second names and pipes where files are expected."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pagecast import storage
from pagecast.storage import local
from pipeline.__main__ import main
from pipeline.launch.output import lock
from pipeline.launch.output.directory import check, claim
from pipeline.options import UsageError
from tests.conftest import RunCommand, articles, tree, write_parquet
from tests.pipeline.launch.test_output import CONFIG, filled
from tests.support.stores import LONG
from transforms.finish import merge
from transforms.render import pages

SMALL = "--min_tokens 8 --context_tokens 4 --continuation_tokens 4 --modes tiny --shard_rows 1"


@pytest.mark.parametrize("make", [os.symlink, os.link])
def test_a_file_written_in_place_leaves_what_its_name_led_to(
    tmp_path: Path, make: Callable[[Path, Path], None]
) -> None:
    foreign, ours = tmp_path / "foreign.png", tmp_path / "ours.png"
    foreign.write_bytes(b"foreign")
    make(foreign, ours)
    storage.write_in_place(str(ours), b"page")
    assert (foreign.read_bytes(), ours.read_bytes()) == (b"foreign", b"page")
    assert not ours.is_symlink()


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (str(pipe), str(link), "/dev/zero", "/dev/null"):
        with pytest.raises(OSError, match=f"{path} is a pipe, a socket or a device"):
            storage.read_bytes(path)
    with pytest.raises(OSError, match="is a pipe"):
        storage.write_in_place(str(pipe), b"page")
    assert pipe.is_fifo()


@pytest.mark.parametrize(
    "name", ["images", "images/tiny", "_pagecast/shards", "_pagecast", "train_arrow", "train.jsonl"]
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_linked_directory_is_refused_and_nothing_touched(
    tmp_path: Path, name: str, overwrite: bool
) -> None:
    out, foreign = tmp_path / "out", tmp_path / "foreign"
    foreign.mkdir()
    if name != "_pagecast":
        filled(out, ["images/base/00000.tar"] if name != "images" else [])
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    (out / name).symlink_to(foreign)
    with pytest.raises(UsageError, match=f"{out / name} is a link"):
        check(str(out), overwrite)
    assert not list(foreign.iterdir())


def test_the_output_directory_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real")
    check(str(tmp_path / "out"), overwrite=False)
    claim(str(tmp_path / "out"), CONFIG, overwrite=False)
    assert (tmp_path / "real/_pagecast/config.json").exists()


@pytest.mark.parametrize(
    ("make", "phrase"),
    [
        (lambda foreign, path: path.symlink_to(foreign), "is a link"),
        (lambda foreign, path: path.hardlink_to(foreign), "another file's second name"),
        (lambda _, path: os.mkfifo(path), "is a pipe"),
    ],
)
def test_the_lock_is_a_file_of_its_own(
    tmp_path: Path, make: Callable[[Path, Path], None], phrase: str
) -> None:
    foreign = tmp_path / "foreign"
    foreign.write_bytes(b"foreign")
    (tmp_path / "out/_pagecast").mkdir(parents=True)
    make(foreign, tmp_path / "out/_pagecast/lock")
    with pytest.raises(UsageError, match=phrase), lock.hold(str(tmp_path / "out")):
        pass
    assert foreign.read_bytes() == b"foreign"


def test_a_directory_is_told_from_a_file(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        local.open_read(str(tmp_path))


def swap(directory: Path, foreign: Path) -> None:
    """Move a directory away and link to somebody's in its place, which has files of these names."""
    shutil.copytree(directory.rename(directory.with_name("moved")), foreign, dirs_exist_ok=True)
    for path in foreign.rglob("*.*"):
        path.write_bytes(b"foreign")
    directory.symlink_to(foreign)


@pytest.mark.parametrize(
    "work",
    [
        lambda path, _: storage.write_in_place(path, b"new"),
        lambda path, _: storage.commit(path, [b"new"]),
        lambda path, _: storage.remove([path]),
        lambda _, writer: writer.commit(),
        lambda _, writer: writer.abandon(),
        lambda path, _: local.open_kept(path),
    ],
)
@pytest.mark.parametrize("linked", ["images/tiny", "images"])
def test_nothing_is_done_through_a_directory_that_has_become_a_link(
    tmp_path: Path, linked: str, work: Callable[[str, storage.Writer], None]
) -> None:
    out, foreign = tmp_path / "out", tmp_path / "foreign"
    (out / "images/tiny").mkdir(parents=True)
    path = out / "images/tiny/a.png"
    path.write_bytes(b"a")
    storage.protect(str(out))
    writer = storage.Writer(str(path.with_name("b.png")))
    swap(out / linked, foreign)
    before = tree(foreign)
    with pytest.raises(local.LinkError, match=f"{out / linked} is a link"):
        work(str(path), writer)
    assert tree(foreign) == before


def test_what_is_above_a_protected_directory_may_be_linked(tmp_path: Path) -> None:
    (tmp_path / "real/out").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "out").symlink_to(tmp_path / "real/out")
    for top in (tmp_path / "link/out", tmp_path / "out"):
        storage.protect(str(top))
        storage.write_in_place(str(top / "images/tiny/a.png"), b"a")
        storage.remove([str(top / "images/tiny/a.png")])
    assert tree(tmp_path / "real") == {}


@pytest.mark.parametrize("what", [os.mkfifo, os.mkdir])
def test_no_file_takes_the_place_of_a_pipe_or_a_directory(
    tmp_path: Path, what: Callable[[Path], None]
) -> None:
    what(tmp_path / "a.json")
    with pytest.raises(OSError, match=str(tmp_path / "a.json")):
        storage.commit(str(tmp_path / "a.json"), [b"{}"])
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize(
    ("name", "owner", "call", "form"),
    [
        ("images/tiny", pages, "encode_png", ""),
        ("images/tiny", pages, "encode_png", "--image_shards"),
        ("_pagecast/shards", storage, "flush", ""),
        ("_pagecast/parts", merge, "_merge_parts", ""),
        ("train_arrow", merge.arrow, "commit_description", ""),
    ],
)
def test_a_directory_that_becomes_a_link_stops_the_run(
    run: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_tokenizer: Path,
    name: str, owner: ModuleType, call: str, form: str,
) -> None:  # fmt: skip
    source = write_parquet(tmp_path / "in.parquet", articles(*[LONG] * 2))
    options = f"{SMALL} --tokenizer {small_tokenizer}/small --arrow {form}"
    original, calls = getattr(owner, call), count(1)

    def swapping(*args: Any) -> Any:
        if next(calls) == 2:
            swap(tmp_path / "out" / name, tmp_path / "foreign")
        return original(*args)

    monkeypatch.setattr(owner, call, swapping)
    done = run(source, options=options)
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1), done
    assert f"{done.path / name} is a link: nothing is written or removed" in done.err
    assert {path.read_bytes() for path in (tmp_path / "foreign").rglob("*.*")} == {b"foreign"}
    (done.path / name).unlink()
    (done.path / name).with_name("moved").rename(done.path / name)
    assert run(source, options=options).code == 0
    assert main(["verify", "--output_dir", str(done.path), "--workers", "1"]) == 0
