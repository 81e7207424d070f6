"""Whether a disk has room: what a run still has to write, against what is free."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from pipeline.estimate.disk import Disk, used_by
from pipeline.estimate.drawing import BLOCKS, LINE, PNG, TAR
from pipeline.estimate.estimate import Estimate
from pipeline.estimate.forecast import ROWS, SAMPLES, Range, Totals, with_finished
from pipeline.estimate.outputs import Wanted, peak
from pipeline.ours import SPLIT_FILE
from pipeline.progress import readable
from transforms import storage
from transforms.outputs import ASSETS, CONFIG, FILTERED
from transforms.parts import files_of_splits
from transforms.receipts import Receipt, read_pictures, receipt_path
from transforms.records import ModePictures, Shard


class Finished(NamedTuple):
    """What an earlier run has done of this one's work.

    sums: what is known of it, by name. having: of how many samples, where not of all. disk, files:
    what is there for good.
    """

    sums: Counter[str]
    having: Counter[str]
    disk: int
    files: int


NOTHING = Finished(Counter({ROWS: 0, SAMPLES: 0}), Counter(), 0, 0)


class Room(NamedTuple):
    """What a run needs of a disk, beside what it has done: bytes and files."""

    disk: Disk
    bytes: Range
    files: Range

    def lacks(self, end: str) -> bool:
        """Tell whether the disk is too small: by the "estimate", or even by the "low" end."""
        needs = ((self.bytes, self.disk.free), (self.files, self.disk.free_files))
        return any(free is not None and getattr(need, end) > free for need, free in needs)

    def __str__(self) -> str:
        need, (path, free, free_files, _) = self.bytes, self.disk
        if free is not None and need.estimate > free:
            told = f"{readable(need.estimate)}{between(need)}"
            return f"{told}; {readable(free)} are free on the disk of {path}"
        files = f"{self.files.estimate:,.0f} files"
        return f"{files}; {free_files or 0:,} more can be made on the disk of {path}"


def between(need: Range) -> str:
    """Return both ends of an amount of bytes in parentheses, or nothing where it is exact."""
    low, high = readable(need.low), readable(need.high)
    return "" if low == high else f" ({low} to {high})"


def room_in(output_dir: str, disk: Disk, found: Estimate, overwrite: bool) -> Room:
    """Return what a run needs that goes on in a directory, or that removes first what is there."""
    if not overwrite:
        finished = look_for_finished(output_dir, found.shards, found.wanted)
        return room_for(found.totals, found.wanted, finished, disk)
    if os.path.exists(storage.private(output_dir, CONFIG)):  # it is Pagecast's
        disk = freed(disk, output_dir)
    return room_for(found.totals, found.wanted, NOTHING, disk)


def freed(disk: Disk, directory: str) -> Disk:
    """Return a disk as it is once a directory's files are removed."""
    size, files = used_by(directory, disk.block)
    return disk._replace(
        free=None if disk.free is None else disk.free + size,
        free_files=None if disk.free_files is None else disk.free_files + files,
    )


def room_for(totals: Totals, wanted: Wanted, finished: Finished, disk: Disk) -> Room:
    """Return what a run needs that goes on from what is finished."""
    if finished.sums[ROWS]:
        totals = with_finished(totals, finished.sums, finished.having)
    most = peak(totals, wanted)
    return Room(disk, Range.of(most.disk - finished.disk), Range.of(most.number - finished.files))


def look_for_finished(output_dir: str, shards: Iterable[Shard], wanted: Wanted) -> Finished:
    """Find out what an earlier run has done, by its receipts and files."""
    sums: Counter[str] = Counter({ROWS: 0, SAMPLES: 0})
    having: Counter[str] = Counter()
    disk = files = 0

    def there(size: int) -> None:
        nonlocal disk, files
        disk += size + -size % wanted.block
        files += 1

    for shard in shards:
        try:
            content = storage.read_bytes(receipt_path(output_dir, shard.number))
            receipt = Receipt.from_json(content)
        except (OSError, ValueError):  # it is not done
            continue
        if not (receipt.shard.has_rows_of(shard) and set(receipt.modes) <= set(wanted.modes)):
            continue
        sums.update({ROWS: shard.rows, SAMPLES: receipt.samples, LINE: receipt.jsonl_bytes})
        having[LINE] += receipt.samples
        there(receipt.jsonl_bytes)
        there(len(content))
        for mode, stored in read_pictures(content).items():
            for name, size in _sizes(mode, stored, wanted.block).items():
                sums[name] += size
                having[name] += receipt.samples
            for size in _files(stored):
                there(size)
    # Of another split they are removed first; of the same they stay.
    for path in _split_files(output_dir):
        there(os.path.getsize(path))
    return Finished(sums, having, disk, files)


def _files(stored: ModePictures) -> list[int]:
    if stored.tar is not None:
        return [stored.size]
    return [picture.length for picture in stored.places.values()]


def _sizes(mode: str, stored: ModePictures, block: int) -> dict[str, int]:
    if stored.tar is not None:
        return {TAR + mode: stored.size}
    sizes = _files(stored)
    blocks = sum(size + -size % block for size in sizes)
    return {PNG + mode: stored.size, BLOCKS + mode: blocks}


def _split_files(output_dir: str) -> Iterable[str]:
    names = [n for n in files_of_splits(output_dir) if SPLIT_FILE.fullmatch(n)]
    paths = [storage.join(output_dir, name) for name in [*names, FILTERED]]
    for below in ("parts", "filtered", ASSETS):
        paths += storage.files_in(storage.private(output_dir, below))
    return [path for path in paths if os.path.isfile(path)]
