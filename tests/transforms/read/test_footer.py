"""The footer of a parquet file is read once a process, and must be the one of the plan."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow.parquet as pq
import pytest

from pagecast.dataset.shard import Failure, Shard, plan_line, read_plan
from pipeline.launch.inputs import plan_shards, read_footer
from tests.conftest import articles, write_parquet
from transforms.read import footer
from transforms.read.articles import ReadArticles, read_articles


def planned(path: Path) -> list[Shard]:
    shards = [*plan_shards([read_footer(str(path))], 256, None)]
    assert all(isinstance(shard, Shard) and shard.footer_sha256 for shard in shards)
    return shards  # type: ignore[return-value]


def test_once_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards = planned(write_parquet(tmp_path / "a.parquet", articles(*"abcdef"), group_rows=2))
    fetched = []

    def fetch(file: BinaryIO) -> tuple[int, bytes]:
        fetched.append(file.name)
        return before(file)

    before = footer.fetch
    monkeypatch.setattr(footer, "fetch", fetch)
    texts = [a.text for shard in shards for a in read_articles(shard).articles]
    assert (texts, fetched) == ([*"abcdef"], [str(tmp_path / "a.parquet")])


def test_a_file_that_changed_under_the_run_fails_by_name(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", articles("a", "b"), group_rows=1)
    status = path.stat()
    first, second = planned(path)
    read_articles(first)
    write_parquet(path, articles("c", "d"), group_rows=1)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    (failure,) = ReadArticles().process(second)
    assert isinstance(failure.value, Failure)
    assert failure.value.path == str(path)
    assert failure.value.reason.startswith("it changed while the run was going on: its footer is ")
    unknown = second._replace(footer_sha256=None)
    assert [a.text for a in read_articles(unknown).articles] == ["d"]


def test_a_plan_without_hashes_is_read_and_is_of_the_same_rows(tmp_path: Path) -> None:
    shard = Shard(3, "a.parquet", 1, 256, 256, 1280, None, "00")
    old = (
        b'{"shard": {"number": 3, "path": "a.parquet", "row_group": 1, "start": 256, "rows": 256, '
    )
    (tmp_path / "plan").write_bytes(old + b'"first_row": 1280}}\n' + plan_line(shard))
    before, now = read_plan(str(tmp_path / "plan"))
    assert isinstance(before, Shard) and isinstance(now, Shard)
    assert now == shard
    assert before.footer_sha256 is None
    assert before.has_rows_of(now) and now.has_rows_of(before)
    assert not now.has_rows_of(now._replace(footer_sha256="11"))
    assert now.has_rows_of(now._replace(path="b/a.parquet"))


def test_few_footers_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footer, "KEPT_BYTES", 1)
    found = footer.Footers()
    for name in "ab":
        path = write_parquet(tmp_path / f"{name}.parquet", articles("x"))
        with path.open("rb") as file:
            assert found.get(str(path), file, None) is found.get(str(path), file, None)
    assert len(found._found) == 1


def test_a_footer_makes_room_before_it_is_made_sense_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of the largest at a time would be more than a worker may take."""
    monkeypatch.setattr(footer, "KEPT_BYTES", 1)
    found, kept = footer.Footers(), []
    parse = pq.read_metadata

    def counted(source: Any) -> pq.FileMetaData:
        kept.append(len(found._found))
        return parse(source)

    monkeypatch.setattr(pq, "read_metadata", counted)
    for name in "ab":
        path = write_parquet(tmp_path / f"{name}.parquet", articles("x"))
        with path.open("rb") as file:
            found.get(str(path), file, None)
    assert kept == [0, 0]
