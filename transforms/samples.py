"""Committing a shard: its samples as JSON lines, then the receipt. No receipt, no shard."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam

from transforms import metrics, storage
from transforms.records import ArticleError, Shard, ShardSamples

PENDING = "pending"


class ArticleLines(NamedTuple):
    """Where an article's samples lie: the byte lengths of its lines, in chunk order.

    The lines of a shard follow one another, so the lengths give every byte range.
    """

    row: int
    wiki_id: str
    lengths: tuple[int, ...]


class Receipt(NamedTuple):
    """What a committed shard holds; `articles` are those that gave samples, in row order."""

    shard: Shard
    kept: int
    dropped: dict[str, int]
    errors: tuple[ArticleError, ...]
    pages: int
    jsonl_bytes: int
    jsonl_sha256: str
    articles: tuple[ArticleLines, ...]

    @property
    def samples(self) -> int:
        """Number of samples in the shard."""
        return sum(len(article.lengths) for article in self.articles)

    def to_json(self) -> bytes:
        """Return the receipt as a file's content."""
        fields = self._asdict()
        fields["shard"] = self.shard._asdict()
        fields["errors"] = [error._asdict() for error in self.errors]
        return json.dumps(fields).encode("ascii") + b"\n"

    @classmethod
    def from_json(cls, content: bytes) -> Receipt:
        """Read what `to_json` wrote.

        Raises:
          ValueError: it is not a whole receipt.
        """
        try:
            fields: dict[str, Any] = json.loads(content)
            fields["shard"] = Shard(**fields["shard"])
            fields["errors"] = tuple(ArticleError(**error) for error in fields["errors"])
            fields["articles"] = tuple(
                ArticleLines(row, wiki_id, tuple(lengths))
                for row, wiki_id, lengths in fields["articles"]
            )
            return cls(**fields)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a receipt: {error}") from error


def shard_path(output_dir: str, shard: int) -> str:
    """Return where a shard's samples are."""
    return storage.private(output_dir, "shards", f"{shard:05d}.jsonl")


def receipt_path(output_dir: str, shard: int) -> str:
    """Return where a shard's receipt is."""
    return storage.private(output_dir, "shards", f"{shard:05d}.json")


def write_samples(batch: ShardSamples, output_dir: str) -> Receipt:
    """Commit a shard and return its receipt, which is written last."""
    digest = hashlib.sha256()
    articles: list[ArticleLines] = []

    def lines() -> Iterator[bytes]:
        for samples in batch.articles:
            lengths = []
            for sample in samples:
                line = sample.json_line()
                digest.update(line)
                lengths.append(len(line))
                yield line
            articles.append(ArticleLines(samples[0].row, samples[0].wiki_id, tuple(lengths)))

    size = storage.commit(shard_path(output_dir, batch.shard.number), lines())
    receipt = Receipt(
        shard=batch.shard,
        kept=batch.shard.rows - sum(batch.dropped.values()) - len(batch.errors),
        dropped=batch.dropped,
        errors=tuple(sorted(batch.errors)),
        pages=sum(len(s.font_metadata) for samples in batch.articles for s in samples),
        jsonl_bytes=size,
        jsonl_sha256=digest.hexdigest(),
        articles=tuple(articles),
    )
    storage.commit(receipt_path(output_dir, batch.shard.number), [receipt.to_json()])
    return receipt


def find_receipt(shard: Shard, output_dir: str) -> Receipt | None:
    """Return the receipt of a shard that is finished, or None where it has to be done.

    A receipt counts if it is of the very same rows and its samples lie there as it says.
    """
    try:
        receipt = Receipt.from_json(storage.read_bytes(receipt_path(output_dir, shard.number)))
        if receipt.shard._replace(path=shard.path) != shard:  # the input may have moved
            return None
        lines = storage.read_bytes(shard_path(output_dir, shard.number))
    except (OSError, ValueError):
        return None
    intact = hashlib.sha256(lines).hexdigest() == receipt.jsonl_sha256
    return receipt if intact else None


class FindReceipts(beam.DoFn):
    """Tell shards that an earlier run finished from those still to do.

    The main output has the receipts of the former; the output `pending` has the other shards.
    """

    def __init__(self, output_dir: str) -> None:
        self._output_dir = output_dir

    def process(self, shard: Shard) -> Iterator[Any]:
        """Yield the shard's receipt, or the shard under the tag `pending`."""
        receipt = find_receipt(shard, self._output_dir)
        yield beam.pvalue.TaggedOutput(PENDING, shard) if receipt is None else receipt


class WriteSamples(beam.DoFn):
    """Commit each shard and count what is in it."""

    def __init__(self, output_dir: str) -> None:
        self._output_dir = output_dir

    def process(self, batch: ShardSamples) -> Iterator[Receipt]:
        """Yield the receipt of the committed shard."""
        receipt = write_samples(batch, self._output_dir)
        metrics.count(metrics.ARTICLES_READ, receipt.shard.rows)
        metrics.count(metrics.ARTICLES_KEPT, receipt.kept)
        metrics.count(metrics.ARTICLES_FAILED, len(receipt.errors))
        metrics.count(metrics.SAMPLES, receipt.samples)
        metrics.count(metrics.PAGES, receipt.pages)
        for reason, amount in receipt.dropped.items():
            metrics.count(metrics.ARTICLES_DROPPED + reason, amount)
        yield receipt
