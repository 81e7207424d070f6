"""Which files a run leaves: how many, how many bytes, and what they take on the disk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.estimate.drawing import ARROW, BLOCKS, LINE, PNG, RECEIPT, TAR
from pipeline.estimate.forecast import SAMPLES, Totals, Values
from pipeline.estimate.measure import FILTERED
from transforms.assign import part_count
from transforms.pictures import END_OF_TAR, FILES, NONE
from transforms.split import SplitSettings, targets

RECEIPT_BYTES = 500  # of a shard without samples
PLAN_BYTES = 200  # a shard's line in the plan
REPORT_BYTES = 4_000_000
SMALL_BYTES = 20_000  # configuration, manifest and the like, which with two assets are
SMALL_FILES = 9
ENTRY_BYTES = 64  # of a file's name in its directory
DIRECTORIES = 12
PICTURES, PAGES, POOL, WHOLE, SPLIT, ROWS_OF_SPLIT, ARTICLES, REST = (
    "images", "pages", "_pagecast/shards", "samples.jsonl", "train.jsonl, val.jsonl",
    "train_arrow, val_arrow", "filtered.jsonl", "the rest",
)  # fmt: skip


class Wanted(NamedTuple):
    """What a run is to write, as its options say.

    assets: bytes of tokenizer and font. block: in so many bytes the disk counts.
    """

    modes: Sequence[str]
    form: str
    split: SplitSettings
    merge: bool
    arrow: bool
    filtered: bool
    report: bool
    assets: int
    shards: int
    block: int


class Files(NamedTuple):
    """Files that belong together: how many, their bytes, and what these take on the disk."""

    number: Values
    size: Values
    disk: Values

    def __add__(self, other: Files) -> Files:  # type: ignore[override]
        return Files(self.number + other.number, self.size + other.size, self.disk + other.disk)


def pictures(totals: Totals, wanted: Wanted, form: str, mode: str) -> Files:
    """Return the pictures of one mode in one of the three forms."""
    samples = totals[SAMPLES]
    if form == NONE or PNG + mode not in totals:
        return _nothing(samples)
    if form == FILES:
        disk = totals[BLOCKS + mode] + samples * ENTRY_BYTES
        return Files(samples, totals[PNG + mode], disk)
    return _some(totals[TAR + mode] + wanted.shards * len(END_OF_TAR), wanted.shards, wanted)


def all_pictures(totals: Totals, wanted: Wanted, form: str) -> Files:
    """Return the pictures of all modes."""
    parts = (pictures(totals, wanted, form, mode) for mode in wanted.modes)
    return sum_of([_nothing(totals[SAMPLES]), *parts])


def outputs(totals: Totals, wanted: Wanted) -> dict[str, Files]:
    """Return all that a run may leave, asked for or not, but the pictures."""
    samples = totals[SAMPLES]
    nothing = np.zeros_like(samples)
    lines, rows = totals.get(LINE, nothing), totals.get(ARROW, nothing)
    receipts = totals.get(RECEIPT, nothing) + RECEIPT_BYTES * wanted.shards
    used = np.minimum(samples, wanted.split.max_samples)
    share = np.divide(used, samples, out=np.zeros_like(samples), where=samples > 0)
    parts = part_numbers(totals, wanted)
    small = SMALL_BYTES + wanted.assets + PLAN_BYTES * wanted.shards + REPORT_BYTES * wanted.report
    return {
        POOL: _some(lines, wanted.shards, wanted) + _some(receipts, wanted.shards, wanted),
        SPLIT: _some(share * lines, 2 if wanted.merge else parts, wanted),
        WHOLE: _some(lines, 1, wanted),
        ROWS_OF_SPLIT: _some(share * rows, parts + 4, wanted),
        ARTICLES: _some(totals.get(FILTERED, nothing), 2, wanted),
        REST: _some(nothing + small, SMALL_FILES + wanted.report + parts, wanted),
    }


def asked_for(totals: Totals, wanted: Wanted) -> list[Files]:
    """Return the files of all that the options ask for."""
    left_out = set()
    if not wanted.merge:
        left_out.add(WHOLE)
    if not wanted.arrow:
        left_out.add(ROWS_OF_SPLIT)
    if not wanted.filtered:
        left_out.add(ARTICLES)
    others = outputs(totals, wanted)
    chosen = [files for name, files in others.items() if name not in left_out]
    return [all_pictures(totals, wanted, wanted.form), *chosen]


def peak(totals: Totals, wanted: Wanted) -> Files:
    """Return the most that is there at any time: files that are merged are there twice meanwhile.

    First the parts of val, then those of train, then the shards' samples, which stay, and last
    the kept articles, which do not.
    """
    end = sum_of(asked_for(totals, wanted))
    others = outputs(totals, wanted)
    split, whole, articles = others[SPLIT], others[WHOLE], others[ARTICLES]
    most = end.disk
    if wanted.merge:
        most = np.maximum(most, end.disk - whole.disk + split.disk)
    if wanted.filtered:
        most = np.maximum(most, end.disk + articles.disk)
    twice = 2 * wanted.shards if wanted.filtered else 0
    return Files(end.number + twice + DIRECTORIES, end.size, most)


def part_numbers(totals: Totals, wanted: Wanted) -> int:
    """Return in how many parts the split is written."""
    samples = round(float(totals[SAMPLES][0]))
    line = -(-round(float(totals[LINE][0])) // max(samples, 1)) if LINE in totals else 0
    val, train = split_sizes(samples, wanted.split)
    return part_count(val, line) + part_count(train, line)


def split_sizes(samples: int, split: SplitSettings) -> tuple[int, int]:
    """Return about how many samples val and train get; the rest of val's last article is unused."""
    val, train = targets(samples, split, samples > 1)
    return val, max(min(train, samples - val), 0)


def sum_of(files: Sequence[Files]) -> Files:
    """Return files together."""
    first, *others = files
    for other in others:
        first = first + other
    return first


def _nothing(like: Values) -> Files:
    zeros = np.zeros_like(like)
    return Files(zeros, zeros, zeros)


def _some(size: Values, number: int, wanted: Wanted) -> Files:
    """Return a number of files whose last blocks are half empty, about."""
    return Files(np.full_like(size, number), size, size + number * wanted.block / 2)
