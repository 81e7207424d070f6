"""Files of the job, on a disk or in an object store, through Beam's FileSystems.

Whatever is committed here appears whole or not at all: on a file system by writing a temporary
name and renaming it, in an object store because an object is visible only when it is closed.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections import OrderedDict
from collections.abc import Iterable
from typing import BinaryIO

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

PRIVATE = "_pagecast"  # the directory below an output directory that only Pagecast reads
TEMPORARY = ".pagecast-tmp-"  # in the name of every file that is not committed yet
_BINARY = "application/octet-stream"
_COPY_BYTES = 1 << 20


def join(base: str, *names: str) -> str:
    """Join path components below `base`, which may be a path or an object-store URL."""
    return FileSystems.join(base, *names)


def private(output_dir: str, *names: str) -> str:
    """Return the path of one of the job's own files."""
    return join(output_dir, PRIVATE, *names)


def is_local(path: str) -> bool:
    """Tell whether the path is on a mounted file system, not in an object store."""
    return FileSystems.get_scheme(path) is None


def exists(path: str) -> bool:
    """Tell whether a file is there."""
    return FileSystems.exists(path)


def open_read(path: str) -> BinaryIO:
    """Open a file as it is, never decompressed; seekable."""
    return FileSystems.open(path, _BINARY, CompressionTypes.UNCOMPRESSED)


def read_bytes(path: str) -> bytes:
    """Return the whole content of a file."""
    with open_read(path) as file:
        return file.read()


def write_in_place(path: str, content: bytes) -> None:
    """Write a file under its own name, for content that is the same whoever writes it."""
    with FileSystems.create(path, _BINARY, CompressionTypes.UNCOMPRESSED) as file:
        file.write(content)


def commit(path: str, pieces: Iterable[bytes]) -> int:
    """Write `pieces` one after another so that `path` appears whole or not at all.

    An existing file is replaced. Returns the number of bytes. If a piece cannot be had or
    written, the temporary file is removed and the error goes on.
    """
    renames = FileSystems.get_filesystem(path).has_dirs()
    target = f"{path}{TEMPORARY}{uuid.uuid4().hex}" if renames else path
    size = 0
    try:
        with FileSystems.create(target, _BINARY, CompressionTypes.UNCOMPRESSED) as file:
            for piece in pieces:
                file.write(piece)
                size += len(piece)
        if renames:
            FileSystems.rename([target], [path])
    except BaseException:
        if renames:
            remove([target])
        raise
    return size


def copy_pieces(paths: Iterable[str]) -> Iterable[bytes]:
    """Yield the contents of files, one after another, in bounded pieces."""
    for path in paths:
        with open_read(path) as file:
            while piece := file.read(_COPY_BYTES):
                yield piece


def remove(paths: Iterable[str]) -> None:
    """Remove the files that are there."""
    for path in paths:
        if is_local(path):  # Beam's own deletion takes a path for a pattern: `out[1]` is none
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
        elif FileSystems.exists(path):
            FileSystems.delete([path])


class RangeReader:
    """Reads byte ranges of many files, keeping the last few of them open."""

    def __init__(self, most_open: int = 64) -> None:
        self._open: OrderedDict[str, BinaryIO] = OrderedDict()
        self._most_open = most_open

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset`.

        Raises:
          OSError: the file ends before that.
        """
        if path not in self._open:
            if len(self._open) >= self._most_open:
                self._open.popitem(last=False)[1].close()
            self._open[path] = open_read(path)
        self._open.move_to_end(path)
        self._open[path].seek(offset)
        content = self._open[path].read(length)
        if len(content) != length:
            raise OSError(f"{path} ends at byte {offset + len(content)}, not {offset + length}")
        return content

    def __enter__(self) -> RangeReader:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._open.values():
            file.close()
        self._open.clear()
