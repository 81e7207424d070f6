"""Objects of S3: large ones, broken and lost answers, odd names, and which of them are input."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pipeline import plan
from pipeline.ledger import State
from pipeline.watch import Look
from tests import test_ledger
from tests.conftest import articles, write_parquet
from tests.s3 import Store, store
from transforms import s3, storage
from transforms.outputs import PLAN
from transforms.planfile import plan_line

__all__ = ["store"]  # a fixture


def test_a_large_object_is_sent_in_parts_whose_answers_may_be_lost(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "PART_BYTES", 5 << 20)  # S3 takes no smaller ones
    content = bytes(range(256)) * (12 << 12)
    store.requests[:] = [("", "")]  # so that the last request is carried out and not answered
    store.fail_every = 2
    storage.commit("s3://bucket/large", [content[:7], content[7:]])
    store.fail_every = None
    assert storage.read_bytes("s3://bucket/large") == content
    with storage.RangeReader() as reader:
        assert reader.read("s3://bucket/large", 7 << 20, 300) == content[7 << 20 :][:300]
        with pytest.raises(OSError, match=f"ends at byte {len(content)}, not {len(content) + 1}"):
            reader.read("s3://bucket/large", len(content) - 4, 5)


def test_an_upload_whose_end_is_confirmed_too_late_is_looked_for(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "PART_BYTES", 5 << 20)
    upload = s3.Upload("s3://bucket/large")
    upload.write(bytes(6 << 20))
    upload.commit()

    def gone(**_: Any) -> None:  # as S3 says it; moto does not know what to say
        answer = {"Error": {"Code": "NoSuchUpload"}, "ResponseMetadata": {"HTTPStatusCode": 404}}
        raise ClientError(answer, "CompleteMultipartUpload")

    monkeypatch.setattr(s3._client(), "complete_multipart_upload", gone)
    upload.commit()
    upload._size += 1
    with pytest.raises(FileNotFoundError, match="s3://bucket/large"):
        upload.commit()


def test_answers_that_break_off_are_fetched_again(store: Store) -> None:
    storage.commit("s3://bucket/a", [b"0123456789"])
    store.cut = 4
    assert storage.read_bytes("s3://bucket/a") == b"0123456789"
    store.cut = 5
    with pytest.raises(ConnectionError, match="s3://bucket/a: "):
        storage.read_bytes("s3://bucket/a")


def test_an_object_that_is_given_up_never_appears(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "PART_BYTES", 5 << 20)
    storage.commit("s3://bucket/a", [b"old"])

    def broken() -> Iterator[bytes]:
        yield bytes(6 << 20)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        storage.commit("s3://bucket/a", broken())
    assert storage.read_bytes("s3://bucket/a") == b"old"
    assert "Uploads" not in store.client.list_multipart_uploads(Bucket="bucket")


def test_progress_is_seen_in_a_store_and_each_receipt_fetched_once(store: Store) -> None:
    private = "s3://bucket/out/_pagecast"
    storage.commit(f"{private}/{PLAN}", map(plan_line, test_ledger.PLAN))
    look = Look("s3://bucket/out", test_ledger.MODES)
    assert [state.shards for state in look.states()] == [0]
    for number in range(2):
        path = f"{private}/shards/{number:05d}.json"
        storage.commit(path, [test_ledger.receipt(number, 4)])
    assert list(look.states())[-1] == State(2, 3, 8, 16, 1680, 1, 2, 8)
    store.requests.clear()
    storage.commit(f"{private}/shards/00000.json", [test_ledger.receipt(0, 5)])
    assert list(look.states())[-1] == State(2, 3, 9, 18, 1890, 1, 2, 9)
    assert [path for method, path in store.requests if method == "GET"] == [
        "/bucket", "/bucket/out/_pagecast/shards/00000.json",
    ]  # fmt: skip


def test_a_store_that_fails_costs_a_look_and_nothing_else(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    storage.commit(f"s3://bucket/out/_pagecast/{PLAN}", map(plan_line, test_ledger.PLAN))
    look = Look("s3://bucket/out", test_ledger.MODES)
    store.away = True
    with pytest.raises(ConnectionError):
        list(look.states())
    store.away = False
    assert [state.shards for state in look.states()] == [0]


def test_small_things_that_a_store_must_do(store: Store) -> None:
    storage.commit("s3://bucket/d/empty", [])
    assert storage.read_bytes("s3://bucket/d/empty") == b""
    assert storage.size_of("s3://bucket/d/empty") == 0
    storage.write_in_place("s3://bucket/d/e/a[1]", b"one\ntwo")
    storage.write_in_place("s3://bucket/d/e/a1", b"")
    with storage.open_read("s3://bucket/d/e/a[1]") as file:
        assert list(file) == [b"one\n", b"two"]
    assert list(storage.files_in("s3://bucket/d")) == ["s3://bucket/d/empty"]
    before = dict(storage.versions_in("s3://bucket/d"))
    storage.commit("s3://bucket/d/empty", [b"no more"])
    after = dict(storage.versions_in("s3://bucket/d"))
    assert [*before, *after] == ["empty", "empty"]
    assert before != after
    storage.remove(f"s3://bucket/d/e/{name}" for name in ("a[1]", "missing"))
    assert list(storage.files_below("s3://bucket/d")) == [
        "s3://bucket/d/e/a1", "s3://bucket/d/empty",
    ]  # fmt: skip
    assert not storage.exists("s3://bucket")
    with pytest.raises(FileNotFoundError, match="no such object: 's3://bucket/none'"):
        storage.read_bytes("s3://bucket/none")


def test_which_objects_are_input(store: Store, tmp_path: Path) -> None:
    for name in ("a.parquet", "b.csv", "c/d.parquet", "_x/e.parquet", "c/.f.parquet"):
        store.put(f"in/{name}", b"")
    found = {
        "s3://bucket/in": ["a.parquet", "c/d.parquet"],
        "s3://bucket/in/": ["a.parquet", "c/d.parquet"],
        "s3://bucket": ["a.parquet", "c/d.parquet"],
        "s3://bucket/in/*.parquet": ["a.parquet"],
        "s3://bucket/in/?.*": ["a.parquet", "b.csv"],
        "s3://bucket/in/c/d.parquet": ["c/d.parquet"],
    }
    for given, names in found.items():
        assert plan.find_files([given]) == [f"s3://bucket/in/{name}" for name in names], given
    local = write_parquet(tmp_path / "a.parquet", articles("x"))
    paths = ["s3://bucket/in/a.parquet", "s3://other/a.parquet", str(local)]
    names = plan.relative_names([plan.InputFile(path, 1, (1,)) for path in paths])
    assert names == ["s3:/bucket/in/a.parquet", "s3:/other/a.parquet", str(local)[1:]]
    assert plan.relative_names([plan.InputFile(path, 1, (1,)) for path in paths[:2]]) == [
        "bucket/in/a.parquet", "other/a.parquet",
    ]  # fmt: skip
