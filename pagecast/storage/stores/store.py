"""Any store that fsspec knows, by what its file systems have in common."""

from __future__ import annotations

import asyncio
import errno
import io
import shutil
from collections.abc import Callable, Hashable
from http import HTTPStatus
from typing import IO, Any, NamedTuple

import fsspec
from fsspec.asyn import get_loop

from pagecast.storage.errors import StoreError
from pagecast.storage.stores.settings import beam_options

REQUESTS = 16  # under way at once, of one process to one store


PART_BYTES = 16 << 20  # of a large upload, of which S3 takes 10,000


# These refuse the whole job, not one object.
REFUSALS = {"ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"}


NO_BUCKET = {"NoSuchBucket", "ContainerNotFound"}


ANYTHING = object()  # a version: whatever is there is replaced


BINARY = "application/octet-stream"


Page = tuple[list[tuple[str, Hashable]], Any]


class NamedError(StoreError):
    """It says already which object it is about."""


class Object(NamedTuple):
    """An object by its bucket and its key, as they are."""

    bucket: str
    key: str


class Told(NamedTuple):
    """What a failure says: the status of the answer, 0 where there is none, a code and a text."""

    status: int
    code: str
    text: str


class Store:
    """Any file system of fsspec's. The coroutines here run on its thread."""

    streams = False  # parts can be sent while an object is written, and be given up
    removes = 1  # objects by one request

    def __init__(self, fs: Any, root: str = "") -> None:
        self.fs = fs
        self.loop = get_loop()  # this process's
        self.few = asyncio.Semaphore(REQUESTS)
        self.given = beam_options()  # kept, so that no others are taken for these
        self._root = root

    @classmethod
    def open(cls, path: str) -> Store:
        """Return a new one for a path, with fsspec's configuration and what the path says."""
        scheme, host, _ = split_url(path)
        kind = fsspec.get_filesystem_class(scheme)
        fs = kind(**kind._get_kwargs_from_urls(path), skip_instance_cache=True)
        return cls(fs, f"{scheme}://{host}/")

    def _name(self, place: Object) -> str:
        return self.fs._strip_protocol(self._root + place.key)

    async def stat(self, place: Object) -> tuple[int, Hashable]:
        """Return an object's size in bytes and its version."""
        found = await asyncio.to_thread(self.fs.info, self._name(place))
        if found["type"] != "file":
            raise FileNotFoundError
        if found["size"] is None:
            raise OSError("its size is not told")
        return found["size"], version_in(found)

    async def get(self, place: Object, first: int, last: int | None) -> bytes:
        """Return the bytes from the first to the last one, as far as there are any."""
        end = None if last is None else last + 1
        read = self.fs.cat_file
        content = await asyncio.to_thread(read, self._name(place), start=first, end=end)
        if not first and (end is None or len(content) <= end):
            return content
        if end is None or len(content) != end - first:  # some web servers send all there is
            size, _ = await self.stat(place)
            if len(content) != max(min(size, end or size) - first, 0):
                raise OSError("what it sends is not the range that it was asked for")
        return content

    async def put(self, place: Object, content: bytes, instead: Any = ANYTHING) -> None:
        """Write a small object in place of a version, or where `instead` is None of nothing."""
        if instead is None:
            await asyncio.to_thread(self.fs.pipe_file, self._name(place), content, mode="create")
        else:
            await self.send(place, io.BytesIO(content), len(content))

    async def send(self, place: Object, content: IO[bytes], size: int) -> None:
        """Write an object that may be large, whole or not at all."""
        await asyncio.to_thread(self._send, self._name(place), content)

    def _send(self, name: str, content: IO[bytes]) -> None:
        self.fs.makedirs(self.fs._parent(name), exist_ok=True)
        file = self.fs.open(name, "wb", autocommit=False)
        try:
            shutil.copyfileobj(content, file, 1 << 20)
            file.close()
            file.commit()
        except BaseException:
            file.closed = True  # or it would be completed when it is collected
            file.discard()
            raise

    async def page(self, place: Object, below: bool, after: Any) -> Page:
        """Return some objects, their keys without the prefix, and where to go on, if at all."""
        top, depth = self._name(place).rstrip("/"), None if below else 1
        try:
            found = await asyncio.to_thread(self.fs.find, top, maxdepth=depth, detail=True)
        except FileNotFoundError:
            return [], None
        below_it = (each for each in found.items() if each[0].startswith(f"{top}/"))
        return [(name[len(top) + 1 :], version_in(info)) for name, info in below_it], None

    async def remove(self, places: list[Object]) -> None:
        """Remove as many objects of a bucket as can be removed at once."""
        for place in places:
            await asyncio.to_thread(self.fs.rm_file, self._name(place))

    async def range(self, place: Object, first: int, last: int | None) -> tuple[bytes, int | None]:
        """Return what `get` does, nothing from the end on, and the whole size if that shows."""
        try:
            content = await self.get(place, first, last)
        except Exception as error:
            if self.told(error).status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return b"", None
            raise
        is_end = last is None or len(content) <= last - first
        return content, first + len(content) if is_end else None

    async def content(self, place: Object) -> bytes | None:
        """Return a whole object, None if it is not there."""
        try:
            return (await self.range(place, 0, None))[0]
        except Exception as error:
            if self.told(error).status != HTTPStatus.NOT_FOUND:
                raise
            return None

    async def put_wanted(self, place: Object, content: bytes, wanted: Callable[[], bool]) -> None:
        """Do what `put` does, if it is still wanted."""
        if wanted():
            await self.put(place, content)

    async def remove_all(self, place: Object, paths: list[str]) -> None:
        """Remove objects of one bucket, at most `removes`; they may be gone already."""
        try:
            await self.remove([Object(place.bucket, split_url(path)[2]) for path in paths])
        except Exception as error:
            if self.told(error).status != HTTPStatus.NOT_FOUND:
                raise

    def told(self, error: Exception) -> Told:
        """Return what an error of the library says."""
        behind = error.__cause__
        if type(behind).__module__.startswith("aiohttp"):  # all that fails is not found, by fsspec
            status = getattr(behind, "status", 0)
            return Told(status, str(status or ""), getattr(behind, "message", "") or str(behind))
        kinds = {FileNotFoundError: 404, FileExistsError: 412, PermissionError: 403}
        # huggingface_hub before 1.0 has errors of requests, of which none is the system's.
        status = getattr(getattr(error, "response", None), "status_code", 0)
        status = next((kinds[kind] for kind in kinds if isinstance(error, kind)), status)
        return Told(status, "", str(error))

    async def do(self, path: str, work: str, *arguments: Any) -> Any:
        """Do what the method called `work` does, when its turn comes; `path` names its errors."""
        _, host, key = split_url(path)
        try:
            if not key and work != "page":  # a bucket is not an object
                raise FileNotFoundError
            async with self.few:
                return await getattr(self, work)(Object(host.partition("@")[0], key), *arguments)
        except Exception as error:
            raise self.system_error(path, error) from error

    def denied(self, path: str, why: str) -> Exception:
        """Return the error of a refusal that is one object's."""
        return PermissionError(errno.EACCES, f"access denied ({why})", path)

    def system_error(self, path: str, error: Exception) -> Exception:
        """Return an error as one of the system's, with the path and on one line."""
        if isinstance(error, (NamedError, MemoryError)):
            return error
        status, code, text = self.told(error)
        text = " ".join(text.split()) or type(error).__name__
        if status == HTTPStatus.NOT_FOUND:
            missing = "no such bucket" if code in NO_BUCKET else "no such object"
            return FileNotFoundError(errno.ENOENT, missing, path)
        if status in (HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED):
            return FileExistsError(errno.EEXIST, "something else is there", path)
        if status == HTTPStatus.FORBIDDEN and code not in REFUSALS:
            return self.denied(path, text)
        return StoreError(f"{path}: {text}" + (f" ({code})" if code else ""))


def split_url(path: str) -> tuple[str, str, str]:
    """Return the scheme, the bucket (of Azure with an account) and the key, as they are."""
    scheme, _, rest = path.partition("://")
    host, _, key = rest.partition("/")
    return scheme.lower(), host, key


def version_in(info: dict[str, Any]) -> Hashable:
    """Return what identifies an object in what fsspec says of it."""
    return tuple(str(info.get(each)) for each in ("size", "created", "mtime", "ETag", "etag"))
