"""The footer of a parquet file: fetched, known by its hash, and made sense of once a process."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pagecast import storage

MOST_BYTES = 64 << 20  # of a footer: some 100,000 row groups of FineWiki
TAIL_BYTES = 64 << 10  # fetched at once, as Arrow does: most footers are smaller
KEPT_BYTES = 8 << 20  # of the footers that a process keeps; the last one in any case
_END_BYTES = 8  # the footer's length and the letters PAR1


def fetch(file: BinaryIO) -> tuple[int, bytes]:
    """Return the size of a parquet file and the bytes of its footer, to the end of the file.

    Raises:
      OSError: it is longer than the file or than what is read, or the file cannot be read.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - TAIL_BYTES, 0))
    tail = file.read(TAIL_BYTES)
    length = int.from_bytes(tail[-_END_BYTES:-4], "little") + _END_BYTES
    if len(tail) < _END_BYTES or not tail.endswith((b"PAR1", b"PARE")):
        return size, tail[-_END_BYTES:]  # Arrow says what it is
    if length > size:
        raise OSError(f"its footer is damaged: it claims {length} bytes, the file has {size}")
    if length > MOST_BYTES:
        raise OSError(f"its footer has {length} bytes, more than {MOST_BYTES}")
    if length > len(tail):
        file.seek(size - length)
        tail = file.read(length - len(tail)) + tail
    return size, tail[-length:]


class Footers:
    """The footers that were made sense of last, by the file as it was then."""

    def __init__(self) -> None:
        self._found: OrderedDict[Hashable, tuple[pq.FileMetaData, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: str, file: BinaryIO, sha256: str | None) -> pq.FileMetaData:
        """Return the footer of an open file, which is to have this hash if it is known.

        It is fetched once a process, and again when a local file has changed.

        Raises:
          OSError: it has another hash.
          pyarrow.ArrowException: it cannot be read.
        """
        # Of an object without a known hash nothing tells that it is still the same.
        known = path, sha256, _identity(path, file)
        with self._lock:
            if known in self._found:
                self._found.move_to_end(known)
                return self._found[known][0]
        _, content = fetch(file)
        if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
            raise OSError(
                "it changed while the run was going on: its footer is not the one that was planned "
                "with; put the earlier file back and run the same command again"
            )
        self._make_room(len(content))
        metadata = pq.read_metadata(pa.BufferReader(content))
        if sha256 is not None or storage.is_local(path):
            self._keep(known, metadata, len(content))
        return metadata

    def _keep(self, known: Hashable, metadata: pq.FileMetaData, size: int) -> None:
        with self._lock:
            self._found[known] = metadata, size

    def _make_room(self, size: int) -> None:
        """Let go of what would be too much with another one: they are up to 500 MB in memory."""
        with self._lock:
            total = size + sum(size for _, size in self._found.values())
            while total > KEPT_BYTES and self._found:
                total -= self._found.popitem(last=False)[1][1]


def _identity(path: str, file: BinaryIO) -> Hashable:
    """Return what changes when a local file does."""
    if not storage.is_local(path):
        return None
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


footers = Footers()
