import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.estimate.disk import Disk, disk_of, used_by


def statvfs(**changes: int) -> Any:
    fields = {"f_frsize": 4096, "f_bsize": 65536, "f_blocks": 10, "f_bavail": 5, "f_files": 9,
              "f_favail": 7}  # fmt: skip
    return lambda path: SimpleNamespace(**{**fields, **changes})


def test_the_disk_is_that_of_the_nearest_directory_there_is(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "file").write_text("x")
    for path, above in {"a": "a", "a/b/c": "a", "file/d": "", "x": ""}.items():
        found = disk_of(str(tmp_path / path))
        assert found is not None
        assert found.path == str(tmp_path / above)
        real = os.statvfs(tmp_path)
        assert found.block == real.f_frsize
        assert found.free is not None and 0 < found.free <= real.f_blocks * real.f_frsize


@pytest.mark.parametrize(
    ("changes", "disk"),
    [
        ({}, (20_480, 7, 4096)),
        ({"f_frsize": 0}, (5 * 65536, 7, 65536)),
        ({"f_files": 0, "f_favail": 0}, (20_480, None, 4096)),  # Btrfs makes them as needed
        ({"f_blocks": 0, "f_bavail": 0}, (None, 7, 4096)),
        ({"f_bavail": 0}, (0, 7, 4096)),
    ],
)
def test_a_limit_that_is_not_there_is_none(
    changes: dict[str, int], disk: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "statvfs", statvfs(**changes))
    assert disk_of(str(tmp_path)) == Disk(str(tmp_path), *disk)


def test_a_disk_that_does_not_answer_is_unknown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(path: str) -> None:
        raise OSError("stale handle")

    monkeypatch.setattr(os, "statvfs", fail)
    assert disk_of(str(tmp_path)) is None


def test_what_is_used_is_counted_in_blocks(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for name, size in (("a", 1), ("b", 4096), ("below/c", 4097), ("below/empty", 0)):
        (tmp_path / name).write_bytes(bytes(size))
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")  # a link has a size of its own
    assert used_by(str(tmp_path), 4096) == (4 * 4096 + 4096, 5)
