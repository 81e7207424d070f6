"""The split: whole articles to val, train or neither, in an order that only hashes decide.

Articles in key order fill val, then train; the border article of each gives its first chunks up to
the exact count. The plan is two positions in that order, which any worker can compare a sample to.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

VAL, TRAIN, UNUSED = "val", "train", "unused"
PART_SAMPLES = 20_000  # the sample references of a part are held in memory at once
PART_BYTES = 400_000_000  # of JSON lines; an Arrow file is at most a third larger, mostly smaller
PARQUET_BYTES = 500_000_000  # of lines and images, about, in a Parquet file
KEY_BITS = 64
CANDIDATE_BITS = 12  # of a key, by which articles are candidates of val or not

Keys = npt.NDArray[np.uint64]


class SplitSettings(NamedTuple):
    """What decides a split: the sizes asked for, in samples, and the seed of all keys.

    candidates: of how many of 4096 equal ranges of keys val may have articles; None for all.
    """

    max_samples: int
    val_size: int
    seed: int
    candidates: int | None = None

    def asked(self) -> dict[str, int]:
        """Return what was asked for, by the names of the options."""
        return {name: getattr(self, name) for name in ASKED}


ASKED = ("max_samples", "val_size", "seed")


class ArticleKey(NamedTuple):
    """An article's place in the order of the split: its hash, then its id."""

    key: int
    wiki_id: str


class Position(NamedTuple):
    """A sample's place in the order of the split."""

    article: ArticleKey
    row: int
    chunk: int


class SplitPlan(NamedTuple):
    """Where val and train end, both inclusive, and how many samples each has.

    `val_last` is None when val is empty; `train_last` is None when train takes all that is left.
    `sample_bytes` is the mean length of all samples' lines, rounded up, `image_bytes` that of all
    the images of a sample.
    """

    val_last: Position | None
    train_last: Position | None
    val: int
    train: int
    unused: int
    sample_bytes: int = 0
    image_bytes: int = 0

    def split_of(self, position: Position) -> str:
        """Return "val", "train" or "unused" for a sample."""
        if self.val_last is not None:
            if position <= self.val_last:
                return VAL
            if position.article == self.val_last.article:
                return UNUSED  # the rest of the border article must not leak into train
        if self.train_last is None or position <= self.train_last:
            return TRAIN
        return UNUSED

    def size(self, split: str) -> int:
        """Return the number of samples of "val" or "train"."""
        return self.val if split == VAL else self.train

    def files_of(self, split: str) -> int:
        """Return how many Parquet files each part of "val" or "train" is cut into."""
        return parquet_count(self.size(split), self.sample_bytes, self.image_bytes)


def u64(text: str) -> int:
    """Return the first 8 bytes, big-endian, of the SHA-256 of `text` in UTF-8."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def article_key(seed: int, wiki_id: str) -> ArticleKey:
    """Return an article's place in the order of the split."""
    return ArticleKey(u64(f"{seed}:{wiki_id}"), wiki_id)


def sample_key(seed: int, wiki_id: str, chunk: int) -> int:
    """Return the key by which a file lists its samples."""
    return u64(f"{seed}:{wiki_id}:{chunk}")


def targets(
    total: int, settings: SplitSettings, several_articles: bool, most_val: int | None = None
) -> tuple[int, int]:
    """Return the samples that val gets and the most that train gets, of `total` samples.

    With fewer samples than asked for val shrinks in proportion, but a val that was asked for keeps
    one sample as long as there are two articles.

    Args:
      most_val: the samples of articles that are candidates of val, where not all are.
    """
    max_samples, val = settings.max_samples, settings.val_size
    if total < max_samples:
        val = val * total // max_samples
        if several_articles and settings.val_size:
            val = max(val, 1)
    if most_val is not None:
        val = min(val, most_val)
    return val, max_samples - val


def part_count(samples: int, sample_bytes: int) -> int:
    """Return how many parts a split has: at least one, even if it is empty.

    Args:
      sample_bytes: mean length of a sample's line; the longer they are, the fewer are in a part.
    """
    most = max(1, min(PART_SAMPLES, PART_BYTES // max(sample_bytes, 1)))
    return max(1, -(-samples // most))


def parquet_count(samples: int, sample_bytes: int, image_bytes: int) -> int:
    """Return how many Parquet files there are of each part of a split: at least one.

    Args:
      samples: of the split. sample_bytes, image_bytes: as `SplitPlan` has them.
    """
    size = samples * (sample_bytes + image_bytes)
    return max(1, round(size / (part_count(samples, sample_bytes) * PARQUET_BYTES)))
