"""Cutting the input into shards, and reading the list of them back on the workers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import apache_beam as beam

from pagecast.dataset.shard import FAILED, Failure, Shard, read_plan
from transforms.read.limits import MAX_SHARD_ROWS

MAX_SHARDS_PER_GROUP = 16  # each slice of a row group decodes the group from its start
MAX_SHARD_BYTES = 32 << 20  # of text, on average over a row group


def cut_row_group(rows: int, shard_rows: int, text: int = 0) -> list[tuple[int, int]]:
    """Cut a row group into (start, rows) slices of at most `shard_rows`, of nearly equal size.

    A group that would need more than 16 of them is cut into 16 larger ones, but no slice exceeds
    4096 rows, nor, on average, 32 MB of `text`, the bytes of the group's articles.
    Example: cut_row_group(8, 3) == [(0, 3), (3, 3), (6, 2)].
    """
    pieces = min(-(-rows // shard_rows), MAX_SHARDS_PER_GROUP)
    pieces = max(pieces, -(-rows // MAX_SHARD_ROWS), min(rows, -(-text // MAX_SHARD_BYTES)))
    if not pieces:
        return []
    size, longer = divmod(rows, pieces)
    starts = [piece * size + min(piece, longer) for piece in range(pieces + 1)]
    return [(start, end - start) for start, end in pairwise(starts)]


class ReadPlan(beam.PTransform):
    """Read the plan: shards, and under the tag `failed` the files the launcher could not read.

    The graph holds only the plan's path, so it does not grow with the input.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def expand(self, pipeline: beam.Pipeline) -> Any:
        """Return the outputs `shards` and `failed`."""
        return (
            pipeline
            | "PlanPath" >> beam.Create([self.path], reshuffle=False)
            | "PlanLines" >> beam.FlatMap(read_plan)
            | "SortFailures" >> beam.FlatMap(_tag).with_outputs(FAILED, main="shards")
        )


def _tag(entry: Shard | Failure) -> Iterator[Any]:
    yield beam.pvalue.TaggedOutput(FAILED, entry) if isinstance(entry, Failure) else entry
