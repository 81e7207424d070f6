"""Links, second names and pipes where files are expected."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import lock
from pipeline.options import UsageError
from pipeline.output import check, claim
from tests.test_output import CONFIG, filled
from transforms import localfiles, storage


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
        localfiles.open_read(str(tmp_path))
