"""Committing a shard: its samples as JSON lines, then the receipt. No receipt, no shard.

Images are there before both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam

from pagecast import storage
from pagecast.dataset import checkpoint
from pagecast.dataset.checkpoint import commit_receipt, is_intact
from pagecast.dataset.filtered import find_filtered
from pagecast.dataset.layout import receipt_path, shard_path
from pagecast.dataset.receipts import ArticleLines, Receipt, read_images
from pagecast.dataset.sample import Sample
from pagecast.dataset.shard import Shard, ShardSamples
from transforms import metrics

# What `FindReceipts` says of shards.
FINISHED, PENDING, INCOMPLETE = "finished", "pending", "incomplete"
UNFILTERED = "unfiltered"


def write_samples(batch: ShardSamples, output_dir: str, modes: Sequence[str]) -> Receipt:
    """Commit a shard and return its receipt, which is written last."""
    storage.protect(output_dir)
    articles: list[ArticleLines] = []

    def lines() -> Iterator[bytes]:
        for samples in batch.articles:
            lengths = []
            for sample in samples:
                line = sample.json_line()
                lengths.append(len(line))
                yield line
            articles.append(ArticleLines(samples[0].row, samples[0].wiki_id, tuple(lengths)))

    written = storage.commit_hashed(shard_path(output_dir, batch.shard.number), lines())
    receipt = Receipt(
        shard=batch.shard,
        modes=tuple(modes),
        kept=batch.shard.rows - sum(batch.dropped.values()) - len(batch.errors),
        dropped=batch.dropped,
        errors=tuple(sorted(batch.errors)),
        pages=sum(len(stored.places) for stored in batch.images.values()),
        jsonl_bytes=written.size,
        jsonl_sha256=written.sha256,
        articles=tuple(articles),
        losses=batch.losses,
        image_bytes=sum(stored.image_bytes for stored in batch.images.values()),
    )
    path = receipt_path(output_dir, batch.shard.number)
    commit_receipt(output_dir, path, receipt.to_json(batch.images))
    return receipt


def find_receipt(shard: Shard, output_dir: str) -> Receipt | None:
    """Return the receipt of a shard that is finished, or None where it has to be done.

    A receipt counts if it is of the very same rows and its samples lie there as it says.
    """
    receipt = checkpoint.find_receipt(receipt_path(output_dir, shard.number), Receipt.from_json)
    if receipt is None or not receipt.shard.has_rows_of(shard):
        return None
    lines = storage.WrittenFile(receipt.jsonl_bytes, receipt.jsonl_sha256)
    return receipt if is_intact(shard_path(output_dir, shard.number), lines) else None


def restore_samples(shard: Shard, output_dir: str) -> ShardSamples:
    """Read back a committed shard, to render it at more modes.

    Its receipt is removed: from now on its files may change, so it counts as not done.
    """
    storage.protect(output_dir)
    path = receipt_path(output_dir, shard.number)
    content = storage.read_bytes(path)
    receipt = Receipt.from_json(content)
    storage.remove([path])
    storage.flush(output_dir)
    lines = iter(storage.read_bytes(shard_path(output_dir, shard.number)).splitlines())
    articles = tuple(
        tuple(Sample.from_json_line(next(lines)) for _ in article.lengths)
        for article in receipt.articles
    )
    images = read_images(content)
    return ShardSamples(shard, articles, receipt.dropped, receipt.errors, images, receipt.losses)


class FindReceipts(beam.DoFn):
    """Tell shards that an earlier run finished from those still to do.

    The main output has the receipts of the former. The output `pending` has the shards to do from
    the start, and `incomplete` those that only lack some of the modes.

    Args:
      modes: names of the vision modes wanted.
      filtered: whether the kept articles are wanted too; shards that are done but for those go
        to the output `unfiltered`.
    """

    def __init__(self, output_dir: str, modes: Sequence[str], filtered: bool = False) -> None:
        self._output_dir = output_dir
        self._modes = tuple(modes)
        self._filtered = filtered

    def process(self, shard: Shard) -> Iterator[Any]:
        """Yield the shard's receipt, or the shard under the tag that says what it lacks."""
        with metrics.timed("find_receipts"):
            receipt = find_receipt(shard, self._output_dir)
        if receipt is None or not set(receipt.modes) <= set(self._modes):
            yield beam.pvalue.TaggedOutput(PENDING, shard)
            return
        if receipt.modes == self._modes:
            yield receipt
        else:
            yield beam.pvalue.TaggedOutput(INCOMPLETE, shard)
        if self._filtered and find_filtered(shard, self._output_dir) is None:
            yield beam.pvalue.TaggedOutput(UNFILTERED, shard)


class RestoreSamples(beam.DoFn):
    """Read back the samples of committed shards."""

    def __init__(self, output_dir: str) -> None:
        self._output_dir = output_dir

    def process(self, shard: Shard) -> Iterator[ShardSamples]:
        """Yield the shard's samples, with the metadata of the modes they have."""
        with metrics.timed("restore_samples"):
            restored = restore_samples(shard, self._output_dir)
        yield restored


class WriteSamples(beam.DoFn):
    """Commit each shard and count what is in it."""

    def __init__(self, output_dir: str, modes: Sequence[str]) -> None:
        self._output_dir = output_dir
        self._modes = tuple(modes)

    def process(self, batch: ShardSamples) -> Iterator[Receipt]:
        """Yield the receipt of the committed shard."""
        with metrics.timed("write_samples"):
            receipt = write_samples(batch, self._output_dir, self._modes)
        metrics.count(metrics.ARTICLES_READ, receipt.shard.rows)
        metrics.count(metrics.ARTICLES_KEPT, receipt.kept)
        metrics.count(metrics.ARTICLES_FAILED, len(receipt.errors))
        metrics.count(metrics.SAMPLES, receipt.samples)
        metrics.count(metrics.PAGES, receipt.pages)
        metrics.count(metrics.SAMPLE_BYTES, receipt.jsonl_bytes)
        metrics.count(metrics.IMAGE_BYTES, sum(p.size for p in batch.images.values()))
        for reason, amount in receipt.dropped.items():
            metrics.count(metrics.ARTICLES_DROPPED + reason, amount)
        yield receipt
