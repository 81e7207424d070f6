"""What flows through the graph: small frozen records, each one shard's worth of something."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Tokens = npt.NDArray[np.int32]

CELL = 64  # pixels of a page's side that DeepSeek-OCR's encoder turns into one row of vision tokens


class VisionMode(NamedTuple):
    """A named page size, e.g. VisionMode("tiny", 512)."""

    name: str
    px: int

    @property
    def vision_tokens(self) -> int:
        """Tokens the encoder makes of a page: a square of cells, a newline a row, a separator."""
        cells = self.px // CELL
        return cells * cells + cells + 1


VISION_MODES = (
    VisionMode("tiny", 512),
    VisionMode("small", 640),
    VisionMode("base", 1024),
    VisionMode("large", 1280),
)


class Shard(NamedTuple):
    """A run of rows of one row group: the unit of work, of commit, of retry and of resume.

    number: position in the plan. start: first row within the row group. first_row: position of
    that row over all input rows. Example: Shard(3, "a.parquet", 1, 256, 256, 1280).
    """

    number: int
    path: str
    row_group: int
    start: int
    rows: int
    first_row: int


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
class Article:
    """One input row; `tokens` once it is tokenized."""

    row: int
    wiki_id: str
    title: str
    text: str
    tokens: Tokens | None = None


@dataclass(frozen=True)
class Sample:
    """One chunk of one article, with its pages' metadata by mode once it is rendered."""

    row: int
    wiki_id: str
    title: str
    chunk_index: int
    total_article_tokens: int
    context_tokens: Tokens
    continuation_tokens: Tokens
    context_text: str
    font_metadata: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The sample's name, e.g. sample_000001_chunk_0."""
        return sample_id(self.row, self.chunk_index)

    def json_line(self) -> bytes:
        """Return the sample as one line of ASCII JSON."""
        record = {
            "id": self.id,
            "wiki_id": self.wiki_id,
            "title": self.title,
            "chunk_index": self.chunk_index,
            "total_article_tokens": self.total_article_tokens,
            "context_tokens": self.context_tokens.tolist(),
            "continuation_tokens": self.continuation_tokens.tolist(),
            "context_text": self.context_text,
            "images": {mode: image_name(mode, self.id) for mode in self.font_metadata},
            "font_metadata": self.font_metadata,
        }
        return json.dumps(record).encode("ascii") + b"\n"


@dataclass(frozen=True)
class ShardArticles:
    """The articles of a shard that are still in, and the account of those that are not."""

    shard: Shard
    articles: tuple[Article, ...]
    dropped: dict[str, int]
    errors: tuple[ArticleError, ...] = ()


@dataclass(frozen=True)
class ShardSamples:
    """The samples of a shard, article by article, and the account of its rows."""

    shard: Shard
    articles: tuple[tuple[Sample, ...], ...]
    dropped: dict[str, int]
    errors: tuple[ArticleError, ...] = ()


def sample_id(row: int, chunk_index: int) -> str:
    """Return the name of a chunk, from its article's global row: what is kept does not matter."""
    return f"sample_{row:06d}_chunk_{chunk_index}"


def image_name(mode: str, sample: str) -> str:
    """Return a picture's path relative to the output directory."""
    return f"images/{mode}/{sample}.png"


def with_drop(dropped: dict[str, int], reason: str, count: int) -> dict[str, int]:
    """Return `dropped` with `count` more for `reason`."""
    return {**dropped, reason: dropped.get(reason, 0) + count} if count else dropped
