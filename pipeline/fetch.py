"""Fetching one file of a dataset: going on where an earlier try stopped, and checking its hash."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from transforms import hub, localfiles, storage
from transforms.hub import RemoteFile

Advance = Callable[[int], None]  # told of bytes that were checked or fetched, or were in vain


class StoppedError(Exception):
    """Somebody else's trouble, or the person, ended the work on this file."""


def part_of(path: str) -> str:
    """Return where a file is gathered: hidden, so that no glob for input finds it."""
    directory, name = os.path.split(path)
    return os.path.join(directory, f".{name}.part")


def bytes_there(path: str) -> int:
    """Return how much of a file an earlier try has left."""
    with contextlib.suppress(OSError):
        return os.path.getsize(part_of(path))
    return 0


def is_whole(path: str, file: RemoteFile, stop: threading.Event, advance: Advance) -> bool:
    """Tell whether a local file is the hub's, by its size and hash."""
    if not os.path.isfile(path) or os.path.getsize(path) != file.size:
        return False
    digest = _hasher(file)
    for piece in storage.read_pieces(path):
        if stop.is_set():
            raise StoppedError
        digest.update(piece)
        advance(len(piece))
    return digest.hexdigest() == _hash_of(file)


def fetch(
    source: str, file: RemoteFile, path: str, stop: threading.Event, advance: Advance
) -> None:
    """Fetch a file; it appears whole and checked, or not at all.

    Args:
      source: its path on the hub.

    Raises:
      ConnectionError: the hub failed, or what it sends has another hash than it says.
      StoppedError: `stop` was set; what was fetched is kept.
    """
    with storage.naming(part_of(path)), _gathering(path) as part:
        if _gather(part, source, file, stop, advance) != _hash_of(file):
            advance(-file.size)
            # What an earlier try left may be damaged, or of another commit.
            part.truncate(0)
            if (got := _gather(part, source, file, stop, advance)) != _hash_of(file):
                part.truncate(0)
                raise ConnectionError(
                    f"{source}: what the hub sends has the hash {got}, it should be "
                    f"{_hash_of(file)}; a proxy may have changed it"
                )
        localfiles.replace(part_of(path), path)


@contextlib.contextmanager
def _gathering(path: str) -> Iterator[Any]:
    """Open the file in which another one is gathered, for this process alone."""
    with localfiles.open_kept(part_of(path)) as part:
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConnectionError(f"{path} is being fetched by another process") from error
        except OSError:  # a file system without locks; the hash tells
            pass
        yield part


def _gather(
    part: Any, source: str, file: RemoteFile, stop: threading.Event, advance: Advance
) -> str:
    """Append what is missing and return the hash of all."""
    if part.seek(0, os.SEEK_END) > file.size:
        part.truncate(0)
    part.seek(0)
    digest = _hasher(file)
    while piece := part.read(hub.PIECE):
        digest.update(piece)
        advance(len(piece))
    there = part.tell()

    def wait(seconds: float) -> None:
        if stop.wait(seconds):
            raise StoppedError

    if there < file.size:
        for piece in hub.pieces(source, there, wait):
            if stop.is_set():
                raise StoppedError
            _write_all(part, piece)
            digest.update(piece)
            advance(len(piece))
    return digest.hexdigest()


def _write_all(part: Any, piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        left = left[part.write(left) :]


def _hasher(file: RemoteFile) -> Any:
    """Return what hashes a file as the hub does: small files are known by git's hash alone."""
    if file.sha256:
        return hashlib.sha256()
    return hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)


def _hash_of(file: RemoteFile) -> str:
    return file.sha256 or file.blob
