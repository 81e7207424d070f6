"""What goes through Beam's file systems, of which the local one needs no store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from transforms import beamfiles, storage


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory that is taken for one of a store."""
    monkeypatch.setattr(storage, "is_local", lambda path: False)
    return tmp_path


def test_files_are_written_whole_listed_read_and_removed(directory: Path) -> None:
    path = str(directory / "file")
    storage.commit(path, [b"old"])
    storage.commit(path, [b"one\n", b"two"])
    assert storage.size_of(path) == 7
    with storage.open_read(path) as file:
        assert list(file) == [b"one\n", b"two"]
    with storage.RangeReader() as reader:
        assert reader.read(path, 4, 2) == b"tw"
    assert list(storage.files_in(str(directory))) == [path]
    ((name, version),) = storage.versions_in(str(directory))
    assert (name, version[0]) == ("file", 7)
    storage.remove([path, str(directory / "missing")])
    assert not storage.exists(path)


def test_what_is_given_up_leaves_what_was_there(directory: Path) -> None:
    path = str(directory / "file")
    storage.commit(path, [b"old"])

    def broken() -> Iterator[bytes]:
        yield b"new"
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        storage.commit(path, broken())
    assert storage.read_bytes(path) == b"old"
    assert [file.name for file in directory.iterdir()] == ["file"]


def test_trouble_is_named(directory: Path) -> None:
    with pytest.raises(FileNotFoundError):
        storage.read_bytes(str(directory / "missing"))
    with pytest.raises(ConnectionError, match=r"^nowhere://a: "):
        beamfiles.exists("nowhere://a")
