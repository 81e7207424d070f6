from itertools import pairwise
from pathlib import Path
from statistics import fmean, stdev

import pytest

from pagecast.dataset.shard import Shard
from pipeline.estimate.sample import CLUSTERS, choose
from pipeline.launch.inputs import index_lines, plan_shards
from transforms.read.tokenized import read_lines


def shards(*rows: int) -> list[Shard]:
    """Return shards of two row groups of one file each, all of 2 * `rows` rows."""
    found, first = [], 0
    for number, count in enumerate(rows):
        for half in range(2):
            found.append(Shard(len(found), f"{number}.parquet", 0, half * count, count, first))
            first += count
    return found


UNEVEN = shards(256, 100, 7, 256, 1, 33, 256, 256, 64, 250)
ROWS = 2 * 1479


@pytest.mark.parametrize("articles", [ROWS, ROWS + 1, 10**9])
def test_all_rows_are_read_where_there_are_no_more_than_asked_for(articles: int) -> None:
    choice = choose(UNEVEN, articles, 1)
    assert choice.whole
    assert [cluster.rows for cluster in choice.clusters] == UNEVEN
    assert {cluster.weight for cluster in choice.clusters} == {1.0}
    assert choice.read == choice.rows == ROWS


def test_nothing_is_chosen_from_nothing() -> None:
    assert choose([], 10, 1) == ([], 0, True)


def test_a_seed_decides_the_choice() -> None:
    first, again, other = (choose(UNEVEN, 200, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("articles", [10, 99, 250, 1000, ROWS - 1])
def test_clusters_are_blocks_of_shards_and_stand_for_all_rows(articles: int, seed: int) -> None:
    choice = choose(UNEVEN, articles, seed)
    assert len({cluster.rows for cluster in choice.clusters}) == len(choice.clusters)
    assert len(choice.clusters) <= min(articles, CLUSTERS)
    assert choice.read <= articles
    for rows, shard, _ in choice.clusters:
        assert 0 < rows.rows <= articles // min(articles, CLUSTERS)
        before = rows.start - shard.start
        assert 0 <= before <= shard.rows - rows.rows
        assert rows == shard._replace(
            start=rows.start, rows=rows.rows, first_row=shard.first_row + before
        )
    total = sum(weight * rows.rows for rows, _, weight in choice.clusters)
    assert total == pytest.approx(ROWS)


def test_few_row_groups_are_read_of_a_huge_input() -> None:
    huge = [Shard(n, f"{n}", 0, 0, 256, 256 * n) for n in range(26_000)]
    choice = choose(huge, 5000, 0)
    assert len({cluster.shard for cluster in choice.clusters}) == CLUSTERS
    assert choice.read > 4500
    assert choice.rows == 26_000 * 256
    numbers = [cluster.shard.number for cluster in choice.clusters]
    assert numbers == sorted(numbers)
    assert max(b - a for a, b in pairwise(numbers)) <= 520


def value(row: int) -> float:
    """Return what is counted of a row: more at the end of the input, the same for neighbours."""
    return row / 1000 + (row // 100 % 7 == 3) * 5


def test_the_mean_over_many_choices_is_the_truth() -> None:
    """Blocks at the ends of shards are smaller; each row counts the same in spite of it."""
    truth = sum(map(value, range(ROWS)))
    estimates = []
    for seed in range(600):
        estimate = 0.0
        for rows, _, weight in choose(UNEVEN, 130, seed).clusters:
            found = range(rows.first_row, rows.first_row + rows.rows)
            estimate += weight * sum(map(value, found))
        estimates.append(estimate)
    error = stdev(estimates) / len(estimates) ** 0.5
    assert error < 0.01 * truth
    assert abs(fmean(estimates) - truth) < 3 * error


def test_lines_of_json_are_found_by_their_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [f'"{number * "x"}"\n'.encode() for number in range(50)]
    path.write_bytes(b"".join(lines))
    planned = list(plan_shards([index_lines(str(path), 20)], 20, None))
    choice = choose(planned, 30, 4)  # type: ignore[arg-type]
    assert not choice.whole
    for cluster in choice.clusters:
        first = cluster.rows.first_row
        assert list(read_lines(cluster.rows)) == lines[first : first + cluster.rows.rows]
