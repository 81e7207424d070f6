"""What a run leaves on the disk, and whether the disk has room for it."""

from __future__ import annotations

import os
from typing import NamedTuple

from pipeline.estimate.interval import Interval
from pipeline.estimate.measure import ARROW, BLOCKS, FILTERED, LINE, SAMPLES, TAR, Measured
from pipeline.options import RunOptions
from pipeline.progress import readable
from transforms.assign import part_count
from transforms.outputs import SAMPLES as WHOLE
from transforms.pictures import FILES, NONE, SHARDS
from transforms.split import targets

UNKNOWN_BLOCK = 4096  # bytes; of most file systems
ENTRY_BYTES = 64  # of a file's name in its directory
RECEIPT_BYTES, PAGE_BYTES = 500, 130  # of a shard and of a page in its receipt
REPORT_BYTES = 4_000_000
SMALL_BYTES = 20_000  # configuration, manifest and the like
SMALL_FILES = 20  # with directories
POOL, SPLIT, ROWS, ARTICLES, REST = (
    "_pagecast/shards", "train.jsonl, val.jsonl", "train_arrow, val_arrow", "filtered.jsonl",
    "the rest",
)  # fmt: skip


class Files(NamedTuple):
    """Files that belong together: how many, and what they take on the disk."""

    files: Interval
    disk: Interval

    def __add__(self, other: Files) -> Files:  # type: ignore[override]
        return Files(self.files + other.files, self.disk + other.disk)


NOTHING = Files(Interval(), Interval())


class Outputs(NamedTuple):
    """All that a run may leave: pictures in each form, other files by name; which are asked for."""

    pictures: dict[str, Files]
    others: dict[str, Files]
    asked: set[str]

    @property
    def end(self) -> Files:
        """What is there in the end."""
        every = {**self.pictures, **self.others}
        return sum((every[name] for name in self.asked), NOTHING)

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
    samples, nothing = found.counts[SAMPLES], Interval()
    val, train = split_sizes(samples.estimate, options)
    share = min(options.max_samples / samples.estimate, 1.0) if samples.estimate else 0.0
    line = found.bytes.get(LINE, nothing)
    lines = samples * line
    parts = part_count(val, round(line.estimate)) + part_count(train, round(line.estimate))
    stored = 0 if options.no_images else len(options.modes)
    receipts = samples * float(PAGE_BYTES * (1 + stored)) + float(RECEIPT_BYTES * shards)

    def some(number: int, size: Interval) -> Files:
        """Return files whose last blocks are half empty, about."""
        return Files(nothing + number, size + number * block / 2)

    small = SMALL_BYTES + assets + REPORT_BYTES * (not options.no_report)
    pages = samples * float(len(options.modes))
    pictures = {
        FILES: Files(
            pages, samples * found.bytes.get(BLOCKS, nothing) + pages * float(ENTRY_BYTES)
        ),
        SHARDS: some(shards * len(options.modes), samples * found.bytes.get(TAR, nothing)),
        NONE: NOTHING,
    }
    others = {
        POOL: some(2 * shards, lines + receipts),
        SPLIT: some(2 if options.merge else parts, lines * share),
        WHOLE: some(1, lines),
        ROWS: some(parts + 4, samples * found.bytes.get(ARROW, nothing) * share),
        ARTICLES: some(2, found.counts[FILTERED]),
        REST: some(SMALL_FILES + parts, nothing + float(small)),
    }
    wanted = {WHOLE: options.merge, ROWS: options.arrow, ARTICLES: options.filtered}
    asked = {options.pages.form, *(name for name in others if wanted.get(name, True))}
    return Outputs(pictures, others, asked)


class Disk(NamedTuple):
    """What may still be written: bytes and files, None where there is no such limit; its block.

    path: a directory on it.
    """

    path: str
    free: int | None
    free_files: int | None
    block: int


def disk_of(directory: str) -> Disk | None:
    """Return the disk that a directory is or will be on, or None where that cannot be known."""
    path = os.path.abspath(directory)
    while not os.path.isdir(path):
        if path == (above := os.path.dirname(path)):
            return None
        path = above
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    block = found.f_frsize or found.f_bsize or UNKNOWN_BLOCK
    return Disk(
        path,
        # Some network and virtual file systems say that they have nothing, at all.
        found.f_bavail * block if found.f_blocks else None,
        found.f_favail if found.f_files else None,
        block,
    )


class Room(NamedTuple):
    """What a run needs of a disk, beside what an earlier one has done: bytes and files."""

    disk: Disk
    bytes: Interval
    files: Interval

    def lacks(self, end: str) -> bool:
        """Tell whether the disk is too small: by the "estimate", or even by the "low" end."""
        needs = ((self.bytes, self.disk.free), (self.files, self.disk.free_files))
        return any(free is not None and getattr(need, end) > free for need, free in needs)

    def __str__(self) -> str:
        need, (path, free, free_files, _) = self.bytes, self.disk
        if free is not None and need.estimate > free:
            low, high = readable(need.low), readable(need.high)
            between = "" if low == high else f" ({low} to {high})"
            told = f"{readable(need.estimate)}{between}"
            return f"{told}; {readable(free)} are free on the disk of {path}"
        files = f"{self.files.estimate:,.0f} files"
        return f"{files}; {free_files or 0:,} more can be made on the disk of {path}"


def room_in(directory: str, disk: Disk, most: Files, overwrite: bool) -> Room:
    """Return what a run needs beside the files that are there: they stay, or are removed first."""
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
    return Room(disk, _less(most.disk, size), _less(most.files, number))


def _less(need: Interval, there: int) -> Interval:
    return Interval(*(max(value - there, 0.0) for value in need))
