"""Writing the split, part by part: JSON lines and, if wanted, Arrow and Parquet files beside them.

The lines are fetched by byte range from the shards' files. A part's receipt says what was written
from what, so that a later run writes only what has changed or is damaged.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import apache_beam as beam
import pyarrow as pa

from pagecast import storage
from pagecast.dataset.checkpoint import (
    commit_receipt,
    is_intact,
)
from pagecast.dataset.layout import (
    arrow_path,
    merged_path,
    parquet_paths,
    part_path,
    part_receipt_path,
    shard_path,
)
from pagecast.dataset.receipts import Part, find_part
from pagecast.dataset.split import SplitPlan
from pagecast.dataset.tables import arrow
from pagecast.reader.lines import note_lengths
from pagecast.storage.write import WrittenFile
from transforms import metrics
from transforms.split import parquet
from transforms.split.assign import Reference, ShardReferences, sorted_references

NOTHING = WrittenFile(-1, "")  # in place of a file that is still to be written


class PartSettings(NamedTuple):
    """How parts are written: merged in the end or not, and columns, of `sample_schema`, if wanted.

    schema: of Arrow files. parquet: of Parquet files. source: the dataset that lines and images are
    taken from, where the split is not in it.
    """

    output_dir: str
    merge: bool
    schema: pa.Schema | None = None
    parquet: pa.Schema | None = None
    source: str | None = None

    @property
    def dataset(self) -> str:
        """The dataset that the split is of."""
        return self.source or self.output_dir


def write_part(
    name: str, shards: Iterable[ShardReferences], settings: PartSettings, files: int = 1
) -> Part:
    """Write one part, its lines in the order of their sample keys, then its receipt.

    What an earlier run wrote from the same lines, and what still is as that run left it, stays.

    Args:
      files: Parquet files that the part is cut into.
    """
    out = settings.output_dir
    storage.protect(settings.dataset)
    references = sorted_references(shards)
    digest = hashlib.sha256(repr([tuple(r) for r in references]).encode()).hexdigest()
    earlier = find_part(out, name)
    if earlier is not None and earlier.references == digest:
        part = intact(earlier, settings)
    else:
        part = Part(name, digest, len(references), NOTHING, None, None)
    if settings.schema is not None and part.arrow is None:
        part = part._replace(arrow=NOTHING)
    if settings.parquet is not None and len(part.parquet or ()) != files:
        if earlier is not None and earlier.parquet:  # pages are of other sizes on this machine
            storage.remove(parquet_paths(out, name, len(earlier.parquet)))
        part = part._replace(parquet=(NOTHING,) * files)
    if NOTHING in (part.lines, part.arrow, *(part.parquet or ())):
        storage.commit(part_receipt_path(out, name), [part.to_json()], durable=True)
    if part.lines == NOTHING:
        path = part_path(out, name, settings.merge)
        part = part._replace(
            lines=storage.commit_hashed(path, fetch_lines(references, settings.dataset))
        )
    note_lengths(out, name, [reference.length for reference in references])
    if settings.schema is not None and part.arrow == NOTHING:
        path = arrow_path(out, name)
        part = part._replace(
            arrow=storage.commit_hashed(
                path, arrow.stream(part_lines(part, settings), settings.schema)
            )
        )
    if part.parquet is not None and NOTHING in part.parquet:
        part = write_parquet(part, references, settings)
    if part != earlier:
        commit_receipt(out, part_receipt_path(out, name), part.to_json())
    return part


def write_parquet(part: Part, references: Sequence[Reference], settings: PartSettings) -> Part:
    """Write those of a part's Parquet files that are not there, and note each once it is."""
    out, written = settings.output_dir, list(part.parquet or ())
    assert settings.parquet is not None, "that asks for them"
    lines = part_lines(part, settings)
    for number, path in enumerate(parquet_paths(out, part.name, len(written))):
        chosen = parquet.of_file(references, path)
        if written[number] != NOTHING:
            deque(islice(lines, len(chosen)), maxlen=0)
            continue
        pieces = parquet.stream(lines, chosen, settings.parquet, settings.dataset)
        written[number] = storage.commit_hashed(path, pieces)
        part = part._replace(parquet=tuple(written))
        commit_receipt(out, part_receipt_path(out, part.name), part.to_json())
    return part


def fetch_lines(references: Iterable[Reference], output_dir: str) -> Iterator[bytes]:
    """Yield the lines referred to, in that order."""
    return storage.read_ranges(
        (shard_path(output_dir, reference.shard), reference.offset, reference.length)
        for reference in references
    )


def part_lines(part: Part, settings: PartSettings) -> Iterator[bytes]:
    """Yield the lines of a part from where they are, its own file or the merged one."""
    path = part_path(settings.output_dir, part.name, settings.merge)
    if part.offset is not None:
        path = merged_path(settings.output_dir, part.split)
    with storage.open_read(path) as file:
        file.seek(part.offset or 0)
        left = part.lines.size
        while left > 0:
            line = file.readline()
            if not line:
                raise OSError(f"{path} ends {left} bytes early")
            left -= len(line)
            yield line


def intact(part: Part, settings: PartSettings) -> Part:
    """Return a part without what is not there, or is not what its receipt says."""
    out, lines, offset, rows = settings.output_dir, NOTHING, None, None
    if is_intact(part_path(out, part.name, settings.merge), part.lines):
        lines = part.lines
    elif part.offset is not None and is_intact(
        merged_path(out, part.split), part.lines, part.offset
    ):
        lines, offset = part.lines, part.offset
    if settings.schema is not None and part.arrow is not None:
        rows = part.arrow if is_intact(arrow_path(out, part.name), part.arrow) else None
    tables = None
    if settings.parquet is not None and part.parquet is not None:
        # By their sizes: they have all images in them, whose content only `verify` reads.
        paths = parquet_paths(out, part.name, len(part.parquet))
        tables = tuple(
            file if storage.exists(path) and storage.size_of(path) == file.size else NOTHING
            for path, file in zip(paths, part.parquet, strict=True)
        )
    return part._replace(lines=lines, offset=offset, arrow=rows, parquet=tables)


class WritePart(beam.DoFn):
    """Write each part of the split."""

    def __init__(self, settings: PartSettings) -> None:
        self._settings = settings

    def process(
        self, element: tuple[str, Iterable[ShardReferences]], plan: SplitPlan | None = None
    ) -> Iterator[Part]:
        """Yield what was written; the plan says how many Parquet files that is."""
        name, shards = element
        files = 1 if plan is None else plan.files_of(name.split("-")[0])
        with metrics.timed("write_part"):
            part = write_part(name, shards, self._settings, files)
        yield part
