"""Datasets on the Hugging Face hub: what is there, and reading it by ranges. Nothing is written.

A path is hf://datasets/OWNER/NAME[@REVISION]/PATH. Whoever plans a job replaces the revision by the
commit it stands for, so that all workers read the same files whatever is pushed meanwhile.

HfFileSystem is not used, as of 2.4: for each range it asks the hub again where the content is, and
where all of a file comes for a range it takes that for the range. Nor are the library's listings,
which go on as long as the hub says. tests/pagecast/storage/test_hub.py has a test of each.
"""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from fsspec.spec import AbstractBufferedFile
from huggingface_hub import hf_hub_url, hf_raise_for_status

from pagecast.storage.errors import StoreError
from pagecast.storage.stores.hub_requests import ask, endpoint, naming

FORM = "hf://datasets/OWNER/NAME[@REVISION]/data/*.parquet"
PATH = re.compile(
    r"hf://datasets/([\w.-]+/[\w.-]+)(?:@([^/*?[]+))?(?:/(.*))?", re.DOTALL | re.ASCII
)
COMMIT = re.compile(r"[0-9a-f]{40}")
READ_AHEAD = 4 << 20
AT_ONCE = 16  # requests, of those that are begun
KEPT_BYTES = 64 << 20
MOST_PAGES, MOST_PAGE_BYTES = 1000, 64 << 20  # of a listing; a page has 1000 entries
LISTING_SECONDS = 1800.0
STALE = {401, 403, 404, 410}  # how an address that was good for a time is refused
PAST_THE_END = 416
Range = tuple[str, int, int]  # path, first byte, how many
Found = tuple[bytes, int | None]  # what is there of it, and the size of the file

# Where the hub last sent for a file. It counts requests, so it is not asked again for each range.
_addresses: dict[str, str] = {}
# The ranges that were fetched last: shards of one row group want the same, and a commit never
# changes. There is no lock, which another thread might hold as this process forks.
_kept: dict[Range, Found] = {}


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
    return Place(found[1], unquote(found[2] or "main"), (found[3] or "").strip("/"))


def commit_of(repo: str, revision: str) -> str:
    """Return the commit that a branch, a tag or a commit is now.

    Raises:
      FileNotFoundError: there is no such dataset or revision.
      PermissionError: the hub refuses the token, or wants one.
    """
    name = str(Place(repo, revision, ""))
    with naming(name):
        commit = str(_read(_api(repo, "revision", revision))[0]["sha"])
    if not COMMIT.fullmatch(commit):
        raise StoreError(f"{name}: the hub names no commit")
    return commit


def pinned(path: str) -> str:
    """Return the path with the commit that its revision is now."""
    place = parse(path)
    return str(place._replace(revision=commit_of(place.repo, place.revision)))


def entries(place: Place, below: bool) -> Iterator[RemoteFile | str]:
    """Yield the files in a directory, or anywhere below it, and the paths of directories.

    Raises:
      FileNotFoundError: there is no such directory.
    """
    at = filter(None, (place.revision, place.path))
    url = f"{_api(place.repo, 'tree', *at)}?recursive={below}"
    end = time.monotonic() + LISTING_SECONDS
    with naming(str(place)):
        for _ in range(MOST_PAGES):
            found, url = _read(url)
            for entry in found:
                if entry["type"] == "file":
                    sha256 = (entry.get("lfs") or {}).get("oid")
                    yield RemoteFile(entry["path"], int(entry["size"]), sha256, entry["oid"])
                else:
                    yield entry["path"]
            if not url:
                return
            if time.monotonic() > end:
                break
    raise StoreError(f"{place}: the hub's listing does not come to an end")


def _api(repo: str, *parts: str) -> str:
    return "/".join([endpoint(), "api/datasets", repo, *(quote(part, safe="") for part in parts)])


def _read(url: str) -> tuple[Any, str]:
    """Return what the hub says at an address, and where it says more."""
    answer = ask(url, MOST_PAGE_BYTES)
    hf_raise_for_status(answer)
    return answer.json(), answer.links.get("next", {}).get("url", "")


def exists(path: str) -> bool:
    """Tell whether a file is there."""
    try:
        size_of(path)
    except FileNotFoundError:
        return False
    return True


def size_of(path: str) -> int:
    """Return the size of a file in bytes."""
    size = _fetch(path, 0, 1)[1]
    if size is None:
        raise StoreError(f"{path}: the hub does not say how large it is")
    return size


def files_in(directory: str, below: bool = False) -> Iterator[str]:
    """Yield the paths of the files directly in a directory, or anywhere below it."""
    place = parse(directory)
    for entry in entries(place, below):
        if isinstance(entry, RemoteFile):
            yield str(place._replace(path=entry.path))


def open_read(path: str) -> Any:
    """Open a file for reading; seekable. Of parquet nothing but what is asked for is fetched."""
    file = open_ranges(path)
    return file if path.endswith(".parquet") else io.BufferedReader(file, READ_AHEAD)


def open_ranges(path: str) -> Any:
    """Open a file for reading ranges far apart."""
    return _File(None, path, size=size_of(path), cache_type="none")


def begin(path: str, work: str, *arguments: Any) -> Future[Any]:
    """Begin to fetch a "range", by its first and last byte, or the whole "content" of a file."""
    fetch: Callable[..., Any] = _content if work == "content" else _range
    return _threads(os.getpid()).submit(fetch, path, *arguments)


@cache
def _threads(_: int) -> ThreadPoolExecutor:
    """Return the threads of a process: a forked one has none of its parent's."""
    return ThreadPoolExecutor(AT_ONCE, "hub")


def _range(path: str, first: int, last: int) -> Found:
    return _fetch(path, first, last - first + 1)


def _content(path: str) -> bytes | None:
    try:
        with open_read(path) as file:
            return file.read()
    except FileNotFoundError:
        return None


class _File(AbstractBufferedFile):
    def _fetch_range(self, start: int, end: int) -> bytes:
        length = min(end, self.size) - start
        content, _ = _fetch(self.path, start, length)
        if len(content) != length:
            raise StoreError(f"{self.path}: the hub sent less than it was asked for")
        return content


def _fetch(path: str, first: int, length: int) -> Found:
    wanted = path, first, length
    found = _kept.pop(wanted, None)
    if found is None:
        with naming(path, refusal=StoreError):  # the whole job is refused, not this file
            found = _fetch_once(parse(path), first, length)
    if COMMIT.fullmatch(parse(path).revision) and length <= KEPT_BYTES // 2:
        _kept[wanted] = found  # as the last of them
        held = sum(len(content) for content, _ in list(_kept.values()))
        for old in list(_kept):
            if held > KEPT_BYTES:
                held -= len(_kept.pop(old, (b"", None))[0])
    return found


def _fetch_once(place: Place, first: int, length: int) -> Found:
    repo, revision, name = place
    url = hf_hub_url(repo, name, repo_type="dataset", revision=revision, endpoint=endpoint())
    answer = ask(_addresses.get(url, url), length, first)
    if answer.status_code in STALE and _addresses.pop(url, ""):
        answer = ask(url, length, first)
    told = answer.headers.get("Content-Range", "").rpartition("/")[2]
    size = int(told) if told.isdecimal() else None
    if answer.status_code == PAST_THE_END:
        return b"", size
    hf_raise_for_status(answer)
    if answer.history:
        _addresses[url] = str(answer.url)
    return answer.content, size
