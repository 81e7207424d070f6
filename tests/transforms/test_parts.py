import hashlib
import json
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import numpy as np
import pytest
from apache_beam import Create, GroupByKey, ParDo
from apache_beam.testing.util import assert_that, equal_to

from pagecast.dataset.layout import arrow_path, part_path
from pagecast.dataset.receipts import Part, Receipt, find_part
from pagecast.dataset.sample import Sample
from pagecast.dataset.shard import Shard, ShardSamples
from pagecast.dataset.split import SplitPlan, SplitSettings, sample_key
from pagecast.dataset.tables.arrow import read_rows, sample_schema
from pagecast.storage.read import sha256_of
from tests.conftest import in_beam
from transforms.commit.samples import write_samples
from transforms.split.assign import ShardReferences, assign_split
from transforms.split.parts import (
    NOTHING,
    PartSettings,
    WritePart,
    WrittenFile,
    write_part,
)

WANTED = SplitSettings(100, 10, 42)
ALL_TRAIN = SplitPlan(None, None, 0, 24, 0)


def committed(out: Path, ids: list[str], shard_rows: int = 3, chunks: int = 2) -> list[Receipt]:
    """Commit one article a row with `chunks` samples each, and return the shards' receipts."""
    tokens = np.zeros(1, np.int32)
    found = []
    for index, start in enumerate(range(0, len(ids), shard_rows)):
        rows = range(start, min(start + shard_rows, len(ids)))
        samples = tuple(
            tuple(
                Sample(row, ids[row], "t" * row, k, 9, tokens, tokens, "x") for k in range(chunks)
            )
            for row in rows
        )
        shard = Shard(index, "p", 0, start, len(rows), start)
        found.append(write_samples(ShardSamples(shard, samples, {}), str(out), []))
    return found


def grouped(receipts: list[Receipt], plan: SplitPlan) -> dict[str, list[ShardReferences]]:
    groups: dict[str, list[ShardReferences]] = {}
    for receipt in receipts:
        for name, packed in assign_split(receipt, plan, WANTED):
            groups.setdefault(name, []).append(packed)
    return groups


def settings(out: Path, merge: bool = True, arrow: bool = False) -> PartSettings:
    return PartSettings(str(out), merge, sample_schema([], stored=False) if arrow else None)


def test_paths() -> None:
    name = "val-00000-of-00001"
    assert part_path("/o", name, merge=True) == f"/o/_pagecast/parts/{name}.jsonl"
    assert part_path("/o", name, merge=False) == f"/o/{name}.jsonl"
    assert arrow_path("/o", "train-00003-of-00025") == "/o/train_arrow/data-00003-of-00025.arrow"


def test_a_part_has_its_lines_in_key_order_whatever_the_shards(tmp_path: Path) -> None:
    ids = [f"w{n}" for n in range(12)]
    contents = []
    for shard_rows in (12, 5, 1):
        out = tmp_path / str(shard_rows)
        groups = grouped(committed(out, ids, shard_rows), ALL_TRAIN)
        (name,) = groups
        part = write_part(name, reversed(groups[name]), settings(out))
        content = (out / "_pagecast/parts/train-00000-of-00001.jsonl").read_bytes()
        written = WrittenFile(len(content), hashlib.sha256(content).hexdigest())
        assert part == Part(name, part.references, 24, written, None, None)
        assert find_part(str(out), name) == part
        contents.append(content)
    assert contents[0] == contents[1] == contents[2]
    found = [(s["wiki_id"], s["chunk_index"]) for s in map(json.loads, contents[0].splitlines())]
    assert found == sorted(
        [(w, k) for w in ids for k in range(2)], key=lambda s: sample_key(42, *s)
    )


def test_equal_keys_are_ordered_by_id_as_text(tmp_path: Path) -> None:
    """Rows of one article share keys; chunk_10 sorts before chunk_2, as strings do."""
    receipts = committed(tmp_path, ["same"] * 3, shard_rows=1, chunks=11)
    groups = grouped(receipts, ALL_TRAIN)
    (name,) = groups
    write_part(name, reversed(groups[name]), settings(tmp_path))
    lines = (tmp_path / "_pagecast/parts/train-00000-of-00001.jsonl").read_bytes().splitlines()
    found = [json.loads(line) for line in lines]
    expected = sorted(found, key=lambda s: (sample_key(42, "same", s["chunk_index"]), s["id"]))
    assert [s["id"] for s in found] == [s["id"] for s in expected]
    assert len({s["id"] for s in found}) == 33


def test_an_arrow_file_has_the_rows_of_the_lines(tmp_path: Path) -> None:
    groups = grouped(committed(tmp_path, ["a", "b", "c"]), ALL_TRAIN)
    ((name, shards),) = groups.items()
    part = write_part(name, shards, settings(tmp_path, merge=False, arrow=True))
    path = arrow_path(str(tmp_path), name)
    assert part.arrow == WrittenFile(Path(path).stat().st_size, sha256_of(path))
    lines = (tmp_path / f"{name}.jsonl").read_bytes().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row.pop("images") for row in rows] == [{}] * len(rows)  # no column of Arrow's
    assert list(read_rows(path)) == rows


def modified(out: Path) -> dict[str, int]:
    return {p.name: p.stat().st_ino for p in out.rglob("*") if p.suffix in (".jsonl", ".arrow")}


def test_what_is_written_and_intact_is_not_written_again(tmp_path: Path) -> None:
    ((name, shards),) = grouped(committed(tmp_path, ["a", "b", "c"]), ALL_TRAIN).items()
    first = write_part(name, shards, settings(tmp_path))
    files = modified(tmp_path)
    assert write_part(name, shards, settings(tmp_path)) == first
    assert modified(tmp_path) == files
    second = write_part(name, shards, settings(tmp_path, arrow=True))
    assert modified(tmp_path) == {**files, "data-00000-of-00001.arrow": ANY}
    assert second._replace(arrow=None) == first


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content + b"x",
        lambda content: content[:50] + b"?" + content[51:],
        lambda content: None,
    ],
)
@pytest.mark.parametrize("suffix", [".jsonl", ".arrow"])
def test_what_is_damaged_is_written_again_alone(tmp_path: Path, suffix: str, damage: Any) -> None:
    ((name, shards),) = grouped(committed(tmp_path, ["a", "b", "c"]), ALL_TRAIN).items()
    wanted = settings(tmp_path, merge=False, arrow=True)
    first = write_part(name, shards, wanted)
    (damaged,) = [p for p in tmp_path.rglob(f"*{suffix}") if "shards" not in p.parts]
    (other,) = [p for p in modified(tmp_path) if not p.endswith(suffix) or p == "00000.jsonl"][:1]
    content = damaged.read_bytes()
    before = modified(tmp_path)
    changed = damage(content)
    damaged.unlink() if changed is None else damaged.write_bytes(changed)
    assert write_part(name, shards, wanted) == first
    assert damaged.read_bytes() == content
    assert modified(tmp_path)[other] == before[other]


def test_lines_of_other_content_make_another_part(tmp_path: Path) -> None:
    """The lengths are the same; only the hash of the shard's lines tells."""
    ((name, shards),) = grouped(committed(tmp_path, ["a", "b", "c"]), ALL_TRAIN).items()
    first = write_part(name, shards, settings(tmp_path))
    shard = tmp_path / "_pagecast/shards/00000.jsonl"
    shard.write_bytes(shard.read_bytes().replace(b'"x"', b'"y"'))
    ((number, content, packed),) = shards
    second = write_part(name, [(number, content + 1, packed)], settings(tmp_path))
    assert second.references != first.references
    assert b'"y"' in (tmp_path / f"_pagecast/parts/{name}.jsonl").read_bytes()


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"name": 1}', b"\xff", b'{"lines": 3}'])
def test_a_receipt_that_is_none_does_not_count(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "_pagecast/parts/train-00000-of-00001.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert find_part(str(tmp_path), "train-00000-of-00001") is None


def test_a_reference_to_missing_bytes_is_an_error(tmp_path: Path) -> None:
    groups = grouped(committed(tmp_path, ["a", "b"]), ALL_TRAIN)
    shard = tmp_path / "_pagecast/shards/00000.jsonl"
    shard.write_bytes(shard.read_bytes()[:-5])
    name = "train-00000-of-00001"
    with pytest.raises(OSError, match="ends at byte"):
        write_part(name, groups[name], settings(tmp_path))
    begun = find_part(str(tmp_path), name)
    assert begun is not None
    assert begun.lines == NOTHING  # so that what a run may have written is known as its own
    assert [p.name for p in (tmp_path / "_pagecast/parts").iterdir()] == [f"{name}.json"]


def test_write_part_stage(tmp_path: Path) -> None:
    receipts = committed(tmp_path, ["a", "b", "c", "d"])
    pairs = [pair for receipt in receipts for pair in assign_split(receipt, ALL_TRAIN, WANTED)]
    expected = write_part(pairs[0][0], [packed for _, packed in pairs], settings(tmp_path))
    (tmp_path / f"_pagecast/parts/{expected.name}.json").unlink()
    with in_beam() as pipeline:
        stage = WritePart(settings(tmp_path))
        written = pipeline | Create(pairs) | GroupByKey() | ParDo(stage, ALL_TRAIN)
        assert_that(written, equal_to([expected]))
    assert expected.samples == 8
