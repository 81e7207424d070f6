from itertools import pairwise
from pathlib import Path

import pytest
from apache_beam.testing.util import assert_that, equal_to

from pagecast.dataset.shard import FAILED, Failure, Shard, plan_line, read_plan
from tests.conftest import in_beam
from transforms.read.shards import ReadPlan, cut_row_group

ENTRIES = [
    Shard(0, "/in/a.parquet", 0, 0, 3, 0),
    Failure("/in/b.parquet", "the whole file", "trunc\u00e9"),
    Shard(1, "/in/c.parquet", 2, 3, 2, 3),
]


@pytest.mark.parametrize(
    ("rows", "shard_rows", "expected"),
    [
        (0, 256, []),
        (1, 256, [(0, 1)]),
        (256, 256, [(0, 256)]),
        (257, 256, [(0, 129), (129, 128)]),
        (8, 3, [(0, 3), (3, 3), (6, 2)]),
        (8, 1000, [(0, 8)]),
    ],
)
def test_cut_row_group(rows: int, shard_rows: int, expected: list[tuple[int, int]]) -> None:
    assert cut_row_group(rows, shard_rows) == expected


@pytest.mark.parametrize(
    ("rows", "shard_rows", "pieces", "largest"),
    [
        (5_000, 256, 16, 313),  # would be 20 shards: fewer and larger ones
        (5_000, 3, 16, 313),
        (65_536, 256, 16, 4096),
        (65_537, 256, 17, 3856),  # 16 would be larger than a worker holds
        (1_000_000, 4096, 245, 4082),
    ],
)
def test_large_groups_are_cut_coarsely(
    rows: int, shard_rows: int, pieces: int, largest: int
) -> None:
    cut = cut_row_group(rows, shard_rows)
    assert len(cut) == pieces
    assert max(count for _, count in cut) == largest <= 4096
    assert cut[0][0] == 0
    assert all(a + n == b for (a, n), (b, _) in pairwise(cut))
    assert sum(cut[-1]) == rows


def test_plan_file_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "plan.jsonl"
    path.write_bytes(b"".join(map(plan_line, ENTRIES)))
    assert list(read_plan(str(path))) == ENTRIES


def test_read_plan_stage(tmp_path: Path) -> None:
    path = tmp_path / "plan.jsonl"
    path.write_bytes(b"".join(map(plan_line, ENTRIES)))
    with in_beam() as pipeline:
        plan = pipeline | ReadPlan(str(path))
        assert_that(plan.shards, equal_to([ENTRIES[0], ENTRIES[2]]), label="shards")
        assert_that(plan[FAILED], equal_to([ENTRIES[1]]), label="failed")
