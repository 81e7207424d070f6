"""What a run leaves on the disk, and whether the disk has room for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from pagecast.dataset.layout import FILES, NONE, SHARDS
from pagecast.dataset.layout import SAMPLES as WHOLE
from pagecast.dataset.split import parquet_count, part_count, targets
from pipeline.estimate.interval import Interval, around
from pipeline.estimate.measure import (
    ARROW,
    BLOCKS,
    FILTERED,
    LINE,
    PACKED,
    PNG,
    SAMPLES,
    TAR,
    Measured,
)
from pipeline.options import RunOptions

UNKNOWN_BLOCK = 4096  # bytes; of most file systems
ENTRY_BYTES = 64  # of a file's name in its directory
RECEIPT_BYTES, PAGE_BYTES = 500, 130  # of a shard and of a page in its receipt
REPORT_BYTES = 4_000_000
SMALL_BYTES = 20_000  # configuration, manifest and the like
SMALL_FILES = 15  # with directories, but for those of images
POOL, SPLIT, ROWS, TABLES, ARTICLES, REST = (
    "_pagecast/shards", "train.jsonl, val.jsonl", "train_arrow, val_arrow", "parquet",
    "filtered.jsonl", "the rest",
)  # fmt: skip


class Files(NamedTuple):
    """Files that belong together: how many, and what they take on the disk."""

    files: Interval = Interval()
    disk: Interval = Interval()

    def __add__(self, other: Files) -> Files:  # type: ignore[override]
        return Files(self.files + other.files, self.disk + other.disk)

    def whole(self) -> dict[str, dict[str, int]]:
        """Return both in whole numbers."""
        return {name: value.whole() for name, value in self._asdict().items()}


class Outputs(NamedTuple):
    """All that a run may leave: images in each form, other files by name; which are asked for."""

    images: dict[str, Files]
    others: dict[str, Files]
    asked: set[str]

    @property
    def end(self) -> Files:
        """What is there in the end."""
        every = {**self.images, **self.others}
        return sum((every[name] for name in self.asked), Files())

    @property
    def peak(self) -> Files:
        """The most that is there at any time: what is merged is there twice meanwhile."""
        twice = Interval()
        if WHOLE in self.asked:
            twice = max(twice, self.others[SPLIT].disk + self.others[WHOLE].disk * -1.0)
        if ARTICLES in self.asked:
            twice = max(twice, self.others[ARTICLES].disk)
        return Files(self.end.files, self.end.disk + twice)


def split_sizes(samples: float, options: RunOptions) -> tuple[int, int]:
    """Return about how many samples val and train get; the rest of val's last article is unused."""
    val, train = targets(round(samples), options.split, samples > 1)
    return val, max(min(train, round(samples) - val), 0)


def outputs(found: Measured, options: RunOptions, shards: int, assets: int, block: int) -> Outputs:
    """Return all that a run may leave.

    Args:
      assets: bytes of tokenizer and fonts. block: bytes in which the disk counts.
    """
    samples = found.counts[SAMPLES]
    names = LINE, BLOCKS, TAR, ARROW, PACKED
    line, blocks, tar, arrow, packed = (found.bytes[name] for name in names)
    stored = () if options.no_images else options.modes
    images = sum((found.bytes[PNG + mode.name] for mode in stored), Interval())
    val, train = split_sizes(samples.estimate, options)
    share = min(options.max_samples / max(samples.estimate, 1.0), 1.0)
    lines = samples * line
    means = round(line.estimate), round(images.estimate)
    each = [(part_count(n, means[0]), parquet_count(n, *means)) for n in (val, train)]
    parts = sum(count for count, _ in each)
    pages = samples * len(options.modes)
    receipts = samples * (PAGE_BYTES * (1 + len(stored))) + around(RECEIPT_BYTES * shards)

    def some(number: int, size: Interval) -> Files:
        """Return files whose last blocks are half empty, about."""
        return Files(around(number), size + around(number * block / 2))

    small = SMALL_BYTES + assets + REPORT_BYTES * (not options.no_report)
    forms = {
        FILES: Files(pages, samples * blocks + pages * ENTRY_BYTES),
        SHARDS: some(shards * len(options.modes), samples * tar),
        NONE: Files(),
    }
    others = {
        POOL: some(2 * shards, lines + receipts),
        SPLIT: some(2 if options.merge else parts, lines * share),
        WHOLE: some(1, lines),
        ROWS: some(parts + 4, samples * arrow * share),
        TABLES: some(
            sum(count * files for count, files in each),
            samples * packed * share,
        ),
        ARTICLES: some(2, found.counts[FILTERED]),
        REST: some(SMALL_FILES + parts + (len(stored) + 1) * bool(stored), around(small)),
    }
    wanted = {WHOLE: options.merge, ROWS: options.arrow, ARTICLES: options.filtered}
    wanted[TABLES] = options.parquet
    asked = {options.form, *(name for name in others if wanted.get(name, True))}
    return Outputs(forms, others, asked)


class Disk(NamedTuple):
    """What may still be written: bytes and files, None where there is no such limit; its block.

    path: a directory on it.
    """

    path: str
    free: int | None
    free_files: int | None
    block: int

    def holds(self, size: float, files: float) -> bool:
        """Tell whether so many bytes and files may still be written."""
        needs = (size, self.free), (files, self.free_files)
        return all(free is None or need <= free for need, free in needs)


def disk_of(directory: str) -> Disk | None:
    """Return the disk that a directory is or will be on, or None where that cannot be known."""
    path = Path(os.path.abspath(directory))
    above = next(place for place in (path, *path.parents) if place.is_dir())
    try:
        found = os.statvfs(above)
    except OSError:
        return None
    block = found.f_frsize or found.f_bsize or UNKNOWN_BLOCK
    return Disk(
        str(above),
        # Some network and virtual file systems say that they have nothing, at all.
        found.f_bavail * block if found.f_blocks else None,
        found.f_favail if found.f_files else None,
        block,
    )


def room_in(directory: str, disk: Disk, most: Files, overwrite: bool) -> dict[str, Any]:
    """Return what a run needs of a disk, and what that has.

    Files that are there need no more room: they stay, or are removed first.
    """
    size = number = 0
    for above, _, names in os.walk(directory):
        for name in names:
            if name == WHOLE and not overwrite:  # the old one is there until the new one is whole
                continue
            try:
                length = os.stat(os.path.join(above, name), follow_symlinks=False).st_size
            except OSError:  # it has just gone
                continue
            size += length + -length % disk.block
            number += 1
    needed = Interval(*(max(value - size, 0.0) for value in most.disk))
    files = Interval(*(max(value - number, 0.0) for value in most.files))
    return {
        "path": disk.path,
        "needed": needed.whole(),
        "free": disk.free,
        "needed_files": files.whole(),
        "free_files": disk.free_files,
        "has_room": disk.holds(needed.estimate, files.estimate),
        "may_have_room": disk.holds(needed.low, files.low),
    }
