"""Shards, and what flows through the graph: each record is one shard's worth of something."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pagecast import storage
from pagecast.dataset.sample import Article, ModeImages, Sample

FAILED = "failed"


class Shard(NamedTuple):
    """A run of rows of one row group: the unit of work, of commit, of retry and of resume.

    number: position in the plan. start: first row within the row group. first_row: position of
    that row over all input rows. offset: in a file of JSON lines, where lines in succession are
    taken for a group, the byte at which that begins. footer_sha256: of the parquet file, if it is
    known.
    Example: Shard(3, "a.parquet", 1, 256, 256, 1280).
    """

    number: int
    path: str
    row_group: int
    start: int
    rows: int
    first_row: int
    offset: int | None = None
    footer_sha256: str | None = None

    def has_rows_of(self, other: Shard) -> bool:
        """Tell whether two shards are the very same rows; the input may have moved meanwhile."""
        known = self.footer_sha256, other.footer_sha256
        if None not in known and known[0] != known[1]:
            return False
        return self._replace(path=other.path, footer_sha256=other.footer_sha256) == other


class Failure(NamedTuple):
    """Input that could not be read at all: a file, or one shard of it."""

    path: str
    where: str
    reason: str


class ArticleError(NamedTuple):
    """An article that could not be processed, and why."""

    row: int
    wiki_id: str
    step: str
    reason: str


@dataclass(frozen=True)
class ShardArticles:
    """The articles of a shard that are still in, and the account of those that are not."""

    shard: Shard
    articles: tuple[Article, ...]
    dropped: dict[str, int]
    errors: tuple[ArticleError, ...] = ()


@dataclass(frozen=True)
class ShardSamples:
    """The samples of a shard, article by article, the account of its rows, and its images.

    losses: what tokens do not keep of the articles, by its name; None if that is not counted.
    """

    shard: Shard
    articles: tuple[tuple[Sample, ...], ...]
    dropped: dict[str, int]
    errors: tuple[ArticleError, ...] = ()
    images: dict[str, ModeImages] = field(default_factory=dict)
    losses: dict[str, int] | None = None


def with_drop(dropped: dict[str, int], reason: str, count: int) -> dict[str, int]:
    """Return `dropped` with `count` more for `reason`."""
    return {**dropped, reason: dropped.get(reason, 0) + count} if count else dropped


def plan_line(entry: Shard | Failure) -> bytes:
    """Return one line of the plan file."""
    kind = FAILED if isinstance(entry, Failure) else "shard"
    return json.dumps({kind: entry._asdict()}).encode("ascii") + b"\n"


def read_plan(path: str) -> Iterator[Shard | Failure]:
    """Yield the shards and the unreadable files of a plan file, in input order."""
    with storage.open_read(path) as file:
        for line in file:
            entry: dict[str, Any] = json.loads(line)
            if FAILED in entry:
                yield Failure(**entry[FAILED])
            else:
                yield Shard(**entry["shard"])
