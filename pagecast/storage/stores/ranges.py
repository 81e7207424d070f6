"""Objects of a store as files, read by ranges; each is fetched whole, so that it can be again."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any

# From the path, the first byte and the last one, or None for all that follow: the bytes, none where
# the object ends before them, and the size of the whole object if the answer told it.
Fetch = Callable[[str, int, int | None], tuple[bytes, int | None]]


class Seekable(io.RawIOBase):
    """A file that is read and has a position, which nothing is asked for until it is read from."""

    def __init__(self) -> None:
        self._position = 0

    def _end(self) -> int:
        """Return the size of the file."""
        raise NotImplementedError

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read from anywhere."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Change the position and return it."""
        if whence == os.SEEK_END:
            offset += self._end()
        elif whence == os.SEEK_CUR:
            offset += self._position
        self._position = max(0, offset)
        return self._position


class ObjectReader(Seekable):
    """A seekable file of an object. Nothing but what is asked for is fetched.

    Args:
      size_of: tells the size of an object.
      fetch: fetches a range of one.
    """

    def __init__(self, path: str, size_of: Callable[[str], int], fetch: Fetch) -> None:
        super().__init__()
        self._path = path
        self._size_of = size_of
        self._fetch = fetch
        self._size: int | None = None

    def _end(self) -> int:
        if self._size is None:
            self._size = self._size_of(self._path)
        return self._size

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as the object goes, and return how far."""
        content = self._next(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def readall(self) -> bytes:
        """Return all from the position on."""
        return self._next(None)

    def _next(self, length: int | None) -> bytes:
        if length == 0 or (self._size is not None and self._position >= self._size):
            return b""
        last = None if length is None else self._position + length - 1
        content, size = self._fetch(self._path, self._position, last)
        if size is not None:
            self._size = size
        self._position += len(content)
        return content
