"""The pages of a parquet column, looked at before they are decompressed.

A page of a few bytes may be one of gigabytes, and a value that a dictionary has once may be in
every row. Footers tell neither; the headers of the pages do, and Arrow takes as much memory as they
say.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import pyarrow.parquet as pq

from pagecast.storage.stores.ranges import Seekable

MOST_PAGE_BYTES = 256 << 20  # of the largest pages of all columns that are read, decompressed
MOST_HELD_BYTES = 64 << 20  # of a row group's columns, compressed; more is read page by page
BUFFER_BYTES = 4 << 20  # that Arrow then takes at a time
BLOCK_BYTES = 16 << 20  # fetched at a time then: of a store each read is a request
MOST_BLOCKS = 4  # held: one for each column that is read, and another
GAP_BYTES = 8192  # between two columns that are read at once, as Arrow does
BATCH_BYTES = 64 << 20  # decoded at a time, at most, or a single row
_HEADER_BYTES = 256, 4096, 16 << 20  # tried in turn; Arrow takes no longer header
_DICTIONARY = 2  # type of a page
_DELTA_BYTE_ARRAY = 7  # encoding in which a value begins with a part of the one before
_DELTA_LENGTHS = 6, _DELTA_BYTE_ARRAY  # encodings that may write a length in next to no bytes
_LENGTH_BYTES = 8  # that Arrow then holds for each value of a page
_FALSE, _BYTE, _DOUBLE, _BINARY, _MAP, _STRUCT = 2, 3, 7, 8, 11, 12  # of Thrift
_FIXED = {0: 0, 1: 0, _FALSE: 0, _BYTE: 1, _DOUBLE: 8}  # bytes of a field


class Page(NamedTuple):
    """What the header of a page says: bytes once decompressed, values, how they are written."""

    size: int
    values: int
    is_dictionary: bool
    is_delta: bool


class Columns(Seekable):
    """A parquet file of which the columns of one row group are read once, as Arrow wants them.

    Where they are too large to be held, they are read in blocks of which a few are kept, and
    `buffer` says how many bytes Arrow is to take at a time.
    """

    def __init__(
        self, file: BinaryIO, metadata: pq.FileMetaData, group: int, names: Sequence[str]
    ) -> None:
        super().__init__()
        self._file = file
        self._held: dict[int, bytes] = {}
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        paths = [metadata.schema.column(n).path for n in range(metadata.num_columns)]
        # Only these are looked at: where another is encrypted, Arrow would end the process.
        self._chunks = {
            path: metadata.row_group(group).column(n)
            for n, path in enumerate(paths)
            if path in names
        }
        self.buffer = 0
        if sum(max(c.total_compressed_size, 0) for c in self._chunks.values()) > MOST_HELD_BYTES:
            self.buffer = BUFFER_BYTES
        else:
            self._hold()

    def _hold(self) -> None:
        """Read the columns, neighbours at once: of a store each read is a request."""
        together: list[tuple[int, int]] = []
        for first, end in sorted(map(_range, self._chunks.values())):
            if together and first - together[-1][1] <= GAP_BYTES:
                together[-1] = together[-1][0], max(end, together[-1][1])
            elif 0 <= first < end:
                together.append((first, end))
        for first, end in together:
            self._file.seek(first)
            self._held[first] = _read_all(self._file, end - first)

    def pages(self) -> dict[str, list[Page]]:
        """Return the pages of each column, as far as they can be told."""
        return {name: list(self._pages(chunk)) for name, chunk in self._chunks.items()}

    def _pages(self, chunk: pq.ColumnChunkMetaData) -> Iterator[Page]:
        at, end = _range(chunk)
        left = chunk.num_values
        while at < end and left > 0:
            found = self._header(at, end)
            if found is None:  # Arrow says what is wrong with it
                return
            header, length = found
            page = _page(header)
            yield page
            left -= 0 if page.is_dictionary else page.values
            at += length + max(_number(header, 3), 0)

    def _header(self, at: int, end: int) -> tuple[dict[int, Any], int] | None:
        for most in _HEADER_BYTES:
            size = min(most, end - at)
            self.seek(at)
            content = self.read(size)
            try:
                return _read_struct(content, 0)
            except (IndexError, ValueError, RecursionError):
                if len(content) < most:
                    return None
        return None

    def _end(self) -> int:
        return self._file.seek(0, io.SEEK_END)

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes, without a copy where they are all of a column."""
        size = -1 if size is None else size
        content = self._from_blocks(size) if self.buffer else self._from_held(size)
        if content is None:
            self._file.seek(self._position)
            content = self._file.read() if size < 0 else _read_all(self._file, size)
        self._position += len(content)
        return content

    def _from_blocks(self, size: int) -> bytes | None:
        if size < 0:
            return None
        pieces: list[bytes] = []
        while size > 0:
            number, skipped = divmod(self._position + sum(map(len, pieces)), BLOCK_BYTES)
            piece = self._block(number)[skipped : skipped + size]
            if not piece:
                break
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            if len(self._blocks) >= MOST_BLOCKS:
                self._blocks.popitem(last=False)
            self._file.seek(number * BLOCK_BYTES)
            self._blocks[number] = _read_all(self._file, BLOCK_BYTES)
        self._blocks.move_to_end(number)
        return self._blocks[number]

    def _from_held(self, size: int) -> bytes | None:
        if size < 0:
            return None
        for start, content in self._held.items():
            first = self._position - start
            if first == 0 and size == len(content):
                return content
            if 0 <= first < len(content) and first + size <= len(content):
                return content[first : first + size]
        return None


def _range(chunk: pq.ColumnChunkMetaData) -> tuple[int, int]:
    """Return where a column begins in the file, and where it ends."""
    first = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < first:
        first = chunk.dictionary_page_offset
    return first, first + max(chunk.total_compressed_size, 0)


def page_fault(pages: dict[str, list[Page]]) -> str | None:
    """Say that pages are too large to be decompressed, or None."""
    sizes = {}
    for name, found in pages.items():
        dictionary = max((p.size for p in found if p.is_dictionary), default=0)
        sizes[name] = dictionary + max((p.size for p in found if not p.is_dictionary), default=0)
    if sum(sizes.values()) <= MOST_PAGE_BYTES:
        return None
    name = max(sizes, key=lambda n: sizes[n])
    return (
        f"a page of its column {name!r} takes {sizes[name]:,} bytes once it is decompressed, "
        f"at most {MOST_PAGE_BYTES:,} are read; leave the longest articles out, or write the file "
        "with fewer rows in a page"
    )


def batch_rows(pages: dict[str, list[Page]], most: int) -> int:
    """Return how many rows may be decoded at a time, whatever lies in them."""
    rows = most
    while rows > 1 and sum(largest(found, rows) for found in pages.values()) > BATCH_BYTES:
        rows //= 2
    return rows


def largest(pages: Sequence[Page], rows: int) -> int:
    """Return how many bytes any `rows` neighbours of a column have at most, once decoded."""
    data = [page for page in pages if not page.is_dictionary]
    repeated = sum(page.size for page in pages if page.is_dictionary)
    if any(page.is_delta for page in data):
        repeated += sum(page.size for page in data)
    most = held = values = first = 0
    for page in data:
        held += page.size
        values += page.values
        # What is between the first and the last page of a window lies in it whole.
        while values - data[first].values - page.values > rows - 2 and data[first] is not page:
            held -= data[first].size
            values -= data[first].values
            first += 1
        most = max(most, held)
    return most + rows * repeated


def _page(header: dict[int, Any]) -> Page:
    """Return what a PageHeader of parquet says."""
    first, second = header.get(5), header.get(8)  # of the two versions of data pages
    inner, place = (first, 2) if isinstance(first, dict) else (second, 4)
    inner = inner if isinstance(inner, dict) else {}
    size, values = max(_number(header, 2), 0), max(_number(inner, 1), 0)
    encoding = _number(inner, place)
    if encoding in _DELTA_LENGTHS:
        size += values * _LENGTH_BYTES
    return Page(size, values, _number(header, 1) == _DICTIONARY, encoding == _DELTA_BYTE_ARRAY)


def _number(fields: dict[int, Any], name: int) -> int:
    value = fields.get(name)
    return value if isinstance(value, int) else 0


def _read_all(file: BinaryIO, size: int) -> bytes:
    """Read as many bytes as there are, up to `size`: a store may answer with fewer."""
    content = file.read(size)
    if len(content) == size or not content:
        return content
    pieces = [content]
    while content and sum(map(len, pieces)) < size:
        content = file.read(size - sum(map(len, pieces)))
        pieces.append(content)
    return b"".join(pieces)


def _read_struct(content: bytes, at: int) -> tuple[dict[int, Any], int]:
    """Read a struct in Thrift's compact form; return its fields by number, and where it ends."""
    fields: dict[int, Any] = {}
    name = 0
    while kind := content[at]:
        at += 1
        if kind >> 4:
            name += kind >> 4
        else:
            name, at = _read_number(content, at)
        fields[name], at = _read_value(content, at, kind & 15, in_list=False)
    return fields, at + 1


def _read_value(content: bytes, at: int, kind: int, in_list: bool) -> tuple[Any, int]:
    if kind in _FIXED:
        return None, at + (in_list if kind <= _FALSE else _FIXED[kind])
    if kind < _DOUBLE:
        return _read_number(content, at)
    if kind == _BINARY:
        length, at = _read_unsigned(content, at)
        return None, at + length
    if kind == _STRUCT:
        return _read_struct(content, at)
    if kind >= _MAP:
        raise ValueError(f"type {kind}")  # no header of a page has one
    length, items, at = content[at] >> 4, content[at] & 15, at + 1
    if length == 15:
        length, at = _read_unsigned(content, at)
    if length > len(content):
        raise IndexError(length)
    for _ in range(length):
        _, at = _read_value(content, at, items, in_list=True)
    return None, at


def _read_unsigned(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while content[at] & 128:
        value |= (content[at] & 127) << shift
        shift += 7
        at += 1
    return value | content[at] << shift, at + 1


def _read_number(content: bytes, at: int) -> tuple[int, int]:
    value, at = _read_unsigned(content, at)
    return value >> 1 ^ -(value & 1), at
