"""The split against the rule itself, written down plainly once more in `split_by_the_rule`."""

import hashlib
from collections import defaultdict

import numpy as np
import pytest
from apache_beam import Create
from apache_beam.testing.util import assert_that
from hypothesis import given, settings
from hypothesis import strategies as st

from pagecast.dataset.receipts import ArticleLines, Receipt
from pagecast.dataset.shard import Shard
from pagecast.dataset.split import (
    ArticleKey,
    Position,
    SplitPlan,
    SplitSettings,
    article_key,
    sample_key,
    targets,
    u64,
)
from tests.conftest import in_beam
from transforms.split.plan import (
    CountKeys,
    PlanSplit,
    border_articles,
    border_buckets,
    bucket,
    plan_split,
)

Rows = list[tuple[str, int]]  # (wiki_id, chunks) of each input row


def split_by_the_rule(rows: Rows, wanted: SplitSettings) -> dict[tuple[int, int], str]:
    """Return row and chunk -> split, for the samples that are in one."""

    def key(text: str) -> int:
        return int(hashlib.sha256(text.encode()).hexdigest()[:16], 16)

    articles: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for row, (wiki_id, chunks) in enumerate(rows):
        articles[wiki_id] += [(row, chunk) for chunk in range(chunks)]
    articles = {wiki_id: samples for wiki_id, samples in articles.items() if samples}
    total = sum(map(len, articles.values()))
    val_size = wanted.val_size
    if total < wanted.max_samples:
        val_size = val_size * total // wanted.max_samples
        if len(articles) >= 2 and wanted.val_size:
            val_size = max(1, val_size)
    room = {"val": val_size, "train": wanted.max_samples - val_size}
    side = {}
    order = iter(sorted(articles, key=lambda w: (key(f"{wanted.seed}:{w}"), w)))
    for name in ("val", "train"):
        while room[name] and (wiki_id := next(order, None)) is not None:
            for sample in articles[wiki_id][: room[name]]:
                side[sample] = name
            room[name] = max(0, room[name] - len(articles[wiki_id]))
    return side


def receipts(rows: Rows, shard_rows: int) -> list[Receipt]:
    found = []
    for index, start in enumerate(range(0, len(rows), shard_rows)):
        part = rows[start : start + shard_rows]
        lines = tuple(
            ArticleLines(start + n, wiki_id, (10,) * chunks)
            for n, (wiki_id, chunks) in enumerate(part)
            if chunks
        )
        shard = Shard(index, "p", 0, start, len(part), start)
        found.append(Receipt(shard, (), len(part), {}, (), 0, 0, "", lines))
    return found


def planned(rows: Rows, wanted: SplitSettings, shard_rows: int = 3) -> SplitPlan:
    combine = CountKeys(wanted.seed)
    parts = receipts(rows, shard_rows)
    histogram = combine.merge_accumulators(
        [combine.create_accumulator()]
        + [combine.add_input(combine.create_accumulator(), receipt) for receipt in parts]
    )
    borders = [b for receipt in parts for b in border_articles(receipt, histogram, wanted)]
    return plan_split(reversed(borders), histogram, wanted)


def assigned(rows: Rows, wanted: SplitSettings) -> dict[tuple[int, int], str]:
    plan = planned(rows, wanted)
    found = {
        (row, chunk): plan.split_of(Position(article_key(wanted.seed, wiki_id), row, chunk))
        for row, (wiki_id, chunks) in enumerate(rows)
        for chunk in range(chunks)
    }
    sizes = [list(found.values()).count(name) for name in ("val", "train", "unused")]
    assert sizes == [plan.val, plan.train, plan.unused]
    return {sample: name for sample, name in found.items() if name != "unused"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", 0xE3B0C44298FC1C14),
        ("42:enwiki/34833", 0x017286872D22C3DA),
        ("42:enwiki/34833:0", 0x59FE0FC330576D2A),
        ("42:é", 0x00D2A333BEA1680A),
    ],
)
def test_u64_known_vectors(text: str, value: int) -> None:
    assert u64(text) == value


def test_keys_hash_the_documented_strings() -> None:
    assert article_key(42, "enwiki/34833") == ArticleKey(u64("42:enwiki/34833"), "enwiki/34833")
    assert sample_key(7, "a", 12) == u64("7:a:12")


@pytest.mark.parametrize(
    ("total", "max_samples", "val_size", "several", "expected"),
    [
        (100, 100, 10, True, (10, 90)),
        (101, 100, 10, True, (10, 90)),
        (99, 100, 10, True, (9, 91)),
        (50, 100, 10, True, (5, 95)),
        (5, 100, 10, True, (1, 99)),  # never less than one with two articles
        (5, 100, 10, False, (0, 100)),
        (50, 100, 10, False, (5, 95)),
        (5, 100, 0, True, (0, 100)),  # none was asked for
    ],
)
def test_targets(
    total: int, max_samples: int, val_size: int, several: bool, expected: tuple[int, int]
) -> None:
    assert targets(total, SplitSettings(max_samples, val_size, 42), several) == expected


def test_border_article_gives_its_first_chunks_and_its_rest_goes_nowhere() -> None:
    rows = [(f"w{n}", 4) for n in range(20)]
    side = assigned(rows, SplitSettings(30, 10, 42))
    by_article = defaultdict(list)
    for (row, chunk), name in sorted(side.items()):
        by_article[row].append((name, chunk))
    val = [chunks for chunks in by_article.values() if chunks[0][0] == "val"]
    assert sorted(len(chunks) for chunks in val) == [2, 4, 4]
    assert [("val", 0), ("val", 1)] in val
    assert all(len({name for name, _ in chunks}) == 1 for chunks in by_article.values())


def test_rows_that_share_an_id_are_one_article_in_row_then_chunk_order() -> None:
    rows = [("same", 3), ("x", 1), ("same", 3)]
    first = min(("same", "x"), key=lambda w: article_key(42, w))
    side = assigned(rows, SplitSettings(6, 4, 42))
    if first == "same":
        assert [k for k in sorted(side) if side[k] == "val"] == [(0, 0), (0, 1), (0, 2), (2, 0)]
    assert side == split_by_the_rule(rows, SplitSettings(6, 4, 42))


ROWS = st.lists(
    st.tuples(st.sampled_from([f"w{n}" for n in range(12)]), st.integers(0, 5)), max_size=25
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    rows=ROWS,
    max_samples=st.integers(1, 60),
    val=st.integers(0, 59),
    seed=st.sampled_from([42, 7, 0, -1]),
)
def test_the_plan_is_the_rule(rows: Rows, max_samples: int, val: int, seed: int) -> None:
    wanted = SplitSettings(max_samples, min(val, max_samples - 1), seed)
    assert assigned(rows, wanted) == split_by_the_rule(rows, wanted)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(rows=ROWS, small=st.integers(6, 40), more=st.integers(0, 40))
def test_a_smaller_train_set_is_contained_in_a_larger_one(
    rows: Rows, small: int, more: int
) -> None:
    def train(size: int) -> set[tuple[int, int]]:
        side = assigned(rows, SplitSettings(size, 5, 42))
        return {sample for sample, name in side.items() if name == "train"}

    assert train(small) <= train(small + more)


def test_many_articles_over_all_buckets_and_only_a_few_looked_at() -> None:
    rows = [(f"enwiki/{n}", n % 7) for n in range(20_000)]
    wanted = SplitSettings(30_000, 1_000, 42)
    combine = CountKeys(42)
    histogram = combine.create_accumulator()
    for receipt in receipts(rows, 500):
        histogram = combine.add_input(histogram, receipt)
    assert np.count_nonzero(histogram.counts) > 4000
    assert len(border_buckets(histogram, wanted)) <= 8
    assert assigned(rows, wanted) == split_by_the_rule(rows, wanted)


def test_the_histogram_knows_the_outermost_articles_in_whatever_order_they_come() -> None:
    keys = sorted(article_key(42, f"w{n}") for n in range(9))
    for rows in (keys, keys[::-1], keys[3:] + keys[:3]):
        combine = CountKeys(42)
        histogram = combine.create_accumulator()
        for receipt in receipts([(key.wiki_id, 2) for key in rows], 9):
            histogram = combine.add_input(histogram, receipt)
        assert (histogram.first, histogram.last) == (keys[0], keys[-1])
        assert histogram.counts.sum() == 18


def test_bucket_is_the_top_twelve_bits() -> None:
    assert [bucket(key) for key in (0, (1 << 52) - 1, 1 << 52, (1 << 64) - 1)] == [0, 0, 1, 4095]


@pytest.mark.parametrize("rows", [[], [("only", 9)], [("a", 2), ("b", 2), ("c", 1)]])
def test_plan_split_stage(rows: Rows) -> None:
    wanted = SplitSettings(4, 2, 42)

    def check(plans: list[SplitPlan]) -> None:
        assert plans == [planned(rows, wanted)]

    with in_beam() as pipeline:
        assert_that(pipeline | Create(receipts(rows, 1)) | PlanSplit(wanted), check)
