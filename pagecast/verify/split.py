"""The split as the rule gives it, computed from the receipts alone and without the graph's code."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pagecast.dataset.sample import sample_id
from pagecast.dataset.split import (
    CANDIDATE_BITS,
    KEY_BITS,
    TRAIN,
    UNUSED,
    VAL,
    SplitSettings,
    targets,
    u64,
)
from pagecast.verify.lines import Numbers


class Samples:
    """All samples of a dataset, numbered in input order.

    Args:
      articles: row, wiki_id and number of chunks of each article with samples, in row order.
    """

    def __init__(self, articles: Sequence[tuple[int, str, int]]) -> None:
        self.articles = articles
        self._first: dict[int, tuple[int, int]] = {}
        self._article_of = np.repeat(
            np.arange(len(articles)), [chunks for _, _, chunks in articles]
        ).astype(np.int64)
        number = 0
        for article, (row, _, chunks) in enumerate(articles):
            self._first[row] = (number, article)
            number += chunks
        self.count = number

    def number(self, row: int, chunk: int) -> int:
        """Return a sample's number, or -1 where there is no such sample."""
        first, article = self._first.get(row, (-1, -1))
        return first + chunk if article >= 0 and chunk < self.articles[article][2] else -1

    def origin(self, number: int) -> tuple[int, str, int]:
        """Return a sample's row, wiki_id and chunk."""
        article = int(self._article_of[number])
        row, wiki_id, _ = self.articles[article]
        return row, wiki_id, number - self._first[row][0]

    def id(self, number: int) -> str:
        """Return a sample's name."""
        row, _, chunk = self.origin(number)
        return sample_id(row, chunk)


class Split(NamedTuple):
    """The samples of each file in their order, with their keys, and its number of articles.

    wanted: the samples that val would have if all articles were its candidates.
    """

    numbers: dict[str, Numbers]
    keys: dict[str, list[int]]
    articles: dict[str, int]
    wanted: int

    def of_part(self, split: str, number: int, of: int) -> Numbers:
        """Return the samples of a part: those with keys in its range."""
        first, end = (
            bisect_left(self.keys[split], -(-(bound << KEY_BITS) // of))
            for bound in (number, number + 1)
        )
        return self.numbers[split][first:end]


def split_by_the_rule(samples: Samples, settings: SplitSettings) -> Split:
    """Fill val, then train, with articles in key order; list each by sample key, then by id."""
    chunks: dict[str, list[int]] = defaultdict(list)
    number = 0
    for _, wiki_id, count in samples.articles:
        chunks[wiki_id].extend(range(number, number + count))
        number += count
    most = None
    if settings.candidates is not None:
        most = sum(len(n) for wiki_id, n in chunks.items() if _is_candidate(wiki_id, settings))
    val, train = targets(samples.count, settings, len(chunks) > 1, most)
    wanted, _ = targets(samples.count, settings, len(chunks) > 1)
    left = {VAL: val, TRAIN: train, UNUSED: samples.count}
    files: dict[str, list[int]] = {VAL: [], TRAIN: [], UNUSED: []}
    articles = dict.fromkeys(files, 0)
    for wiki_id in sorted(chunks, key=lambda wiki_id: (u64(f"{settings.seed}:{wiki_id}"), wiki_id)):
        split = next(name for name in (VAL, TRAIN, UNUSED) if left[name])
        taken = chunks[wiki_id][: left[split]]
        left[split] -= len(taken)
        files[split] += taken
        articles[split] += 1
    ordered: dict[str, Numbers] = {}
    keys: dict[str, list[int]] = {}
    for split in (VAL, TRAIN):
        lines = []
        for number in files[split]:
            row, wiki_id, chunk = samples.origin(number)
            key = u64(f"{settings.seed}:{wiki_id}:{chunk}")
            lines.append((key, sample_id(row, chunk), number))
        lines.sort()
        ordered[split] = np.array([number for _, _, number in lines], dtype=np.int64)
        keys[split] = [key for key, _, _ in lines]
    return Split(ordered, keys, articles, wanted)


def _is_candidate(wiki_id: str, settings: SplitSettings) -> bool:
    """Tell whether val may have an article, where the others' pages vary."""
    share = (settings.candidates or 0) / (1 << CANDIDATE_BITS)
    return u64(f"{settings.seed}:{wiki_id}") < share * (1 << KEY_BITS)
