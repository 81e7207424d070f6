"""Reading files, and seeing which there are."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator
from functools import partial
from itertools import chain, tee
from typing import BinaryIO

from pagecast import pulse
from pagecast.storage import local
from pagecast.storage.ahead import in_order
from pagecast.storage.paths import is_local
from pagecast.storage.stores import begin, serving

_COPY_BYTES = 1 << 20


def version_of(path: str) -> Hashable | None:
    """Return what identifies the content of an object of a store; None where it is not there."""
    return serving(path).version_of(path)


def pinned(path: str) -> str:
    """Return a path whose content stays as it is now, where a store has such paths: the hub's."""
    if is_local(path) or not hasattr(serving(path), "pinned"):
        return path
    return serving(path).pinned(path)


def exists(path: str) -> bool:
    """Tell whether a file is there.

    Raises:
      PermissionError: nobody may look.
    """
    if is_local(path):
        try:
            os.stat(path)
        except PermissionError:
            raise
        except (OSError, ValueError):
            return False
        return True
    return path.count("/") > 2 and serving(path).exists(path)  # a bucket is not an object


def files_in(directory: str) -> Iterator[str]:
    """Yield the paths of the files in a directory, none where it is not there."""
    if not is_local(directory):
        yield from serving(directory).files_in(directory)
    elif os.path.isdir(directory):
        with os.scandir(directory) as entries:
            yield from (entry.path for entry in entries if entry.is_file())


def versions_in(directory: str) -> Iterator[tuple[str, Hashable]]:
    """Yield the names of the files in a directory, none where it is not there, and their versions.

    A file that is replaced gets another version. Nothing is asked for each file.
    """
    if not is_local(directory):
        for path, version in serving(directory).versions_in(directory):
            yield path.rsplit("/", 1)[-1], version
    elif os.path.isdir(directory):
        with os.scandir(directory) as entries:
            yield from ((entry.name, entry.inode()) for entry in entries)


def files_below(directory: str) -> Iterator[str]:
    """Yield the paths of all objects anywhere below a directory of a store."""
    return serving(directory).files_in(directory, below=True)


def open_read(path: str) -> BinaryIO:
    """Open a file as it is, never decompressed; seekable."""
    return local.open_read(path) if is_local(path) else serving(path).open_read(path)


def open_ranges(path: str) -> BinaryIO:
    """Open a file for reading ranges far apart: of a store nothing but what is asked for comes."""
    return local.open_read(path) if is_local(path) else serving(path).open_ranges(path)


def read_bytes(path: str) -> bytes:
    """Return the whole content of a file."""
    with open_read(path) as file:
        return file.read()


def size_of(path: str) -> int:
    """Return the size of a file in bytes."""
    if not is_local(path):
        return serving(path).size_of(path)
    with open_read(path) as file:
        return file.seek(0, os.SEEK_END)


def sha256_of(path: str, offset: int = 0, size: int | None = None) -> str:
    """Return the SHA-256 of a file's content, or of `size` bytes from `offset`, in hexadecimal.

    Raises:
      OSError: the file cannot be read, or ends before that.
    """
    digest = hashlib.sha256()
    for piece in read_pieces(path, offset, size):
        digest.update(piece)
    return digest.hexdigest()


def read_each(paths: Iterable[str]) -> Iterator[bytes | None]:
    """Yield the contents of files of one place, None for one that is not there.

    In a store many are fetched at a time.
    """
    paths = iter(paths)
    for path in paths:
        if not is_local(path):
            yield from in_order(partial(begin, "content"), chain([path], paths))
            return
        try:
            yield read_bytes(path)
        except FileNotFoundError:
            yield None


def read_ranges(places: Iterable[tuple[str, int, int]]) -> Iterator[bytes]:
    """Yield ranges of files by path, offset and length; in a store many are fetched at a time.

    Raises:
      OSError: a file ends before that.
    """
    places = iter(places)
    first = next(places, None)
    if first is None:
        return
    places = chain([first], places)
    if is_local(first[0]):
        with RangeReader() as reader:
            yield from (reader.read(*place) for place in places)
        return
    wanted, asked = tee(places)
    contents = in_order(lambda p: begin("range", p[0], p[1], p[1] + p[2] - 1), asked)
    for (path, offset, length), (content, _) in zip(wanted, contents, strict=True):
        yield _whole(content, path, offset, length)


def _whole(content: bytes, path: str, offset: int, length: int) -> bytes:
    pulse.beat()
    if len(content) != length:
        raise OSError(f"{path} ends at byte {offset + len(content)}, not {offset + length}")
    return content


def read_pieces(path: str, offset: int = 0, size: int | None = None) -> Iterator[bytes]:
    """Yield a file's content, or `size` bytes of it from `offset`, in bounded pieces.

    Raises:
      OSError: the file cannot be read, or ends before that.
    """
    with open_read(path) as file:
        file.seek(offset)
        left = size
        while left is None or left > 0:
            piece = file.read(_COPY_BYTES if left is None else min(_COPY_BYTES, left))
            if not piece:
                break
            left = None if left is None else left - len(piece)
            pulse.beat()
            yield piece
    if left:
        raise OSError(f"{path} ends {left} bytes early")


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
            self._open[path] = open_ranges(path)
        self._open.move_to_end(path)
        self._open[path].seek(offset)
        return _whole(self._open[path].read(length), path, offset, length)

    def __enter__(self) -> RangeReader:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._open.values():
            file.close()
        self._open.clear()
