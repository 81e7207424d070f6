"""Objects in stores, through fsspec: S3 by s3fs, Google Cloud Storage by gcsfs, Azure by adlfs.

Any other store that fsspec knows is served by what its file systems have in common.

Requests run on fsspec's thread, each process's own. A path is a name, never a pattern, and nothing
is remembered of what a store has. Trouble with one object is an `OSError` that names it. Where the
store itself fails, after its library has tried often enough, it is a `StoreError`: no single
file's fault.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Hashable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any

from pagecast.storage.ahead import in_order
from pagecast.storage.stores.azure import Azure
from pagecast.storage.stores.google import Google
from pagecast.storage.stores.ranges import ObjectReader
from pagecast.storage.stores.s3 import S3
from pagecast.storage.stores.settings import beam_options
from pagecast.storage.stores.store import PART_BYTES, Store, split_url

READ_AHEAD = 4 << 20

_opened: dict[Hashable, Store] = {}  # never emptied: to let go of a parent's would close it
_opening: dict[int, threading.Lock] = {}


_KINDS = {"s3": S3, "gs": Google, "gcs": Google} | dict.fromkeys(("az", "abfs", "abfss"), Azure)


def begin(path: str, work: str, *arguments: Any) -> Future[Any]:
    """Begin what a method of a store does with an object, such as `range` or `content`."""
    store = _store(path)
    return asyncio.run_coroutine_threadsafe(store.do(path, work, *arguments), store.loop)


def exists(path: str) -> bool:
    """Tell whether an object is there."""
    return version_of(path) is not None


def size_of(path: str) -> int:
    """Return the size of an object in bytes."""
    return begin(path, "stat").result()[0]


def version_of(path: str) -> Hashable | None:
    """Return what identifies an object's content; None if it is not there."""
    try:
        return begin(path, "stat").result()[1]
    except FileNotFoundError:
        return None


def files_in(directory: str, below: bool = False) -> Iterator[str]:
    """Yield the paths of the objects directly in a directory, or anywhere below it."""
    yield from (path for path, _ in versions_in(directory, below))


def versions_in(directory: str, below: bool = False) -> Iterator[tuple[str, Hashable]]:
    """Yield the same paths, each with what identifies the object's content."""
    top, after = f"{directory.rstrip('/')}/", None
    while True:
        found, after = begin(top, "page", below, after).result()
        for name, version in found:
            if name and not name.endswith("/"):  # how consoles make a directory
                yield top + name, version
        if not after:
            return


def open_read(path: str) -> io.BufferedReader:
    """Open an object for reading; seekable. That it is missing shows when it is read."""
    return io.BufferedReader(open_ranges(path), READ_AHEAD)


def open_ranges(path: str) -> io.RawIOBase:
    """Open an object for reading ranges far apart: nothing but what is asked for is fetched."""

    def fetch(path: str, first: int, last: int | None) -> tuple[bytes, int | None]:
        return begin(path, "range", first, last).result()

    return ObjectReader(path, size_of, fetch)


def remove(paths: Iterable[str]) -> None:
    """Remove the objects that are there."""
    for _ in in_order(lambda batch: begin(batch[0], "remove_all", batch), _batches(paths)):
        pass


def _batches(paths: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for path in paths:
        if batch and (
            len(batch) >= _store(path).removes or split_url(path)[1] != split_url(batch[0])[1]
        ):
            yield batch
            batch = []
        batch.append(path)
    if batch:
        yield batch


class Upload:
    """An object that appears whole when it is committed, or not at all.

    A small one takes one request. A large one is gathered on the disk, or sent while it is written.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._size = 0
        self._gathered = tempfile.SpooledTemporaryFile(PART_BYTES)  # noqa: SIM115
        self._stream: Any = None

    def write(self, piece: bytes) -> None:
        """Append to the object."""
        self._size += len(piece)
        if self._stream is not None:
            with self._naming():
                self._stream.write(piece)
            return
        self._gathered.write(piece)
        if self._size > PART_BYTES and _store(self.path).streams:
            with self._naming():
                name = "/".join(split_url(self.path)[1:])
                self._stream = _store(self.path).fs.open(
                    name, "wb", block_size=PART_BYTES, autocommit=False
                )
                self._gathered.seek(0)
                shutil.copyfileobj(self._gathered, self._stream, PART_BYTES)
            self._gathered.close()

    def commit(self) -> None:
        """Let the object appear."""
        if self._stream is None:
            self._gathered.seek(0)
            if self._size <= PART_BYTES:
                begin(self.path, "put", self._gathered.read()).result()
            else:
                begin(self.path, "send", self._gathered, self._size).result()
            self._gathered.close()
            return
        try:
            with self._naming():
                self._stream.close()
                self._stream.commit()
        except FileNotFoundError:
            # It was done, but the answer was lost and the request repeated.
            if not exists(self.path) or size_of(self.path) != self._size:
                raise

    def abandon(self) -> None:
        """Leave nothing behind, and what was there as it was."""
        self._gathered.close()
        if self._stream is not None:
            self._stream.closed = True  # nothing is to be sent when it is collected
            with contextlib.suppress(OSError), self._naming():
                self._stream.discard()

    @contextlib.contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise _store(self.path).system_error(self.path, error) from error


def _store(path: str) -> Store:
    """Return what serves a path in this process: none is shared with a forked one."""
    scheme, host, _ = split_url(path)
    kind, process, given = _KINDS.get(scheme, Store), os.getpid(), beam_options()
    which = process, scheme, host if kind is Store else host.partition("@")[2], id(given)
    with _opening.setdefault(process, threading.Lock()):
        if which not in _opened:
            try:
                _opened[which] = kind.open(path)
            except Exception as error:
                raise kind(None).system_error(path, error) from error
        return _opened[which]


def _leave_alone() -> None:
    """Let a forked process close nothing of its parent's at its exit.

    What adlfs does then would wait for ever for the parent's thread.
    """
    inherited = {id(store.fs) for store in _opened.values()}
    for each in list(weakref.finalize._registry):  # type: ignore[attr-defined]
        alive = each.peek()
        if alive and id(alive[0]) in inherited:
            each.atexit = False


os.register_at_fork(after_in_child=_leave_alone)
