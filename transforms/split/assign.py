"""Which part of which file each sample goes to.

A part is a key range of one split. What is grouped by part is where the lines of a shard's samples
lie, packed: some tens of bytes a sample, however long its line.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import apache_beam as beam
import numpy as np

from pagecast.dataset.layout import part_names
from pagecast.dataset.receipts import Receipt
from pagecast.dataset.sample import sample_id
from pagecast.dataset.split import (
    KEY_BITS,
    TRAIN,
    UNUSED,
    VAL,
    Keys,
    Position,
    SplitPlan,
    SplitSettings,
    article_key,
    sample_key,
)

REFERENCE = np.dtype(
    [("key", "<u8"), ("row", "<i8"), ("chunk", "<i4"), ("length", "<i4"), ("offset", "<i8")]
)
# A shard's number, the start of its lines' hash as an integer, and packed references to its samples
ShardReferences = tuple[int, int, bytes]
MAX_LOOSE_ARRAYS = 256
USED, ALL = "used", "all"  # beside "val" and "train", what articles are counted by


def assign_split(
    receipt: Receipt, plan: SplitPlan, settings: SplitSettings
) -> Iterator[tuple[str, ShardReferences]]:
    """Yield, for each part that a shard has samples in, the packed references to them."""
    names = {split: part_names(split, plan) for split in (VAL, TRAIN)}
    references: dict[str, list[tuple[int, ...]]] = defaultdict(list)
    offset = 0
    for lines in receipt.articles:
        article = article_key(settings.seed, lines.wiki_id)
        for chunk, length in enumerate(lines.lengths):
            split = plan.split_of(Position(article, lines.row, chunk))
            if split != UNUSED:
                key = sample_key(settings.seed, lines.wiki_id, chunk)
                name = names[split][key * len(names[split]) >> KEY_BITS]
                references[name].append((key, lines.row, chunk, length, offset))
            offset += length
    content = int(receipt.jsonl_sha256[:15], 16)
    for name, rows in references.items():
        yield name, (receipt.shard.number, content, np.array(rows, dtype=REFERENCE).tobytes())


class Reference(NamedTuple):
    """A sample in the order of its file, where its line is, and of which content that shard is."""

    key: int
    id: str
    shard: int
    content: int
    offset: int
    length: int


def sorted_references(shards: Iterable[ShardReferences]) -> list[Reference]:
    """Return the references of a part in the order of its file."""
    references = [
        Reference(key, sample_id(row, chunk), shard, content, offset, length)
        for shard, content, packed in shards
        for key, row, chunk, length, offset in np.frombuffer(packed, dtype=REFERENCE).tolist()
    ]
    references.sort()
    return references


def article_keys(
    receipt: Receipt, plan: SplitPlan, settings: SplitSettings
) -> Iterator[tuple[str, Keys]]:
    """Yield the keys of a shard's articles: those with samples in val, in train, in either; all."""
    splits: dict[str, set[int]] = defaultdict(set)
    for lines in receipt.articles:
        article = article_key(settings.seed, lines.wiki_id)
        splits[ALL].add(article.key)
        for chunk in range(len(lines.lengths)):
            split = plan.split_of(Position(article, lines.row, chunk))
            if split != UNUSED:
                splits[split].add(article.key)
                splits[USED].add(article.key)
    for split, keys in splits.items():
        yield split, np.fromiter(keys, dtype=np.uint64, count=len(keys))


class DistinctKeys(beam.CombineFn):
    """Count distinct article keys exactly, in 8 bytes an article."""

    def create_accumulator(self) -> list[Keys]:
        """Return no keys."""
        return []

    def add_input(self, accumulator: list[Keys], keys: Keys) -> list[Keys]:
        """Add the keys of one shard."""
        accumulator.append(keys)
        return self.compact(accumulator) if len(accumulator) > MAX_LOOSE_ARRAYS else accumulator

    def merge_accumulators(self, accumulators: Iterable[list[Keys]]) -> list[Keys]:
        """Unite the keys."""
        return self.compact([keys for accumulator in accumulators for keys in accumulator])

    def compact(self, accumulator: list[Keys]) -> list[Keys]:
        """Return the keys as one array, each once."""
        return [np.unique(np.concatenate(accumulator))] if accumulator else []

    def extract_output(self, accumulator: list[Keys]) -> int:
        """Return how many distinct keys there are."""
        return sum(len(keys) for keys in self.compact(accumulator))
