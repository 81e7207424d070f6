"""Committing a shard: its samples as JSON lines, then the receipt. No receipt, no shard.

Pictures are there before both. The receipt's file also says where each of them lies; that part is
for readers and for verification, and does not travel through the graph.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import apache_beam as beam

from transforms import metrics, storage
from transforms.filtered import find_filtered
from transforms.records import (
    ArticleError,
    ModePictures,
    Picture,
    Sample,
    Shard,
    ShardSamples,
)

PENDING, INCOMPLETE, UNFILTERED = "pending", "incomplete", "unfiltered"


class ArticleLines(NamedTuple):
    """Where an article's samples lie: the byte lengths of its lines, in chunk order.

    The lines of a shard follow one another, so the lengths give every byte range.
    """

    row: int
    wiki_id: str
    lengths: tuple[int, ...]


class Receipt(NamedTuple):
    """What a committed shard holds; `articles` are those that gave samples, in row order.

    modes: the vision modes of its samples. pages: the pictures stored.
    """

    shard: Shard
    modes: tuple[str, ...]
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

    def to_json(self, pictures: Mapping[str, ModePictures]) -> bytes:
        """Return the content of the receipt's file, with the places of the shard's pictures."""
        fields = self._asdict()
        fields["shard"] = self.shard._asdict()
        fields["errors"] = [error._asdict() for error in self.errors]
        fields["pictures"] = {
            mode: pictures[mode]._asdict() for mode in self.modes if mode in pictures
        }
        return json.dumps(fields).encode("ascii") + b"\n"

    @classmethod
    def from_json(cls, content: bytes) -> Receipt:
        """Read what `to_json` wrote.

        Raises:
          ValueError: it is not a whole receipt.
        """
        try:
            fields: dict[str, Any] = json.loads(content)
            del fields["pictures"]
            fields["shard"] = Shard(**fields["shard"])
            fields["modes"] = tuple(fields["modes"])
            fields["errors"] = tuple(ArticleError(**error) for error in fields["errors"])
            fields["articles"] = tuple(
                ArticleLines(row, wiki_id, tuple(lengths))
                for row, wiki_id, lengths in fields["articles"]
            )
            return cls(**fields)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"not a receipt: {error}") from error


def read_pictures(content: bytes) -> dict[str, ModePictures]:
    """Return where a shard's pictures are, mode by mode, from the content of its receipt's file.

    Raises:
      ValueError: it is not a whole receipt.
    """
    try:
        return {
            mode: ModePictures(
                stored["tar"],
                stored["size"],
                {sample: Picture(*place) for sample, place in stored["places"].items()},
            )
            for mode, stored in json.loads(content)["pictures"].items()
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a receipt: {error}") from error


def shard_path(output_dir: str, shard: int) -> str:
    """Return where a shard's samples are."""
    return storage.private(output_dir, "shards", f"{shard:05d}.jsonl")


def receipt_path(output_dir: str, shard: int) -> str:
    """Return where a shard's receipt is."""
    return storage.private(output_dir, "shards", f"{shard:05d}.json")


def write_samples(batch: ShardSamples, output_dir: str, modes: Sequence[str]) -> Receipt:
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
        modes=tuple(modes),
        kept=batch.shard.rows - sum(batch.dropped.values()) - len(batch.errors),
        dropped=batch.dropped,
        errors=tuple(sorted(batch.errors)),
        pages=sum(len(stored.places) for stored in batch.pictures.values()),
        jsonl_bytes=size,
        jsonl_sha256=digest.hexdigest(),
        articles=tuple(articles),
    )
    content = receipt.to_json(batch.pictures)
    storage.commit(receipt_path(output_dir, batch.shard.number), [content])
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


def restore_samples(shard: Shard, output_dir: str) -> ShardSamples:
    """Read back a committed shard, to render it at more modes.

    Its receipt is removed: from now on its files may change, so it counts as not done.
    """
    path = receipt_path(output_dir, shard.number)
    content = storage.read_bytes(path)
    receipt = Receipt.from_json(content)
    storage.remove([path])
    lines = iter(storage.read_bytes(shard_path(output_dir, shard.number)).splitlines())
    articles = tuple(
        tuple(Sample.from_json_line(next(lines)) for _ in article.lengths)
        for article in receipt.articles
    )
    pictures = read_pictures(content)
    return ShardSamples(shard, articles, receipt.dropped, receipt.errors, pictures)


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
        yield restore_samples(shard, self._output_dir)


class WriteSamples(beam.DoFn):
    """Commit each shard and count what is in it."""

    def __init__(self, output_dir: str, modes: Sequence[str]) -> None:
        self._output_dir = output_dir
        self._modes = tuple(modes)

    def process(self, batch: ShardSamples) -> Iterator[Receipt]:
        """Yield the receipt of the committed shard."""
        receipt = write_samples(batch, self._output_dir, self._modes)
        metrics.count(metrics.ARTICLES_READ, receipt.shard.rows)
        metrics.count(metrics.ARTICLES_KEPT, receipt.kept)
        metrics.count(metrics.ARTICLES_FAILED, len(receipt.errors))
        metrics.count(metrics.SAMPLES, receipt.samples)
        metrics.count(metrics.PAGES, receipt.pages)
        for reason, amount in receipt.dropped.items():
            metrics.count(metrics.ARTICLES_DROPPED + reason, amount)
        yield receipt
