"""Finding the borders of val and train without sorting anything globally.

A histogram over the top bits of the article keys says in which buckets the two borders lie, and
only the articles of those buckets are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import apache_beam as beam
import numpy as np
import numpy.typing as npt

from pagecast.dataset.receipts import Receipt
from pagecast.dataset.split import (
    CANDIDATE_BITS,
    ArticleKey,
    Position,
    SplitPlan,
    SplitSettings,
    article_key,
    targets,
)

BUCKET_BITS = CANDIDATE_BITS

Counts = npt.NDArray[np.int64]


class Histogram(NamedTuple):
    """Samples per bucket of article keys, the outermost articles seen, bytes of lines and pages."""

    counts: Counts
    first: ArticleKey | None
    last: ArticleKey | None
    size: int = 0
    image_size: int = 0


def bucket(key: int) -> int:
    """Return the bucket of an article key: its top 12 bits."""
    return key >> (64 - BUCKET_BITS)


def targets_of(histogram: Histogram, settings: SplitSettings) -> tuple[int, int]:
    """Return the samples that val gets and the most that train gets."""
    most = None
    if settings.candidates is not None:  # which is in buckets, so that they are counted
        most = int(histogram.counts[: settings.candidates].sum())
    several = histogram.first != histogram.last
    return targets(int(histogram.counts.sum()), settings, several, most)


def border_buckets(histogram: Histogram, settings: SplitSettings) -> frozenset[int]:
    """Return the buckets that the borders of val and train can lie in.

    Train begins after the whole of val's border article, whose size is not known yet; it is at
    most what its bucket holds, so train's border is known up to that much.
    """
    ends = np.cumsum(histogram.counts)
    total = int(ends[-1])
    val, train = targets_of(histogram, settings)
    buckets = set()
    val_end = 0
    if val:
        val_bucket = int(np.searchsorted(ends, val))
        val_end = int(ends[val_bucket])
        buckets.add(val_bucket)
    if val + train < total:
        earliest, latest = np.searchsorted(ends, [val + train, min(val_end + train, total)])
        buckets.update(range(int(earliest), int(latest) + 1))
    return frozenset(buckets)


class BorderArticle(NamedTuple):
    """One row of an article in a border bucket: its place in the order and its chunks."""

    article: ArticleKey
    row: int
    chunks: int


def border_articles(
    receipt: Receipt, histogram: Histogram, settings: SplitSettings
) -> Iterator[BorderArticle]:
    """Yield the articles of a receipt that lie in the border buckets."""
    buckets = border_buckets(histogram, settings)
    for lines in receipt.articles:
        article = article_key(settings.seed, lines.wiki_id)
        if bucket(article.key) in buckets:
            yield BorderArticle(article, lines.row, len(lines.lengths))


def plan_split(
    borders: Iterable[BorderArticle], histogram: Histogram, settings: SplitSettings
) -> SplitPlan:
    """Return where val and train end, from the histogram and the articles around the borders."""
    ends = np.cumsum(histogram.counts)
    total = int(ends[-1])
    val, train = targets_of(histogram, settings)
    ordered = sorted(borders)
    val_last, val_end = None, 0  # val_end: samples up to and with all of val's border article
    if val:
        val_last, val_end = _position(val, ordered, ends)
    train = min(train, total - val_end)
    train_last = None
    if val_end + train < total:
        train_last, _ = _position(val_end + train, ordered, ends)
    means = (-(-size // max(total, 1)) for size in (histogram.size, histogram.image_size))
    return SplitPlan(val_last, train_last, val, train, total - val - train, *means)


def _position(nth: int, ordered: list[BorderArticle], ends: Counts) -> tuple[Position, int]:
    """Return the place of the n-th sample (from 1), and how many there are with all its article."""
    place = int(np.searchsorted(ends, nth))
    seen = int(ends[place - 1]) if place else 0
    found: Position | None = None
    for row in ordered:
        if bucket(row.article.key) != place:
            continue
        if found is not None and row.article != found.article:
            break
        if found is None and seen + row.chunks >= nth:
            found = Position(row.article, row.row, nth - seen - 1)
        seen += row.chunks
    assert found is not None, "the border lies in a bucket whose articles were gathered"
    return found, seen


class CountKeys(beam.CombineFn):
    """Combine receipts into the histogram of their samples over the article keys."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def create_accumulator(self) -> Histogram:
        """Return a histogram of nothing."""
        return Histogram(np.zeros(1 << BUCKET_BITS, dtype=np.int64), None, None)

    def add_input(self, accumulator: Histogram, receipt: Receipt) -> Histogram:
        """Add the articles of one shard."""
        counts, first, last, size, image_size = accumulator
        counts = counts.copy()
        for lines in receipt.articles:
            article = article_key(self._seed, lines.wiki_id)
            counts[bucket(article.key)] += len(lines.lengths)
            first = article if first is None else min(first, article)
            last = article if last is None else max(last, article)
        size, image_size = size + receipt.jsonl_bytes, image_size + receipt.image_bytes
        return Histogram(counts, first, last, size, image_size)

    def merge_accumulators(self, accumulators: Iterable[Histogram]) -> Histogram:
        """Add histograms."""
        merged = list(accumulators)
        return Histogram(
            np.sum([histogram.counts for histogram in merged], axis=0, dtype=np.int64),
            min((h.first for h in merged if h.first is not None), default=None),
            max((h.last for h in merged if h.last is not None), default=None),
            sum(h.size for h in merged),
            sum(h.image_size for h in merged),
        )

    def extract_output(self, accumulator: Histogram) -> Histogram:
        """Return the histogram itself."""
        return accumulator


class PlanSplit(beam.PTransform):
    """Find the borders of val and train: receipts to one `SplitPlan`."""

    def __init__(self, settings: SplitSettings) -> None:
        super().__init__()
        self.settings = settings

    def expand(self, receipts: beam.PCollection) -> beam.PCollection:
        """Return a collection of the one plan."""
        histogram = receipts | "CountKeys" >> beam.CombineGlobally(CountKeys(self.settings.seed))
        borders = receipts | "BorderArticles" >> beam.FlatMap(
            border_articles, beam.pvalue.AsSingleton(histogram), self.settings
        )
        return (
            borders
            | "GatherBorders" >> beam.combiners.ToList()
            | "FindBorders"
            >> beam.Map(plan_split, beam.pvalue.AsSingleton(histogram), self.settings)
        )
