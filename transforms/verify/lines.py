"""Checking the files that repeat the samples, JSON lines and Arrow, against the shards."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from transforms import storage
from transforms.arrow import IMAGES, read_rows
from transforms.verify.shard import UNKNOWN, Digests, digest

Numbers = npt.NDArray[np.int64]  # of samples, in input order over the whole dataset
NO_SAMPLE = -1
SAMPLE_LINE = re.compile(rb'\{"id": "sample_([0-9]{6,15})_chunk_([0-9]{1,9})"')


class Found(NamedTuple):
    """What stands in a file: row and chunk of each line's id, -1 where it has none.

    And the line's size in bytes and its digest.
    """

    rows: Numbers
    chunks: Numbers
    sizes: Numbers
    digests: Digests

    @classmethod
    def joined(cls, pieces: Sequence[Found]) -> Found:
        """Return what stands in the pieces of a file as one."""
        return cls(*(np.concatenate(column) for column in zip(*pieces, strict=True)))


class LineFault(NamedTuple):
    """What is wrong in a file: with which sample, by its number, if with one.

    differs: the line, counted from 0, that is not as it is in the sample's shard.
    """

    sample: int | None
    differs: int | None
    what: str


def scan_lines(path: str, start: int, end: int) -> Found:
    """Read the lines of a file of samples that begin in bytes `start` to `end`."""
    with storage.open_read(path) as file:
        if start:
            file.seek(start - 1)
            file.readline()  # the line that begins earlier
        return _found(_lines_until(file, end))


def _lines_until(file: BinaryIO, end: int) -> Iterator[bytes]:
    while file.tell() < end and (line := file.readline()):
        yield line


def scan_arrow(path: str) -> Found:
    """Read the rows of an Arrow file as the JSON lines that they should be.

    Raises:
      pyarrow.ArrowException, OSError: the file is damaged or cut short.
    """
    rows = map(as_in_lines, read_rows(path))
    return _found(json.dumps(row).encode("ascii") + b"\n" for row in rows)


def as_in_lines(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of an Arrow file as its line has it, with `images` where there are none."""
    if IMAGES in row:
        return row
    found: dict[str, Any] = {}
    for name, value in row.items():
        if name == "font_metadata":
            found[IMAGES] = {}
        found[name] = value
    return found


def _found(lines: Iterable[bytes]) -> Found:
    rows, chunks, sizes, digests = [], [], [], []
    for line in lines:
        match = SAMPLE_LINE.match(line)
        rows.append(int(match[1]) if match else NO_SAMPLE)
        chunks.append(int(match[2]) if match else NO_SAMPLE)
        sizes.append(len(line))
        digests.append(digest(line))
    return Found(
        np.array(rows, np.int64),
        np.array(chunks, np.int64),
        np.array(sizes, np.int64),
        np.array(digests, np.uint64),
    )


def compare(
    numbers: Numbers, digests: Digests, expected: Numbers, known: Digests
) -> Iterator[LineFault]:
    """Yield how a file's lines differ from what they should be.

    Args:
      numbers: the samples that the lines are of; -1 where one is of none.
      digests: of the lines.
      expected: the samples that should be there, in this order.
      known: the digest of each sample's line by its number, 0 where it is not known.
    """
    regular = np.ones(len(numbers), bool)
    if not np.array_equal(numbers, expected):
        regular = in_order(places_in(expected, numbers))
        yield from _irregular(numbers, expected, regular)
    wanted = known[numbers[regular]]
    differs = (wanted != digests[regular]) & (wanted != UNKNOWN)
    for line in np.flatnonzero(regular)[differs]:
        what = f"line {line + 1} differs from its shard"
        yield LineFault(int(numbers[line]), int(line), what)


def _irregular(
    numbers: Numbers, expected: Numbers, regular: npt.NDArray[np.bool_]
) -> Iterator[LineFault]:
    """Yield what is too many, too few or out of order; `regular` are the lines in their order."""
    right = {int(numbers[line]): int(line) + 1 for line in np.flatnonzero(regular)}
    wanted = set(expected.tolist())
    moved = []
    for line in np.flatnonzero(~regular):
        number = int(numbers[line])
        if number == NO_SAMPLE:
            yield LineFault(None, None, f"line {line + 1} is no sample of this dataset")
        elif number not in wanted:
            yield LineFault(number, None, f"line {line + 1} does not belong there")
        elif number in right:
            first, second = sorted((right[number], int(line) + 1))
            yield LineFault(number, None, f"is there twice, in lines {first} and {second}")
        else:
            moved.append((number, int(line) + 1))
    for number in expected[~np.isin(expected, numbers)].tolist():
        yield LineFault(number, None, "is missing")
    if moved:
        number, first = moved[0]
        more = f", and {len(moved) - 1} more are" if len(moved) > 1 else ""
        yield LineFault(number, None, f"line {first} is not in the order of the file{more}")


def places_in(expected: Numbers, numbers: Numbers) -> Numbers:
    """Return the place of each number among the expected ones, -1 where it is not there."""
    order = np.argsort(expected, kind="stable")
    at = np.searchsorted(expected, numbers, sorter=order)
    at[at == len(expected)] = 0
    found = order[at] if len(expected) else np.full(len(numbers), -1)
    there = expected[found] == numbers if len(expected) else np.zeros(len(numbers), bool)
    return np.where(there, found, -1)


def in_order(places: Numbers) -> npt.NDArray[np.bool_]:
    """Tell which lines are in order: the longest series of them whose places increase.

    So one line that was moved or repeated is one fault, wherever it went.
    """
    ends: list[int] = []  # the smallest place that ends a series of each length,
    lines: list[int] = []  # and the line that has it
    before = np.full(len(places), -1)
    for line, place in enumerate(places.tolist()):
        if place >= 0:
            length = bisect_left(ends, place)
            before[line] = lines[length - 1] if length else -1
            ends[length : length + 1] = [place]
            lines[length : length + 1] = [line]
    kept = np.zeros(len(places), bool)
    line = lines[-1] if lines else -1
    while line >= 0:
        kept[line] = True
        line = int(before[line])
    return kept


def differing_fields(line: bytes, wanted: bytes) -> str:
    """Name the fields in which two samples differ."""
    try:
        found, right = json.loads(line), json.loads(wanted)
        names = [name for name in right if found.get(name) != right[name]]
    except (ValueError, AttributeError, RecursionError):
        names = []
    return f" in {', '.join(names)}" if names else ""
