import json
from pathlib import Path

import numpy as np
import pytest
from apache_beam import Create, GroupByKey, ParDo
from apache_beam.testing.util import assert_that, equal_to

from tests.conftest import in_beam
from transforms import parts
from transforms.parts import (
    DistinctKeys,
    Part,
    WritePart,
    article_keys,
    assign_split,
    part_count,
    part_names,
    part_path,
    write_part,
)
from transforms.records import Sample, Shard, ShardSamples
from transforms.samples import Receipt, write_samples
from transforms.split import Position, SplitPlan, SplitSettings, article_key, sample_key

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
        found.append(write_samples(ShardSamples(shard, samples, {}), str(out)))
    return found


def grouped(receipts: list[Receipt], plan: SplitPlan) -> dict[str, list[tuple[int, bytes]]]:
    groups: dict[str, list[tuple[int, bytes]]] = {}
    for receipt in receipts:
        for name, packed in assign_split(receipt, plan, WANTED):
            groups.setdefault(name, []).append(packed)
    return groups


@pytest.mark.parametrize(
    ("samples", "count"), [(0, 1), (1, 1), (20_000, 1), (20_001, 2), (500_000, 25)]
)
def test_part_count(samples: int, count: int) -> None:
    assert part_count(samples) == count


def test_part_names_and_paths() -> None:
    assert part_names("train", 20_001) == ["train-00000-of-00002", "train-00001-of-00002"]
    assert part_path("/o", "val-00000-of-00001", merge=True) == (
        "/o/_pagecast/parts/val-00000-of-00001.jsonl"
    )
    assert part_path("/o", "val-00000-of-00001", merge=False) == "/o/val-00000-of-00001.jsonl"


def test_a_part_has_its_lines_in_key_order_whatever_the_shards(tmp_path: Path) -> None:
    ids = [f"w{n}" for n in range(12)]
    contents = []
    for shard_rows in (12, 5, 1):
        out = tmp_path / str(shard_rows)
        groups = grouped(committed(out, ids, shard_rows), ALL_TRAIN)
        (name,) = groups
        part = write_part(name, reversed(groups[name]), str(out), merge=True)
        content = (out / "_pagecast/parts/train-00000-of-00001.jsonl").read_bytes()
        assert part == Part("train-00000-of-00001", 24, len(content))
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
    write_part(name, reversed(groups[name]), str(tmp_path), merge=True)
    lines = (tmp_path / "_pagecast/parts/train-00000-of-00001.jsonl").read_bytes().splitlines()
    found = [json.loads(line) for line in lines]
    expected = sorted(found, key=lambda s: (sample_key(42, "same", s["chunk_index"]), s["id"]))
    assert [s["id"] for s in found] == [s["id"] for s in expected]
    assert len({s["id"] for s in found}) == 33


def test_parts_are_key_ranges_that_follow_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART_SAMPLES", 5)
    ids = [f"w{n}" for n in range(12)]
    groups = grouped(committed(tmp_path, ids), ALL_TRAIN)
    assert set(groups) <= set(part_names("train", 24))
    keys = []
    for name in part_names("train", 24):
        packed = b"".join(content for _, content in groups.get(name, []))
        keys.append(sorted(np.frombuffer(packed, parts.REFERENCE)["key"].tolist()))
    joined = [key for part in keys for key in part]
    assert len(joined) == 24
    assert joined == sorted(joined)
    assert sum(map(bool, keys)) > 2


def test_unused_samples_go_nowhere(tmp_path: Path) -> None:
    ids = [f"w{n}" for n in range(12)]
    order = sorted(article_key(42, w) for w in ids)
    rows = {article.wiki_id: ids.index(article.wiki_id) for article in order}

    def at(n: int, chunk: int) -> Position:
        return Position(order[n], rows[order[n].wiki_id], chunk)

    plan = SplitPlan(at(1, 0), at(4, 0), 3, 5, 16)
    groups = grouped(committed(tmp_path, ids), plan)
    found = {}
    for name, shards in groups.items():
        write_part(name, shards, str(tmp_path), merge=False)
        lines = (tmp_path / f"{name}.jsonl").read_bytes().splitlines()
        found[name] = {(s["wiki_id"], s["chunk_index"]) for s in map(json.loads, lines)}
    names = [article.wiki_id for article in order]
    assert found == {
        "val-00000-of-00001": {(names[0], 0), (names[0], 1), (names[1], 0)},
        "train-00000-of-00001": {
            (names[2], 0), (names[2], 1), (names[3], 0), (names[3], 1), (names[4], 0),
        },
    }  # fmt: skip
    combine = DistinctKeys()
    counts: dict[str, list[np.ndarray]] = {}
    for receipt in committed(tmp_path, ids):
        for split, keys in article_keys(receipt, plan, WANTED):
            counts[split] = combine.add_input(counts.get(split, combine.create_accumulator()), keys)
    assert {split: combine.extract_output(keys) for split, keys in counts.items()} == {
        "val": 2, "train": 3, "used": 5, "all": 12,
    }  # fmt: skip


def test_distinct_keys_counts_each_once_however_they_come() -> None:
    combine = DistinctKeys()
    assert combine.extract_output(combine.create_accumulator()) == 0
    left, right = combine.create_accumulator(), combine.create_accumulator()
    for n in range(600):
        left = combine.add_input(left, np.array([n, n + 1, 5], np.uint64))
        right = combine.add_input(right, np.array([n + 300], np.uint64))
    assert len(left) < 300
    merged = combine.merge_accumulators([left, combine.create_accumulator(), right])
    assert combine.extract_output(merged) == 900


def test_a_reference_to_missing_bytes_is_an_error(tmp_path: Path) -> None:
    groups = grouped(committed(tmp_path, ["a", "b"]), ALL_TRAIN)
    shard = tmp_path / "_pagecast/shards/00000.jsonl"
    shard.write_bytes(shard.read_bytes()[:-5])
    with pytest.raises(OSError, match="ends at byte"):
        write_part("train-00000-of-00001", groups["train-00000-of-00001"], str(tmp_path), True)
    assert not list((tmp_path / "_pagecast/parts").iterdir())


def test_write_part_stage(tmp_path: Path) -> None:
    receipts = committed(tmp_path, ["a", "b", "c", "d"])
    pairs = [pair for receipt in receipts for pair in assign_split(receipt, ALL_TRAIN, WANTED)]
    size = sum(receipt.jsonl_bytes for receipt in receipts)
    with in_beam() as pipeline:
        written = (
            pipeline | Create(pairs) | GroupByKey() | ParDo(WritePart(str(tmp_path), merge=True))
        )
        assert_that(written, equal_to([Part("train-00000-of-00001", 8, size)]))
