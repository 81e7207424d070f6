"""Writing the split: every sample to the part of the file that its key falls into.

A part is a key range of one split. What is grouped is where the lines of a shard's
samples lie, packed by part; the lines themselves are fetched by byte range when a part is written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import apache_beam as beam
import numpy as np

from transforms import storage
from transforms.records import sample_id
from transforms.samples import Receipt, shard_path
from transforms.split import (
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

PART_SAMPLES = 20_000  # the sample references of a part are held in memory at once
REFERENCE = np.dtype(
    [("key", "<u8"), ("row", "<i8"), ("chunk", "<i4"), ("length", "<i4"), ("offset", "<i8")]
)
KEY_BITS = 64
MAX_LOOSE_ARRAYS = 256
USED, ALL = "used", "all"  # beside "val" and "train", what articles are counted by


class Part(NamedTuple):
    """A written part; `name` is its file's stem, e.g. train-00003-of-00025."""

    name: str
    samples: int
    size: int


def part_count(samples: int) -> int:
    """Return how many parts a split of that many samples has: at least one, even if it is empty."""
    return max(1, -(-samples // PART_SAMPLES))


def part_names(split: str, samples: int) -> list[str]:
    """Return the parts of a split in the order of their keys."""
    of = part_count(samples)
    return [f"{split}-{number:05d}-of-{of:05d}" for number in range(of)]


def part_path(output_dir: str, name: str, merge: bool) -> str:
    """Return where a part lies: among the private files if it is to be merged, else in the open."""
    file = f"{name}.jsonl"
    return storage.private(output_dir, "parts", file) if merge else storage.join(output_dir, file)


def assign_split(
    receipt: Receipt, plan: SplitPlan, settings: SplitSettings
) -> Iterator[tuple[str, tuple[int, bytes]]]:
    """Yield, for each part that a shard has samples in, the shard and its packed references."""
    names = {split: part_names(split, plan.size(split)) for split in (VAL, TRAIN)}
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
    for name, rows in references.items():
        yield name, (receipt.shard.number, np.array(rows, dtype=REFERENCE).tobytes())


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


def write_part(
    name: str, shards: Iterable[tuple[int, bytes]], output_dir: str, merge: bool
) -> Part:
    """Write one part, its lines in the order of their sample keys, and say what is in it."""
    references = [
        (key, sample_id(row, chunk), shard, offset, length)
        for shard, packed in shards
        for key, row, chunk, length, offset in np.frombuffer(packed, dtype=REFERENCE).tolist()
    ]
    references.sort()
    with storage.RangeReader() as lines:
        size = storage.commit(
            part_path(output_dir, name, merge),
            (
                lines.read(shard_path(output_dir, shard), offset, length)
                for _, _, shard, offset, length in references
            ),
        )
    return Part(name, len(references), size)


class WritePart(beam.DoFn):
    """Write each part of the split."""

    def __init__(self, output_dir: str, merge: bool) -> None:
        self._output_dir = output_dir
        self._merge = merge

    def process(self, element: tuple[str, Iterable[tuple[int, bytes]]]) -> Iterator[Part]:
        """Yield what was written."""
        name, shards = element
        yield write_part(name, shards, self._output_dir, self._merge)
