"""Objects of Google Cloud Storage: large ones, broken answers, odd names, and which are input."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from pipeline import plan
from tests.gcs import Store, store
from transforms import gcs, storage

__all__ = ["store"]  # a fixture


def test_a_large_object_is_sent_in_pieces_whose_answers_may_be_lost(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gcs, "PART_BYTES", 4 << 20)
    content = bytes(range(256)) * (12 << 12)
    for requests in range(5):  # another one fails each time, and is carried out or is not
        store.requests[:] = [("", "")] * requests
        store.fail_every = 5
        storage.commit("gs://bucket/large", [content[:7], content[7:]])
        store.fail_every = None
        assert storage.read_bytes("gs://bucket/large") == content
        storage.remove(["gs://bucket/large"])
    storage.commit("gs://bucket/large", [content])
    with storage.RangeReader() as reader:
        assert reader.read("gs://bucket/large", 7 << 20, 300) == content[7 << 20 :][:300]
        with pytest.raises(OSError, match=f"ends at byte {len(content)}, not {len(content) + 1}"):
            reader.read("gs://bucket/large", len(content) - 4, 5)


def test_answers_that_break_off_are_fetched_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.commit("gs://bucket/a", [b"0123456789"])
    store.cut = 4
    assert storage.read_bytes("gs://bucket/a") == b"0123456789"
    monkeypatch.setattr(gcs, "RETRY_SECONDS", 0.0)
    store.cut = 5
    with pytest.raises(ConnectionError, match="gs://bucket/a: "):
        storage.read_bytes("gs://bucket/a")


def test_an_object_that_is_given_up_never_appears(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gcs, "PART_BYTES", 4 << 20)
    storage.commit("gs://bucket/a", [b"old"])

    def broken() -> Iterator[bytes]:
        yield bytes(10 << 20)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        storage.commit("gs://bucket/a", broken())
    gc.collect()  # what Beam's writer has so far becomes an object when it is collected
    assert storage.read_bytes("gs://bucket/a") == b"old"


def test_small_things_that_a_store_must_do(store: Store) -> None:
    storage.commit("gs://bucket/d/empty", [])
    assert storage.read_bytes("gs://bucket/d/empty") == b""
    assert storage.size_of("gs://bucket/d/empty") == 0
    storage.write_in_place("gs://bucket/d/e/a[1]", b"one\ntwo")
    storage.write_in_place("gs://bucket/d/e/a1", b"")
    storage.write_in_place("gs://bucket/d/e/ä #?%2F+.txt", b"1")
    assert storage.read_bytes("gs://bucket/d/e/ä #?%2F+.txt") == b"1"
    with storage.open_read("gs://bucket/d/e/a[1]") as file:
        assert list(file) == [b"one\n", b"two"]
    assert list(storage.files_in("gs://bucket/d")) == ["gs://bucket/d/empty"]
    before = dict(storage.versions_in("gs://bucket/d"))
    storage.commit("gs://bucket/d/empty", [b"no more"])
    after = dict(storage.versions_in("gs://bucket/d"))
    assert [*before, *after] == ["empty", "empty"]
    assert before != after
    storage.remove(f"gs://bucket/d/e/{name}" for name in ("a[1]", "missing", "ä #?%2F+.txt"))
    assert list(storage.files_below("gs://bucket/d")) == [
        "gs://bucket/d/e/a1", "gs://bucket/d/empty",
    ]  # fmt: skip
    for nothing in ("gs://bucket", "gs://bucket/", "gs://-/none"):
        assert not storage.exists(nothing)
    with pytest.raises(FileNotFoundError, match="no such object: 'gs://bucket/none'"):
        storage.read_bytes("gs://bucket/none")


def test_which_objects_are_input(store: Store) -> None:
    for name in ("a.parquet", "b.csv", "c/d.parquet", "_x/e.parquet", "c/.f.parquet"):
        store.put(f"in/{name}", b"")
    found = {
        "gs://bucket/in": ["a.parquet", "c/d.parquet"],
        "gs://bucket": ["a.parquet", "c/d.parquet"],
        "gs://bucket/in/*.parquet": ["a.parquet"],
        "gs://bucket/in/c/d.parquet": ["c/d.parquet"],
    }
    for given, names in found.items():
        assert plan.find_files([given]) == [f"gs://bucket/in/{name}" for name in names], given
