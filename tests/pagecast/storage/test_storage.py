import hashlib
from pathlib import Path

import pytest

from pagecast import storage


def broken_pieces():
    yield b"half"
    raise RuntimeError("no more")


def test_commit_replaces_and_counts(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    assert storage.commit(str(path), [b"old"]) == 3
    assert storage.commit(str(path), [b"new", b"er"]) == 5
    assert path.read_bytes() == b"newer"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_commit_leaves_nothing_of_a_failed_write(tmp_path: Path) -> None:
    path = tmp_path / "out[1]" / "file"
    storage.commit(str(path), [b"whole"])
    with pytest.raises(RuntimeError, match="no more"):
        storage.commit(str(path), broken_pieces())
    assert path.read_bytes() == b"whole"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_what_nobody_may_look_at_does_not_count_as_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    assert not storage.exists(str(tmp_path / "file"))
    assert not storage.exists(str(tmp_path / ("x" * 1000)))
    monkeypatch.setattr("pagecast.storage.read.os.stat", refuse)
    with pytest.raises(PermissionError):
        storage.exists(str(tmp_path / "file"))


def test_a_file_that_is_replaced_has_another_version(tmp_path: Path) -> None:
    storage.commit(str(tmp_path / "a"), [b"one"])
    storage.commit(str(tmp_path / "b"), [b"one"])
    before = dict(storage.versions_in(str(tmp_path)))
    assert dict(storage.versions_in(str(tmp_path))) == before
    storage.commit(str(tmp_path / "a"), [b"one"])
    after = dict(storage.versions_in(str(tmp_path)))
    assert after.keys() == before.keys() == {"a", "b"}
    assert after["a"] != before["a"]
    assert after["b"] == before["b"]
    assert list(storage.versions_in(str(tmp_path / "missing"))) == []


def test_uncommitted_files_are_recognizable(tmp_path: Path) -> None:
    seen = []

    def pieces():
        yield b"x"
        seen.extend(p.name for p in tmp_path.iterdir())

    storage.commit(str(tmp_path / "file"), pieces())
    assert len(seen) == 1
    assert storage.TEMPORARY in seen[0]


def test_pieces_of_a_file_or_of_a_range_of_it(tmp_path: Path) -> None:
    big = bytes(range(256)) * 10_000
    path = str(tmp_path / "a")
    Path(path).write_bytes(big)
    assert b"".join(storage.read_pieces(path)) == big
    assert max(map(len, storage.read_pieces(path))) <= 1 << 20
    assert b"".join(storage.read_pieces(path, 100, 2_000_000)) == big[100:2_000_100]
    assert storage.size_of(path) == len(big)
    assert storage.sha256_of(path) == hashlib.sha256(big).hexdigest()
    assert storage.sha256_of(path, 5, 7) == hashlib.sha256(big[5:12]).hexdigest()
    for offset, size in ((len(big) - 3, 4), (len(big) + 1, 1), (0, len(big) + 1)):
        with pytest.raises(OSError, match="ends 1 bytes early"):
            storage.sha256_of(path, offset, size)


def test_an_abandoned_file_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    writer = storage.Writer(str(path))
    writer.write(b"new")
    assert writer.size == 3
    writer.abandon()
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"old"]


def test_remove_takes_names_literally_and_ignores_missing_files(tmp_path: Path) -> None:
    for name in ("a[1]", "a1", "star*"):
        (tmp_path / name).write_bytes(b"")
    storage.remove(str(tmp_path / name) for name in ("a[1]", "star*", "missing"))
    assert [p.name for p in tmp_path.iterdir()] == ["a1"]


def test_range_reader_reads_ranges_of_more_files_than_it_keeps_open(tmp_path: Path) -> None:
    for n in range(5):
        (tmp_path / str(n)).write_bytes(b"0123456789" + bytes([n]))
    with storage.RangeReader(most_open=2) as reader:
        for n in (0, 1, 2, 3, 4, 0, 3):
            assert reader.read(str(tmp_path / str(n)), 8, 3) == b"89" + bytes([n])
        assert len(reader._open) == 2
    assert not reader._open


def test_range_reader_refuses_a_short_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"0123")
    with storage.RangeReader() as reader, pytest.raises(OSError, match="ends at byte 4, not 6"):
        reader.read(str(tmp_path / "f"), 2, 4)


@pytest.mark.parametrize(
    ("path", "local"), [("/a/b", True), ("a", True), ("s3://b/k", False), ("gs://b/k", False)]
)
def test_is_local(path: str, local: bool) -> None:
    assert storage.is_local(path) is local
