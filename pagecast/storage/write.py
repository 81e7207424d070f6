"""Writing files so that each appears whole or not at all, and removing them."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import sys
import uuid
from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from concurrent.futures import Future, wait
from functools import cache
from itertools import chain
from typing import Any, BinaryIO, NamedTuple

from pagecast import pulse
from pagecast.storage import local
from pagecast.storage.ahead import AHEAD
from pagecast.storage.paths import TEMPORARY, is_local
from pagecast.storage.stores import begin, serving


def protect(output_dir: str) -> None:
    """Let this process write and remove nothing through a link inside an output directory."""
    if is_local(output_dir):
        local.protect(output_dir)


def put_instead(path: str, content: bytes, version: Hashable | None) -> None:
    """Write a small object of a store in place of a version of it, or if there is none.

    Raises:
      FileExistsError: something else is there.
    """
    begin("put", path, content, version).result()


def open_write(path: str) -> BinaryIO:
    """Open a local file for writing under its own name, with the directories that it needs."""
    return local.open_new(path)


def write_in_place(path: str, content: bytes) -> None:
    """Write a file under its own name, for content that is the same whoever writes it."""
    if not is_local(path):
        commit(path, [content])
        return
    with naming(path), open_write(path) as file:
        file.write(content)


@contextlib.contextmanager
def naming(path: str) -> Iterator[None]:
    """Name the file in an error that does not, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), path) from error


class Writer:
    """Writes a file that appears under its path whole, when it is committed, or not at all.

    An existing file is replaced. As a context manager it commits, unless an error comes by.

    Args:
      durable: when it is committed it is on the disk, whatever happens to the power.
    """

    def __init__(self, path: str, durable: bool = False) -> None:
        self.path = path
        self._durable = durable
        self.size = 0
        self._upload = None if is_local(path) else serving(path).Upload(path)
        self._target = f"{path}{TEMPORARY}{uuid.uuid4().hex}"
        self._file = self._upload or open_write(self._target)

    def write(self, piece: bytes) -> None:
        """Append to the file."""
        with naming(self.path):
            self._file.write(piece)
        self.size += len(piece)
        pulse.beat()

    def commit(self) -> None:
        """Let the file appear."""
        if self._upload is not None:
            self._upload.commit()
            return
        with naming(self.path):
            if self._durable:
                self._file.flush()
                os.fsync(self._file.fileno())
            self._file.close()
        local.replace(self._target, self.path)
        if self._durable:
            _sync_directory(os.path.dirname(self.path) or ".")

    def abandon(self) -> None:
        """Leave nothing behind."""
        if self._upload is not None:
            self._upload.abandon()
            return
        with contextlib.suppress(OSError):  # a full disk refuses what was still buffered
            self._file.close()
        remove([self._target])

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self.abandon()
            return
        try:
            self.commit()
        except BaseException:
            self.abandon()
            raise


def commit(path: str, pieces: Iterable[bytes], durable: bool = False) -> int:
    """Write `pieces` one after another so that `path` appears whole or not at all.

    Returns the number of bytes. If a piece cannot be had or written, the error goes on.
    """
    with Writer(path, durable) as writer:
        for piece in pieces:
            writer.write(piece)
    return writer.size


class WrittenFile(NamedTuple):
    """A file's size in bytes and the SHA-256 of its content."""

    size: int
    sha256: str


def commit_hashed(path: str, pieces: Iterable[bytes]) -> WrittenFile:
    """Write a file as `commit` does, and return what was written."""
    digest = hashlib.sha256()

    def hashed() -> Iterator[bytes]:
        for piece in pieces:
            digest.update(piece)
            yield piece

    size = commit(path, hashed())
    return WrittenFile(size, digest.hexdigest())


def flush(directory: str) -> None:
    """Wait until all that was written to the file system of a directory is on its disk.

    One call for the thousands of images of a shard; to ask for each file takes far longer. What
    an object store has accepted is safe already.
    """
    if not is_local(directory):
        return
    sync = _syncfs()
    if sync is None:
        os.sync()
        return
    opened = os.open(directory, os.O_RDONLY)
    try:
        if sync(opened) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), directory)
    finally:
        os.close(opened)


@cache
def _syncfs() -> Any:
    """Return the system's call for one file system, or None where there is none, as on macOS."""
    if sys.platform != "linux":
        return None
    return getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)


def _sync_directory(path: str) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems have no such thing
            os.fsync(opened)
    finally:
        os.close(opened)


def remove(paths: Iterable[str]) -> None:
    """Remove the files that are there, which are all local or all in one store."""
    paths = iter(paths)
    for path in paths:
        if is_local(path):
            local.remove(path)
        else:  # together with all that follow: one request can remove many
            serving(path).remove(chain([path], paths))


class Uploads:
    """Writes files whose bytes are fixed: in a store behind the caller's back, on a disk at once.

    A store's refusal comes out of a later `write`, or of `wait`.
    """

    def __init__(self) -> None:
        self._running: deque[Future[None]] = deque()
        self._wanted = True

    def write(self, path: str, content: bytes) -> None:
        """Write a file, or begin to."""
        if is_local(path):
            write_in_place(path, content)
            return
        if len(self._running) >= AHEAD:
            self._running.popleft().result()
        self._running.append(begin("put_wanted", path, content, lambda: self._wanted))

    def wait(self) -> None:
        """Return when all is written."""
        while self._running:
            self._running.popleft().result()

    def abandon(self) -> None:
        """Begin no more, and return when nothing is being written."""
        self._wanted = False
        wait(self._running)
        self._running.clear()
        self._wanted = True
