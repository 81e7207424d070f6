"""The samples that a receipt says are there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pagecast.dataset.receipts import Receipt
from pagecast.dataset.sample import sample_id


class Expected(NamedTuple):
    """A sample that a receipt says is there: its place among the shard's, and its line's range."""

    number: int
    row: int
    wiki_id: str
    chunk: int
    chunks: int
    offset: int
    length: int

    @property
    def id(self) -> str:
        """The sample's name."""
        return sample_id(self.row, self.chunk)


def expected_samples(receipt: Receipt) -> Iterator[Expected]:
    """Yield the samples of a shard as its receipt has them, in input order."""
    number = offset = 0
    for article in receipt.articles:
        chunks = len(article.lengths)
        for chunk, length in enumerate(article.lengths):
            yield Expected(number, article.row, article.wiki_id, chunk, chunks, offset, length)
            number += 1
            offset += length
