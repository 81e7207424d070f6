"""Datasets on the Hugging Face hub: what is there, and reading it by ranges. Nothing is written.

A path is hf://datasets/OWNER/NAME[@REVISION]/PATH. Whoever plans a job replaces the revision by the
commit it stands for, so that all workers read the same files whatever is pushed meanwhile.

The downloads of huggingface_hub are not used: as of 2.4 they begin a file anew after a stop, and
keep copies in the home directory.
"""

from __future__ import annotations

import io
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from transforms import hubcalls
from transforms.hubcalls import HttpError, answer_to, naming, pause, trying
from transforms.ranges import ObjectReader

SCHEME = "hf://"
FORM = "hf://datasets/OWNER/NAME[@REVISION]/data/*.parquet"
PATH = re.compile(
    r"hf://datasets/([\w.-]+/[\w.-]+)(?:@([^/*?[]+))?(?:/(.*))?", re.DOTALL | re.ASCII
)
COMMIT = re.compile(r"[0-9a-f]{40}")
DEFAULT_REVISION = "main"
PIECE = 1 << 20
READ_AHEAD = 4 << 20
KEPT_BYTES = 64 << 20
Range = tuple[str, int, int | None]
Found = tuple[bytes, int | None]


class Place(NamedTuple):
    """A file, a directory or a glob in a dataset; the path is empty for all of it."""

    repo: str
    revision: str
    path: str

    def __str__(self) -> str:
        whole = f"hf://datasets/{self.repo}@{quote(self.revision, safe='')}"
        return f"{whole}/{self.path}" if self.path else whole


class RemoteFile(NamedTuple):
    """A file of a dataset: its SHA-256 if it is stored as a large one, and git's hash of it."""

    path: str
    size: int
    sha256: str | None
    blob: str


def parse(path: str) -> Place:
    """Return what a path names.

    Raises:
      ValueError: it is none of a dataset on the hub.
    """
    found = PATH.fullmatch(path)
    if found is None:
        raise ValueError(f"it must be like {FORM}")
    return Place(found[1], unquote(found[2] or DEFAULT_REVISION), (found[3] or "").strip("/"))


def commit_of(repo: str, revision: str) -> str:
    """Return the commit that a branch, a tag or a commit is now.

    Raises:
      FileNotFoundError: there is no such dataset or revision.
      PermissionError: the hub refuses the token, or wants one.
    """
    name = str(Place(repo, revision, ""))
    with naming(name):
        found = trying(lambda: hubcalls.dataset(repo, revision))
    if not COMMIT.fullmatch(found.sha or ""):
        raise ConnectionError(f"{name}: the hub names no commit")
    return str(found.sha)


def pinned(path: str) -> str:
    """Return the path with the commit that its revision is now."""
    place = parse(path)
    return str(place._replace(revision=commit_of(place.repo, place.revision)))


def entries(place: Place, below: bool) -> Iterator[RemoteFile | str]:
    """Yield the files in a directory, or anywhere below it, and the paths of directories.

    Raises:
      FileNotFoundError: there is no such directory.
    """
    with naming(str(place)):
        for entry in hubcalls.tree(*place, below):
            if hasattr(entry, "blob_id"):
                sha256 = entry.lfs.sha256 if entry.lfs else None
                yield RemoteFile(entry.path, entry.size, sha256, entry.blob_id)
            else:
                yield entry.path


def exists(path: str) -> bool:
    """Tell whether a file is there."""
    try:
        size_of(path)
    except FileNotFoundError:
        return False
    return True


def size_of(path: str) -> int:
    """Return the size of a file in bytes."""
    size = _fetch(path, 0, 0)[1]
    if size is None:
        raise ConnectionError(f"{path}: the hub does not say how large it is")
    return size


def files_in(directory: str, below: bool = False) -> Iterator[str]:
    """Yield the paths of the files directly in a directory, or anywhere below it."""
    place = parse(directory)
    for entry in entries(place, below):
        if isinstance(entry, RemoteFile):
            yield str(place._replace(path=entry.path))


def open_read(path: str) -> io.RawIOBase | io.BufferedReader:
    """Open a file for reading; seekable. Of parquet nothing but what is asked for is fetched."""
    file = open_ranges(path)
    return file if path.endswith(".parquet") else io.BufferedReader(file, READ_AHEAD)


def open_ranges(path: str) -> io.RawIOBase:
    """Open a file for reading ranges far apart."""
    return ObjectReader(path, size_of, _fetch)


def pieces(path: str, first: int, wait: Callable[[float], Any] = time.sleep) -> Iterator[bytes]:
    """Yield a file's content from a byte on, which there must be.

    Where the connection breaks it goes on from there; tries are counted anew whenever bytes came.

    Args:
      wait: lets seconds pass before another try.
    """
    waits = iter(hubcalls.WAITS)
    with naming(path):
        while True:
            try:
                with answer_to(_url(path), f"bytes={first}-") as answer:
                    if first:  # all of a file may come without saying that it is a range
                        _check_range(path, answer, first)
                    for piece in answer.iter_bytes(PIECE):
                        first += len(piece)
                        waits = iter(hubcalls.WAITS)
                        yield piece
                return
            except HttpError as error:
                wait(pause(error, waits))


class Kept:
    """The ranges that were fetched last, up to a number of bytes.

    What a commit holds never changes. Each shard reads its file's footer, and shards of one row
    group the same columns.
    """

    def __init__(self) -> None:
        self._found: OrderedDict[Range, Found] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, wanted: Range) -> Found | None:
        """Return a range, if it is still there."""
        with self._lock:
            if wanted in self._found:
                self._found.move_to_end(wanted)
            return self._found.get(wanted)

    def put(self, wanted: Range, found: Found) -> None:
        """Keep a range, and drop what was not asked for longest."""
        with self._lock:
            if wanted in self._found or len(found[0]) > KEPT_BYTES // 2:
                return
            self._found[wanted] = found
            self._bytes += len(found[0])
            while self._bytes > KEPT_BYTES:
                self._bytes -= len(self._found.popitem(last=False)[1][0])

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._found.clear()
            self._bytes = 0


kept = Kept()


def _fetch(path: str, first: int, last: int | None) -> Found:
    wanted = path, first, last
    if (found := kept.get(wanted)) is None:
        with naming(path, refusal=ConnectionError):  # the whole job is refused, not this file
            found = trying(lambda: _fetch_once(path, first, last))
        if COMMIT.fullmatch(parse(path).revision):
            kept.put(wanted, found)
    return found


def _fetch_once(path: str, first: int, last: int | None) -> Found:
    with answer_to(_url(path), f"bytes={first}-{'' if last is None else last}") as answer:
        told = answer.headers.get("Content-Range", "").rpartition("/")[2]
        size = int(told) if told.isdigit() else None
        if answer.status_code == hubcalls.PAST_THE_END:
            return b"", size
        _check_range(path, answer, first)
        return answer.read(), size


def _check_range(path: str, answer: Any, first: int) -> None:
    """Refuse an answer that is not of the range: a proxy may send the whole file."""
    if not answer.headers.get("Content-Range", "").startswith(f"bytes {first}-"):
        raise ConnectionError(f"{path}: the hub sent another range than it was asked for")


def _url(path: str) -> str:
    return hubcalls.url_of(*parse(path))
