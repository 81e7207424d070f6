"""A dataset in a store, Parquet too, and loader processes that read it after their parent has."""

from __future__ import annotations

import hashlib
import multiprocessing
from pathlib import Path

import pytest

from pagecast import PageReader, ReaderError, storage
from tests.conftest import Command, RunCommand, articles, tree, write_parquet
from tests.support.emulators import S3, emulators, only, store
from tests.support.reading import share_in_process
from tests.support.stores import LONG, SMALL

__all__ = ["emulators", "store"]  # fixtures
LOADERS = 8
GIVEN = f"{SMALL} --parquet --no_report --workers 1"


@pytest.fixture
def source(small_tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(small_tokenizer)
    return write_parquet(tmp_path / "in.parquet", articles(LONG, LONG[:900], LONG), group_rows=1)


@pytest.fixture
def urls(store: S3, source: Path, command: Command) -> list[str]:
    """A dataset with tars and Parquet, and what is left where only its Parquet is copied."""
    url = f"{store.url}/out"
    assert command(f"run --input {source} --output_dir {url} {GIVEN} --image_shards").code == 0
    for name in store.names():
        if name.startswith("out/parquet/") or name == "out/split_manifest.json":
            store.put(name.replace("out/", "copied/", 1), store.read(name))
    return [url, f"{store.url}/copied"]


@only("s3")
def test_parquet_in_a_store_is_what_it_is_on_a_disk(
    store: S3, urls: list[str], source: Path, run: RunCommand, command: Command
) -> None:
    here = run(source, options=f"{GIVEN} --image_shards").path
    assert store.tree("out") == tree(here)
    assert command(f"verify --output_dir {urls[0]} --workers 1").code == 0
    local, there = PageReader(here), PageReader(urls[1])
    store.requests.clear()
    for split in ("train", "val"):
        assert list(there[split]) == list(local[split])
        for sample in local[split]:
            assert there.image(sample["id"], "tiny") == local.image(sample, "tiny")
    asked = [path for _, path in store.requests if path.endswith(".parquet")]
    assert 0 < len(asked) < 40  # by row group and column, not by row
    name = "copied/parquet/train-00000-of-00001.parquet"
    store.put(name, store.read(name)[:-100])
    with pytest.raises(ReaderError, match=f"^s3://bucket/{name} is damaged, or another tool wrote"):
        PageReader(urls[1])["train"]
    store.delete(name)
    with pytest.raises(ReaderError, match="copied/parquet: 0 samples in train, not the"):
        PageReader(urls[1])["train"]


@only("s3")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_eight_loader_processes_read_after_their_parent_has(urls: list[str], method: str) -> None:
    readers = list(map(PageReader, urls))
    expected = []
    for reader in readers:
        for at, sample in enumerate(reader["train"]):
            page = hashlib.sha256(reader.image(sample, "tiny").tobytes()).hexdigest()
            expected.append((at, sample["id"], page))
    assert storage.exists(f"{urls[0]}/train.jsonl")
    context = multiprocessing.get_context(method)
    answers = context.Queue()
    processes = [
        context.Process(target=share_in_process, args=(readers, "tiny", (n, LOADERS), answers))
        for n in range(LOADERS)
    ]
    for process in processes:
        process.start()
    found = [row for _ in processes for row in answers.get(timeout=300)]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert sorted((at, sample["id"], page) for at, sample, page in found) == sorted(expected)
    assert len(expected) >= LOADERS
