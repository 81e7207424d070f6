"""Which of a dataset's samples are looked at, and where their lines are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import Any

from pagecast import storage
from pagecast.dataset.layout import PLAN, merged_path, part_files, shard_path
from pagecast.dataset.shard import Shard, read_plan
from pagecast.dataset.split import TRAIN, VAL

MOST_LOCAL = 20_000  # samples: 400 MB, a few seconds
MOST_REMOTE = 2_000  # in a store: 40 MB to fetch


def most_samples(output_dir: str) -> int:
    """Return how many samples are looked at unless somebody asks for more."""
    return MOST_LOCAL if storage.is_local(output_dir) else MOST_REMOTE


def sample_lines(output_dir: str, manifest: Mapping[str, Any], most: int) -> Iterator[bytes]:
    """Return the lines of all samples, or where they are more than `most`, of so many at random.

    The first lines of the split's files are a random sample that costs no more to read than its
    own bytes, and that depends neither on shards nor on the form of the files.
    """
    if manifest["counts"]["samples"] <= most:
        return _all_lines(output_dir)
    val, train = (manifest["split"][name]["samples"] for name in (VAL, TRAIN))
    from_val = round(most * val / max(1, val + train))
    return chain(
        islice(_split_lines(output_dir, VAL), from_val),
        islice(_split_lines(output_dir, TRAIN), most - from_val),
    )


def whereof(samples: int, manifest: Mapping[str, Any]) -> str:
    """Return in words which samples were looked at."""
    total = manifest["counts"]["samples"]
    if samples == total:
        return f"all {total:,} samples"
    return (
        f"{samples:,} of {total:,} samples: the first of val and of train, which are random ones, "
        "as both are shuffled by hash"
    )


def _all_lines(output_dir: str) -> Iterator[bytes]:
    for shard in read_plan(storage.private(output_dir, PLAN)):
        if isinstance(shard, Shard):
            yield from _lines(shard_path(output_dir, shard.number))


def _split_lines(output_dir: str, split: str) -> Iterator[bytes]:
    whole = merged_path(output_dir, split)
    if storage.exists(whole):
        yield from _lines(whole)
        return
    for name in part_files(output_dir, split):
        yield from _lines(storage.join(output_dir, name))


def _lines(path: str) -> Iterator[bytes]:
    with storage.open_read(path) as file:
        yield from file
