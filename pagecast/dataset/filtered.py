"""Writing the kept articles with their tokens as JSON lines.

Each shard commits its piece, a file of lines and the record that vouches for it; in the end the
pieces are merged into `filtered.jsonl`, in input order, and removed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from pagecast import storage
from pagecast.dataset.checkpoint import (
    commit_receipt,
    find_receipt,
    from_checksummed,
    is_intact,
    to_checksummed,
)
from pagecast.dataset.layout import FILTERED, FILTERED_WHOLE, filtered_path, filtered_receipt_path
from pagecast.dataset.sample import Article
from pagecast.dataset.shard import Shard, ShardArticles


class FilteredPiece(NamedTuple):
    """A committed piece: the shard's kept articles, and the size and hash of their lines."""

    shard: Shard
    articles: int
    size: int
    lines_sha256: str

    def to_json(self) -> bytes:
        """Return the piece's record."""
        return to_checksummed({**self._asdict(), "shard": self.shard._asdict()})

    @classmethod
    def from_json(cls, content: bytes) -> FilteredPiece:
        """Read what `to_json` wrote.

        Raises:
          ValueError: it is not such a record.
        """
        try:
            fields = from_checksummed(content)
            return cls(**{**fields, "shard": Shard(**fields["shard"])})
        except (KeyError, TypeError) as error:
            raise ValueError(f"not the record of filtered articles: {error}") from error


def article_line(article: Article) -> bytes:
    """Return a tokenized article as one line of ASCII JSON."""
    assert article.tokens is not None, "an article is tokenized before it is kept"
    record = {
        "id": article.wiki_id,
        "title": article.title,
        "text": article.text,
        "tokens": article.tokens.tolist(),
        "total_tokens": len(article.tokens),
    }
    return json.dumps(record).encode("ascii") + b"\n"


def write_filtered(batch: ShardArticles, output_dir: str) -> FilteredPiece:
    """Commit a shard's kept articles, then the record of them."""
    storage.protect(output_dir)
    number = batch.shard.number
    lines = map(article_line, batch.articles)
    written = storage.commit_hashed(filtered_path(output_dir, number), lines)
    piece = FilteredPiece(batch.shard, len(batch.articles), *written)
    commit_receipt(output_dir, filtered_receipt_path(output_dir, number), piece.to_json())
    return piece


def find_filtered(shard: Shard, output_dir: str) -> FilteredPiece | None:
    """Return the piece of a shard that an earlier run committed, if it is intact."""
    path = filtered_receipt_path(output_dir, shard.number)
    piece = find_receipt(path, FilteredPiece.from_json)
    if piece is None or not piece.shard.has_rows_of(shard):
        return None
    lines = storage.WrittenFile(piece.size, piece.lines_sha256)
    return piece if is_intact(filtered_path(output_dir, shard.number), lines) else None


def merge_pieces(output_dir: str, shards: Iterable[Shard]) -> dict[str, Any]:
    """Merge the pieces of all shards into filtered.jsonl and return the record of the whole.

    Raises:
      OSError, ValueError: a piece is missing or damaged.
    """
    articles = 0

    def content() -> Iterator[bytes]:
        nonlocal articles
        for shard in shards:
            record = storage.read_bytes(filtered_receipt_path(output_dir, shard.number))
            articles += FilteredPiece.from_json(record).articles
            yield from storage.read_pieces(filtered_path(output_dir, shard.number))

    size, digest = storage.commit_hashed(storage.join(output_dir, FILTERED), content())
    whole = {"articles": articles, "bytes": size, "sha256": digest}
    record = json.dumps(whole).encode() + b"\n"
    commit_receipt(output_dir, storage.private(output_dir, FILTERED_WHOLE), record)
    return whole


def find_whole(output_dir: str) -> dict[str, Any] | None:
    """Return the record of an earlier run's filtered.jsonl, if the file is as it says."""
    try:
        whole = json.loads(storage.read_bytes(storage.private(output_dir, FILTERED_WHOLE)))
        found = measure(output_dir)
    except (OSError, ValueError, RecursionError):
        return None
    # Every field: the record goes into the manifest as it is.
    return found if whole == found else None


def measure(output_dir: str) -> dict[str, Any]:
    """Return what the record of filtered.jsonl should be, from the file as it is.

    Raises:
      OSError: it is not there or cannot be read.
    """
    digest, lines, size, last = hashlib.sha256(), 0, 0, b"\n"
    for piece in storage.read_pieces(storage.join(output_dir, FILTERED)):
        digest.update(piece)
        lines += piece.count(b"\n")
        size += len(piece)
        last = piece
    lines += not last.endswith(b"\n")  # one that was cut short
    return {"articles": lines, "bytes": size, "sha256": digest.hexdigest()}


def remove_pieces(output_dir: str, shards: Iterable[Shard]) -> None:
    """Remove the pieces, which the merged file has made superfluous."""
    for shard in shards:
        number = shard.number
        storage.remove(
            [filtered_receipt_path(output_dir, number), filtered_path(output_dir, number)]
        )
