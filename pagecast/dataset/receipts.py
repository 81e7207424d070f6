"""Receipts: what a committed shard, or a part of a split, holds. No receipt, no shard.

The file also says where each image lies; that part is for readers and for verification, and does
not travel through the graph.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pagecast.dataset.checkpoint import find_receipt, from_checksummed, to_checksummed
from pagecast.dataset.layout import part_receipt_path
from pagecast.dataset.sample import ModeImages, StoredImage
from pagecast.dataset.shard import ArticleError, Shard
from pagecast.storage.write import WrittenFile

IMAGES = b', "pictures": {'  # where that part of a receipt begins; inside a string `"` has a `\\`
SIZE = re.compile(rb'"size": (\d+), "places": \{')


class ArticleLines(NamedTuple):
    """Where an article's samples lie: the byte lengths of its lines, in chunk order.

    The lines of a shard follow one another, so the lengths give every byte range.
    """

    row: int
    wiki_id: str
    lengths: tuple[int, ...]


class Receipt(NamedTuple):
    """What a committed shard holds; `articles` are those that gave samples, in row order.

    modes: the vision modes of its samples. pages: the images stored. losses: what the tokens do
    not keep of its articles; None where the tokenizer keeps all, or earlier versions did not count.
    image_bytes: of all images together, without what a tar has around them.
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
    losses: dict[str, int] | None = None
    image_bytes: int = 0

    @property
    def samples(self) -> int:
        """Number of samples in the shard."""
        return sum(len(article.lengths) for article in self.articles)

    def to_json(self, images: Mapping[str, ModeImages]) -> bytes:
        """Return the content of the receipt's file, with the places of the shard's images."""
        fields = self._asdict()
        del fields["image_bytes"]  # it is in what follows
        fields["shard"] = self.shard._asdict()
        fields["errors"] = [error._asdict() for error in self.errors]
        fields["pictures"] = {mode: images[mode]._asdict() for mode in self.modes if mode in images}
        if self.losses is None:
            del fields["losses"]
        return to_checksummed(fields)

    @classmethod
    def from_json(cls, content: bytes) -> Receipt:
        """Read what `to_json` wrote.

        Raises:
          ValueError: it is not a whole receipt.
        """
        try:
            fields: dict[str, Any] = from_checksummed(content)
            pictures = fields.pop("pictures").values()
            fields["image_bytes"] = sum(
                length for stored in pictures for _, length, _ in stored["places"].values()
            )
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


def read_images(content: bytes) -> dict[str, ModeImages]:
    """Return where a shard's images are, mode by mode, from the content of its receipt's file.

    Raises:
      ValueError: it is not a whole receipt.
    """
    try:
        return {
            mode: ModeImages(
                stored["tar"],
                stored["size"],
                {sample: StoredImage(*place) for sample, place in stored["places"].items()},
            )
            for mode, stored in from_checksummed(content)["pictures"].items()
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a receipt: {error}") from error


class ReceiptCounts(NamedTuple):
    """What a receipt counts for; `failed` articles, `size` in bytes of lines and images."""

    shard: Shard
    modes: tuple[str, ...]
    samples: int
    pages: int
    failed: int
    size: int


def read_counts(content: bytes) -> ReceiptCounts:
    """Return what a receipt counts for, without a look at each image or at the hash: quickly.

    Raises:
      ValueError: it is not a receipt, or not all of it.
    """
    head, found, images = content.partition(IMAGES)
    if not found or not content.endswith(b'"}\n'):
        raise ValueError("not a whole receipt")
    try:
        fields: dict[str, Any] = json.loads(head + b"}")
        return ReceiptCounts(
            shard=Shard(**fields["shard"]),
            modes=tuple(fields["modes"]),
            samples=sum(len(lengths) for _, _, lengths in fields["articles"]),
            pages=fields["pages"],
            failed=len(fields["errors"]),
            size=fields["jsonl_bytes"] + sum(map(int, SIZE.findall(images))),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a receipt: {error}") from error


class InconsistentError(Exception):
    """Pagecast counted the same thing in two ways and got two numbers: a defect, not bad input."""


@dataclass
class Accounts:
    """What became of all rows read; `shards_with_errors` have failed articles in their receipts.

    totals: rows, kept, failed (articles), samples, pages, jsonl_bytes.
    """

    totals: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    shards_with_errors: list[int] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)
    shards_counted: int = 0  # of whose losses it is known
    shards: int = 0

    @property
    def losses(self) -> dict[str, dict[str, int] | None]:
        """What the manifest says of losses: nothing, null if it is known of some shards only."""
        if not self.shards_counted:
            return {}
        whole = self.shards_counted == self.shards
        return {"losses": dict(sorted(self.lost.items())) if whole else None}

    @classmethod
    def of(cls, receipt: Receipt) -> Accounts:
        """Return the accounts of one shard."""
        totals = Counter(
            rows=receipt.shard.rows,
            kept=receipt.kept,
            failed=len(receipt.errors),
            samples=receipt.samples,
            pages=receipt.pages,
            jsonl_bytes=receipt.jsonl_bytes,
        )
        with_errors = [receipt.shard.number] if receipt.errors else []
        return cls(
            totals,
            Counter(receipt.dropped),
            with_errors,
            Counter(receipt.losses or {}),
            int(receipt.losses is not None),
            1,
        )

    def add(self, other: Accounts) -> Accounts:
        """Add other accounts to these, and return these."""
        self.totals.update(other.totals)
        self.dropped.update(other.dropped)
        self.shards_with_errors.extend(other.shards_with_errors)
        self.lost.update(other.lost)
        self.shards_counted += other.shards_counted
        self.shards += other.shards
        return self

    def check(self) -> None:
        """Make sure that every row is kept, dropped or failed.

        Raises:
          InconsistentError: rows are missing or counted twice.
        """
        rows, kept = self.totals["rows"], self.totals["kept"]
        found = kept + self.dropped.total() + self.totals["failed"]
        if rows != found or kept < 0:
            raise InconsistentError(f"{rows} rows read, but {found} kept, dropped or failed")


class Part(NamedTuple):
    """A written part and its receipt; `name` is its file's stem, e.g. train-00003-of-00025.

    references: SHA-256 of where its samples were taken from. lines: the JSON lines. arrow: the
    Arrow file, if there is one. offset: where the lines begin in the merged file, once they are
    there and no longer in a file of their own. parquet: the Parquet files, if there are such. A
    receipt is there before the files it names, so that a file without one is not ours.
    """

    name: str
    references: str
    samples: int
    lines: WrittenFile
    arrow: WrittenFile | None
    offset: int | None
    parquet: tuple[WrittenFile, ...] | None = None

    @property
    def split(self) -> str:
        """Which split the part belongs to."""
        return self.name.split("-")[0]

    def to_json(self) -> bytes:
        """Return the receipt as a file's content."""
        fields = self._asdict()
        if self.parquet is None:  # as it was before there were such
            del fields["parquet"]
        return to_checksummed(fields)

    @classmethod
    def from_json(cls, content: bytes) -> Part:
        """Read what `to_json` wrote.

        Raises:
          ValueError: it is not a whole receipt.
        """
        try:
            fields = from_checksummed(content)
            fields["lines"] = WrittenFile(*fields["lines"])
            fields["arrow"] = fields["arrow"] and WrittenFile(*fields["arrow"])
            if "parquet" in fields:
                fields["parquet"] = tuple(WrittenFile(*file) for file in fields["parquet"])
            return cls(**fields)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not the receipt of a part: {error}") from error


def find_part(output_dir: str, name: str) -> Part | None:
    """Return the receipt of a part that an earlier run wrote."""
    return find_receipt(part_receipt_path(output_dir, name), Part.from_json)
