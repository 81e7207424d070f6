import json
from pathlib import Path

import numpy as np
import pytest

from pagecast.dataset import split as rules
from pagecast.dataset.layout import part_names
from pagecast.dataset.split import Position, SplitPlan, article_key, part_count
from tests.transforms.test_parts import ALL_TRAIN, WANTED, committed, grouped
from transforms.split.assign import REFERENCE, DistinctKeys, article_keys
from transforms.split.parts import PartSettings, write_part


@pytest.mark.parametrize(
    ("samples", "sample_bytes", "count"),
    [
        (0, 0, 1), (1, 9, 1), (20_000, 18_000, 1), (20_001, 18_000, 2), (500_000, 18_000, 25),
        (20_000, 20_000, 1), (20_000, 40_000, 2), (20_000, 4_000_000, 200), (3, 10**9, 3),
    ],
)  # fmt: skip
def test_part_count_keeps_parts_small_in_samples_and_in_bytes(
    samples: int, sample_bytes: int, count: int
) -> None:
    assert part_count(samples, sample_bytes) == count


def test_part_names() -> None:
    plan = SplitPlan(None, None, 0, 20_001, 0, 18_000)
    assert part_names("train", plan) == ["train-00000-of-00002", "train-00001-of-00002"]
    assert part_names("val", plan) == ["val-00000-of-00001"]


def test_parts_are_key_ranges_that_follow_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "PART_SAMPLES", 5)
    ids = [f"w{n}" for n in range(12)]
    groups = grouped(committed(tmp_path, ids), ALL_TRAIN)
    assert set(groups) <= set(part_names("train", ALL_TRAIN))
    keys = []
    for name in part_names("train", ALL_TRAIN):
        packed = b"".join(content for _, _, content in groups.get(name, []))
        keys.append(sorted(np.frombuffer(packed, REFERENCE)["key"].tolist()))
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
        write_part(name, shards, PartSettings(str(tmp_path), merge=False))
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
