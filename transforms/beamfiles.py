"""Files in the other stores for which Beam has a file system, such as hdfs:// and azfs://.

Beam's writers complete what was written so far when they are given up, so a file is gathered on the
local disk first and sent when it is whole. Trouble that is not the system's becomes a
`ConnectionError` with the path.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any, BinaryIO

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from transforms.storage import TEMPORARY

_BINARY = "application/octet-stream"
_READ_AHEAD = 1 << 20
_IN_MEMORY = 16 << 20  # what is larger is gathered on the disk


def exists(path: str) -> bool:
    """Tell whether a file is there."""
    with _naming(path):
        return FileSystems.exists(path)


def size_of(path: str) -> int:
    """Return the size of a file in bytes."""
    with open_read(path) as file, _naming(path):
        return file.seek(0, os.SEEK_END)


def files_in(directory: str, below: bool = False) -> Iterator[str]:
    """Yield the paths of the files directly in a directory, or anywhere below it."""
    yield from (path for path, _ in versions_in(directory, below))


def versions_in(directory: str, below: bool = False) -> Iterator[tuple[str, tuple[int, float]]]:
    """Yield the same paths, each with the file's size and when it was written."""
    with _naming(directory):
        matches = FileSystems.match([directory.rstrip("/") + ("/**" if below else "/*")])
    for match in matches:
        for file in match.metadata_list:
            if not file.path.endswith("/"):
                yield file.path, (file.size_in_bytes, file.last_updated_in_seconds)


def open_read(path: str) -> BinaryIO:
    """Open a file as it is, never decompressed; seekable."""
    with _naming(path):
        file = FileSystems.open(path, _BINARY, CompressionTypes.UNCOMPRESSED)
    # Some readers take a line byte by byte.
    return io.BufferedReader(_Named(path, file), _READ_AHEAD)


def open_ranges(path: str) -> BinaryIO:
    """Open a file for reading ranges far apart."""
    return open_read(path)


def remove(paths: Iterable[str]) -> None:
    """Remove the files that are there."""
    for path in paths:
        if exists(path):
            with _naming(path):
                FileSystems.delete([path])


class _Named(io.RawIOBase):
    """A file of Beam's whose errors are told with its path."""

    def __init__(self, path: str, file: BinaryIO) -> None:
        self._path = path
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with _naming(self._path):
            return self._file.seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        with _naming(self._path):
            content = self._file.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        self._file.close()
        super().close()


class Upload:
    """A file that appears under its path whole when it is committed, or not at all.

    Where the store has real directories it is renamed, in an object store it appears when closed.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._gathered = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115

    def write(self, piece: bytes) -> None:
        """Append to the file."""
        self._gathered.write(piece)

    def commit(self) -> None:
        """Let the file appear."""
        self._gathered.seek(0)
        with _naming(self.path):
            renames = FileSystems.get_filesystem(self.path).has_dirs()
            target = f"{self.path}{TEMPORARY}{uuid.uuid4().hex}" if renames else self.path
            with FileSystems.create(target, _BINARY, CompressionTypes.UNCOMPRESSED) as file:
                shutil.copyfileobj(self._gathered, file, 1 << 20)
            if renames:
                FileSystems.rename([target], [self.path])
        self._gathered.close()

    def abandon(self) -> None:
        """Leave nothing behind, and what was there as it was."""
        self._gathered.close()


@contextlib.contextmanager
def _naming(path: str) -> Iterator[None]:
    """Turn what Beam's file systems raise into errors of the system, with the path."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and not isinstance(error, BeamIOError):
            raise
        if getattr(error, "code", None) == HTTPStatus.NOT_FOUND:  # of the library below
            raise FileNotFoundError(errno.ENOENT, "no such object", path) from error
        raise ConnectionError(f"{path}: {_reason(error)}") from error


def _reason(error: Any) -> str:
    """Return on one line why something failed, without Beam's wrapping."""
    inner = getattr(error, "exception_details", None)
    text = str(next(iter(inner.values()))) if inner else str(error)
    return " ".join(text.split()) or type(error).__name__
