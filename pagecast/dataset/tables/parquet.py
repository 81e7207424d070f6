"""The split as Parquet files with the images inside, for `datasets`, polars, DuckDB and the hub.

Written with pyarrow alone, a row group at a time, so that neither who writes a file nor who reads
it holds it in memory. The rows are those of the JSON lines, field by field; an image is a struct of
its PNG file's bytes and the path that the line has, which is how `datasets` keeps its `Image`.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pagecast import storage
from pagecast.dataset.layout import IMAGES
from pagecast.dataset.tables import arrow

COMPRESSION = "zstd"
GROUP_ROWS, GROUP_BYTES = 100, 32 << 20  # of a row group, whichever is reached first


class RowGroup(NamedTuple):
    """Samples that stand together: their JSON lines, and their images by sample, mode and page."""

    lines: Sequence[bytes]
    images: Sequence[Sequence[Sequence[bytes]]]


def with_bytes(schema: pa.Schema) -> pa.Schema:
    """Return the columns of samples, of `sample_schema`, with images in the place of their paths.

    Where no images are stored there is no column of them, as in Arrow files.
    """
    place = schema.get_field_index(IMAGES)
    if place >= 0:
        images = pa.struct(
            [
                (field.name, pa.list_(arrow.IMAGE) if _is_list(field.type) else arrow.IMAGE)
                for field in schema.field(place).type
            ]
        )
        schema = schema.set(place, pa.field(IMAGES, images))
    return arrow.described(schema)


def to_batch(group: RowGroup, schema: pa.Schema) -> pa.RecordBatch:
    """Return a row group as a record batch with the columns of `with_bytes(schema)`."""
    batch = arrow.to_batch(group.lines, schema)
    wanted = with_bytes(schema)
    columns = dict(zip(schema.names, batch.columns, strict=True))
    if IMAGES in columns:
        of_modes = zip(*group.images, strict=True) if group.images else [()] * len(modes(schema))
        columns[IMAGES] = pa.StructArray.from_arrays(
            [
                _images(list(pages), paths)
                for pages, paths in zip(of_modes, columns[IMAGES].flatten(), strict=True)
            ],
            fields=list(wanted.field(IMAGES).type),
        )
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=wanted)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind))


def _images(pages: Sequence[Sequence[bytes]], paths: pa.Array) -> pa.Array:
    """Return the images of a mode, each sample's pages in a list where its paths are in one."""
    pngs = pa.array([png for each in pages for png in each], pa.binary())
    values = paths.flatten() if _is_list(paths.type) else paths
    images = pa.StructArray.from_arrays([pngs, values], fields=list(arrow.IMAGE))
    if not _is_list(paths.type):
        return images
    ends = pa.array([0, *accumulate(map(len, pages))], pa.int32())
    return pa.ListArray.from_arrays(ends, images, type=pa.list_(arrow.IMAGE))


def modes(schema: pa.Schema) -> list[str]:
    """Return the modes whose images are stored, none where there is no column of them."""
    return [field.name for field in schema.field(IMAGES).type] if IMAGES in schema.names else []


def stream(groups: Iterable[RowGroup], schema: pa.Schema) -> Iterator[bytes]:
    """Yield row groups as the pieces of a Parquet file."""
    sink = _Pieces()
    # PNG files are compressed already, and few are alike: their dictionary would be in vain.
    tokens = [f"{name}.list.element" for name in schema.names if name.endswith("_tokens")]
    with pq.ParquetWriter(
        pa.PythonFile(sink, "w"),
        with_bytes(schema),
        compression=COMPRESSION,
        use_dictionary=tokens,
        write_page_index=True,  # so that the hub's viewer fetches single rows
    ) as writer:
        for group in groups:
            writer.write_batch(to_batch(group, schema), row_group_size=len(group.lines))
            yield from sink.taken()
    yield from sink.taken()


class _Pieces(io.RawIOBase):
    """A file that keeps what is written only until it is taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, piece: Any) -> int:
        self._pieces.append(bytes(piece))
        self._size += len(self._pieces[-1])
        return len(self._pieces[-1])

    def taken(self) -> list[bytes]:
        """Return what was written since the last time."""
        pieces, self._pieces = self._pieces, []
        return pieces


def read_rows(path: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet file as dicts whose keys stand in the order of the columns.

    Raises:
      pyarrow.ArrowException, OSError: the file is damaged or cut short.
    """
    with storage.open_read(path) as file, pq.ParquetFile(file) as table:
        for number in range(table.num_row_groups):  # to iterate over batches holds many groups
            yield from table.read_row_group(number).to_pylist()
