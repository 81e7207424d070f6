"""Which rows are looked at: some places of the input, spread over all of it, by a seed.

A row alone costs a row group to decode, so rows are taken in clusters of neighbours. All rows are
cut into as many equal stretches as there are clusters, and in each one row is drawn at random; its
cluster is the block of rows of its shard that it lies in. So a block comes in with a probability
in proportion to its rows, and what is found in it, divided by its rows, is on average what there is
in the whole input.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import NamedTuple

from pagecast.dataset.shard import Shard

CLUSTERS = 100  # at most: each is a row group to decode, on the hub a request


class Cluster(NamedTuple):
    """Rows of a shard that are read together; `weight` is how many of the input's a row stands for.

    rows: these, given like a shard. shard: what `run` would read at once.
    """

    rows: Shard
    shard: Shard
    weight: float


class Choice(NamedTuple):
    """The clusters to look at, and of how many rows; `whole` if they are all of these."""

    clusters: list[Cluster]
    rows: int
    whole: bool

    @property
    def read(self) -> int:
        """Rows to be read."""
        return sum(cluster.rows.rows for cluster in self.clusters)


def choose(shards: Sequence[Shard], articles: int, seed: int) -> Choice:
    """Return about `articles` rows of the shards, or all where there are no more.

    A block that is chosen twice is there once, with twice the weight.
    """
    ends = list(accumulate(shard.rows for shard in shards))
    total = ends[-1] if ends else 0
    if total <= articles:
        return Choice([Cluster(shard, shard, 1.0) for shard in shards], total, True)
    clusters = min(CLUSTERS, articles)
    size = articles // clusters
    chance = Random(seed)
    found: dict[Shard, Cluster] = {}
    for number in range(clusters):
        first, last = number * total // clusters, (number + 1) * total // clusters
        row = chance.randrange(first, last)
        place = bisect_right(ends, row)
        shard = shards[place]
        within = row - (ends[place] - shard.rows)
        before = within - within % size
        block = shard._replace(
            start=shard.start + before,
            rows=min(size, shard.rows - before),
            first_row=shard.first_row + before,
        )
        weight = (last - first) / block.rows
        weight += found[block].weight if block in found else 0.0
        found[block] = Cluster(block, shard, weight)
    return Choice(list(found.values()), total, False)
