"""Files of the job, on a mounted file system or in an object store.

Whatever is committed here appears whole or not at all: on a file system by writing a temporary
name and renaming it, in an object store because an object is visible only when it is complete.
What serves the stores is imported only where it is needed: a training loader that reads pages from
a disk can do without fsspec, and every one without Beam.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import re
import sys
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import Future, wait
from functools import cache, partial
from itertools import chain, tee
from typing import Any, BinaryIO, NamedTuple, TypeVar

from pagecast import pulse
from pagecast.storage import local

PRIVATE = "_pagecast"  # the directory below an output directory that only Pagecast reads
TEMPORARY = ".pagecast-tmp-"  # in the name of every file that is not committed yet
UNCOMMITTED = re.compile(rf".+{re.escape(TEMPORARY)}[0-9a-f]{{32}}")  # such a name
SCHEME = re.compile(r"[a-zA-Z][-a-zA-Z0-9+.]*://")
AHEAD = 64  # begun or waiting to begin in a store: so many contents are held in memory
_COPY_BYTES = 1 << 20

T = TypeVar("T")
R = TypeVar("R")


def _store(path: str) -> Any:
    """Return the module that serves a path which is not local."""
    if path.startswith("hf://"):
        from pagecast.storage import hub

        return hub
    from pagecast.storage import objects

    return objects


def is_local(path: str) -> bool:
    """Tell whether the path is on a mounted file system, not in an object store."""
    return SCHEME.match(path) is None


def protect(output_dir: str) -> None:
    """Let this process write and remove nothing through a link inside an output directory."""
    if is_local(output_dir):
        local.protect(output_dir)


def join(base: str, *names: str) -> str:
    """Join path components below `base`, which may be a path or an object-store URL."""
    if is_local(base):
        return os.path.join(base, *names)
    return "/".join([base.rstrip("/"), *names])


def private(output_dir: str, *names: str) -> str:
    """Return the path of one of the job's own files."""
    return join(output_dir, PRIVATE, *names)


def put_instead(path: str, content: bytes, version: Hashable | None) -> None:
    """Write a small object of a store in place of a version of it, or if there is none.

    Raises:
      FileExistsError: something else is there.
    """
    _begin("put", path, content, version).result()


def version_of(path: str) -> Hashable | None:
    """Return what identifies the content of an object of a store; None where it is not there."""
    return _store(path).version_of(path)


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
    return path.count("/") > 2 and _store(path).exists(path)  # a bucket is no object


def files_in(directory: str) -> Iterator[str]:
    """Yield the paths of the files in a directory, none where it is not there."""
    if not is_local(directory):
        yield from _store(directory).files_in(directory)
    elif os.path.isdir(directory):
        with os.scandir(directory) as entries:
            yield from (entry.path for entry in entries if entry.is_file())


def versions_in(directory: str) -> Iterator[tuple[str, Hashable]]:
    """Yield the names of the files in a directory, none where it is not there, and their versions.

    A file that is replaced gets another version. Nothing is asked for each file.
    """
    if not is_local(directory):
        for path, version in _store(directory).versions_in(directory):
            yield path.rsplit("/", 1)[-1], version
    elif os.path.isdir(directory):
        with os.scandir(directory) as entries:
            yield from ((entry.name, entry.inode()) for entry in entries)


def in_order(
    begin: Callable[[T], Future[R]], items: Iterable[T], ahead: int = AHEAD
) -> Iterator[R]:
    """Yield what is begun for each item, in order, at most `ahead` at a time: it may be large."""
    running: deque[Future[R]] = deque()
    try:
        for item in items:
            running.append(begin(item))
            if len(running) >= ahead:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        for each in running:
            each.cancel()


def files_below(directory: str) -> Iterator[str]:
    """Yield the paths of all objects anywhere below a directory of a store."""
    return _store(directory).files_in(directory, below=True)


def open_read(path: str) -> BinaryIO:
    """Open a file as it is, never decompressed; seekable."""
    return local.open_read(path) if is_local(path) else _store(path).open_read(path)


def open_write(path: str) -> BinaryIO:
    """Open a local file for writing under its own name, with the directories that it needs."""
    return local.open_new(path)


def read_bytes(path: str) -> bytes:
    """Return the whole content of a file."""
    with open_read(path) as file:
        return file.read()


def size_of(path: str) -> int:
    """Return the size of a file in bytes."""
    if not is_local(path):
        return _store(path).size_of(path)
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
            yield from in_order(partial(_begin, "content"), chain([path], paths))
            return
        try:
            yield read_bytes(path)
        except FileNotFoundError:
            yield None


def _begin(work: str, path: str, *arguments: Any) -> Future[Any]:
    return _store(path).begin(path, work, *arguments)


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
    contents = in_order(lambda p: _begin("range", p[0], p[1], p[1] + p[2] - 1), asked)
    for (path, offset, length), (content, _) in zip(wanted, contents, strict=True):
        yield _whole(content, path, offset, length)


def _whole(content: bytes, path: str, offset: int, length: int) -> bytes:
    pulse.beat()
    if len(content) != length:
        raise OSError(f"{path} ends at byte {offset + len(content)}, not {offset + length}")
    return content


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
        self._upload = None if is_local(path) else _store(path).Upload(path)
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


def settle(directory: str) -> None:
    """Wait until all that was written to the file system of a directory is on its disk.

    One call for the thousands of pictures of a shard; to ask for each file takes far longer. What
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
            _store(path).remove(chain([path], paths))


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
            local = is_local(path)
            self._open[path] = open_read(path) if local else _store(path).open_ranges(path)
        self._open.move_to_end(path)
        self._open[path].seek(offset)
        return _whole(self._open[path].read(length), path, offset, length)

    def __enter__(self) -> RangeReader:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._open.values():
            file.close()
        self._open.clear()


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
        self._running.append(_begin("put_wanted", path, content, lambda: self._wanted))

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
