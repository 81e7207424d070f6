"""Checking the files that repeat the samples, JSON lines and Arrow, against the shards."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from pagecast import storage
from pagecast.dataset.layout import IMAGES
from pagecast.dataset.sample import digest_of
from pagecast.dataset.tables import arrow, parquet
from pagecast.verify.shard import UNKNOWN, Digests, row_digest

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
    rows = map(as_in_lines, arrow.read_rows(path))
    return _found(json.dumps(row).encode("ascii") + b"\n" for row in rows)


def scan_parquet(path: str) -> Found:
    """Read the rows of a Parquet file; their digests are of the lines with the images.

    Raises:
      pyarrow.ArrowException, OSError: the file is damaged or cut short.
    """
    return _joined(map(_without_bytes, parquet.read_rows(path)))


def _without_bytes(row: dict[str, Any]) -> tuple[bytes, list[str]]:
    """Return a row as its line, and the digests of its images."""
    row = as_in_lines(row)
    paths: dict[str, Any] = {}
    digests = []
    for mode, images in row[IMAGES].items():
        pages = images if isinstance(images, list) else [images]
        digests += [digest_of(page["bytes"]) for page in pages]
        found = [page["path"] for page in pages]
        paths[mode] = found if isinstance(images, list) else found[0]
    return json.dumps({**row, IMAGES: paths}).encode("ascii") + b"\n", digests


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
    return _joined((line, ()) for line in lines)


def _joined(lines: Iterable[tuple[bytes, Sequence[str]]]) -> Found:
    """Return what stands in a file from its lines and the digests of what images are with each."""
    rows, chunks, sizes, digests = [], [], [], []
    for line, images in lines:
        match = SAMPLE_LINE.match(line)
        rows.append(int(match[1]) if match else NO_SAMPLE)
        chunks.append(int(match[2]) if match else NO_SAMPLE)
        sizes.append(len(line))
        digests.append(row_digest(line, images))
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
    both = min(len(numbers), len(expected))
    same = numbers[:both] == expected[:both]
    if wrong := int((~same).sum()) + max(len(numbers), len(expected)) - both:
        first = int(np.argmin(same)) if not same.all() else both
        missing = len(np.setdiff1d(expected, numbers))
        more = len(numbers) - len(expected) + missing
        yield LineFault(
            None,
            None,
            f"line {first + 1} is the first of {wrong:,} that are not the samples they should be: "
            f"{missing:,} samples are missing, {more:,} lines too many",
        )
    wanted = known[expected[:both]]
    differs = same & (wanted != digests[:both]) & (wanted != UNKNOWN)
    for line in np.flatnonzero(differs):
        yield LineFault(int(numbers[line]), int(line), f"line {line + 1} differs from its shard")


def differing_fields(line: bytes, wanted: bytes) -> str:
    """Name the fields in which two samples differ."""
    try:
        found, right = json.loads(line), json.loads(wanted)
        names = [name for name in right if found.get(name) != right[name]]
    except (ValueError, AttributeError, RecursionError):
        names = []
    return f" in {', '.join(names)}" if names else ""
