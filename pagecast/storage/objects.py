"""Objects in stores, through fsspec: S3 by s3fs, Google Cloud Storage by gcsfs, Azure by adlfs.

Any other store that fsspec knows is served by what its file systems have in common.

Requests run on fsspec's thread, each process's own. A path is a name, never a pattern, and nothing
is remembered of what a store has. Trouble with one object is an `OSError` that names it. Where the
store itself fails, after its library has tried often enough, it is a `ConnectionError`: no single
file's fault.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import logging
import os
import shutil
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import Future
from http import HTTPStatus
from typing import IO, Any, NamedTuple

import fsspec
from fsspec.asyn import get_loop

from pagecast.storage import in_order
from pagecast.storage.ranges import ObjectReader

REQUESTS = 16  # under way at once, of one process to one store
PART_BYTES = 16 << 20  # of a large upload, of which S3 takes 10,000
READ_AHEAD = 4 << 20
MOST_BROKEN_READS = 5
MOST_SENDINGS = 3
# Unless the environment says otherwise: trouble of about half a minute is sat out. What is sent is
# signed with its SHA-256, so no other checksum is; many stores know of none.
S3_DEFAULTS = {
    "AWS_RETRY_MODE": "standard",
    "AWS_MAX_ATTEMPTS": "8",
    "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
    "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
}
# These refuse the whole job, not one object.
REFUSALS = {"ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"}
NO_BUCKET = {"NoSuchBucket", "ContainerNotFound"}
ANYTHING = object()  # a version: whatever is there is replaced
_BINARY = "application/octet-stream"

Page = tuple[list[tuple[str, Hashable]], Any]
_opened: dict[Hashable, _Store] = {}  # never emptied: to let go of a parent's would close it
_opening: dict[int, threading.Lock] = {}


class AccessDeniedError(PermissionError, ConnectionError):
    """The store refuses access.

    Who may read and write is said of whole buckets, so it is no single file's fault either.
    """


class _NamedError(ConnectionError):
    """It says already which object it is about."""


class _Object(NamedTuple):
    """An object by its bucket and its key, as they are."""

    bucket: str
    key: str


class _Told(NamedTuple):
    """What a failure says: the status of the answer, 0 where there is none, a code and a text."""

    status: int
    code: str
    text: str


class _Store:
    """Any file system of fsspec's. The coroutines here run on its thread."""

    streams = False  # parts can be sent while an object is written, and be given up
    removes = 1  # objects by one request
    denied: type[PermissionError] = PermissionError

    def __init__(self, fs: Any, root: str = "") -> None:
        self.fs = fs
        self.loop = get_loop()  # this process's
        self.few = asyncio.Semaphore(REQUESTS)
        self.given = _given()  # kept, so that no others are taken for these
        self._root = root

    @classmethod
    def open(cls, path: str) -> _Store:
        """Return a new one for a path, with fsspec's configuration and what the path says."""
        scheme, host, _ = _split(path)
        kind = fsspec.get_filesystem_class(scheme)
        fs = kind(**kind._get_kwargs_from_urls(path), skip_instance_cache=True)
        return cls(fs, f"{scheme}://{host}/")

    def _name(self, place: _Object) -> str:
        return self.fs._strip_protocol(self._root + place.key)

    async def stat(self, place: _Object) -> tuple[int, Hashable]:
        """Return an object's size in bytes and its version."""
        found = await asyncio.to_thread(self.fs.info, self._name(place))
        if found["type"] != "file":
            raise FileNotFoundError
        if found["size"] is None:
            raise OSError("its size is not told")
        return found["size"], _version(found)

    async def get(self, place: _Object, first: int, last: int | None) -> bytes:
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

    async def put(self, place: _Object, content: bytes, instead: Any = ANYTHING) -> None:
        """Write a small object in place of a version, or where `instead` is None of nothing."""
        if instead is None:
            await asyncio.to_thread(self.fs.pipe_file, self._name(place), content, mode="create")
        else:
            await self.send(place, io.BytesIO(content), len(content))

    async def send(self, place: _Object, content: IO[bytes], size: int) -> None:
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

    async def page(self, place: _Object, below: bool, after: Any) -> Page:
        """Return some objects, their keys without the prefix, and where to go on, if at all."""
        top, depth = self._name(place).rstrip("/"), None if below else 1
        try:
            found = await asyncio.to_thread(self.fs.find, top, maxdepth=depth, detail=True)
        except FileNotFoundError:
            return [], None
        below_it = (each for each in found.items() if each[0].startswith(f"{top}/"))
        return [(name[len(top) + 1 :], _version(info)) for name, info in below_it], None

    async def remove(self, places: list[_Object]) -> None:
        """Remove as many objects of a bucket as can be removed at once."""
        for place in places:
            await asyncio.to_thread(self.fs.rm_file, self._name(place))

    async def range(self, place: _Object, first: int, last: int | None) -> tuple[bytes, int | None]:
        """Return what `get` does, nothing from the end on, and the whole size if that shows."""
        try:
            content = await self.get(place, first, last)
        except Exception as error:
            if self.told(error).status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return b"", None
            raise
        is_end = last is None or len(content) <= last - first
        return content, first + len(content) if is_end else None

    async def content(self, place: _Object) -> bytes | None:
        """Return a whole object, None if it is not there."""
        try:
            return (await self.range(place, 0, None))[0]
        except Exception as error:
            if self.told(error).status != HTTPStatus.NOT_FOUND:
                raise
            return None

    async def put_wanted(self, place: _Object, content: bytes, wanted: Callable[[], bool]) -> None:
        """Do what `put` does, if it is still wanted."""
        if wanted():
            await self.put(place, content)

    async def remove_all(self, place: _Object, paths: list[str]) -> None:
        """Remove objects of one bucket, at most `removes`; they may be gone already."""
        try:
            await self.remove([_Object(place.bucket, _split(path)[2]) for path in paths])
        except Exception as error:
            if self.told(error).status != HTTPStatus.NOT_FOUND:
                raise

    def told(self, error: Exception) -> _Told:
        """Return what an error of the library says."""
        behind = error.__cause__
        if type(behind).__module__.startswith("aiohttp"):  # all that fails is not found, by fsspec
            status = getattr(behind, "status", 0)
            return _Told(status, str(status or ""), getattr(behind, "message", "") or str(behind))
        kinds = {FileNotFoundError: 404, FileExistsError: 412, PermissionError: 403}
        status = next((kinds[kind] for kind in kinds if isinstance(error, kind)), 0)
        return _Told(status, "", str(error))

    async def do(self, path: str, work: str, *arguments: Any) -> Any:
        """Do what the method called `work` does, when its turn comes; `path` names its errors."""
        _, host, key = _split(path)
        try:
            if not key and work != "page":  # a bucket is no object
                raise FileNotFoundError
            async with self.few:
                return await getattr(self, work)(_Object(host.partition("@")[0], key), *arguments)
        except Exception as error:
            raise self.system_error(path, error) from error

    def system_error(self, path: str, error: Exception) -> Exception:
        """Return an error as one of the system's, with the path and on one line."""
        if isinstance(error, (_NamedError, MemoryError)):
            return error
        status, code, text = self.told(error)
        text = " ".join(text.split()) or type(error).__name__
        if status == HTTPStatus.NOT_FOUND:
            missing = "no such bucket" if code in NO_BUCKET else "no such object"
            return FileNotFoundError(errno.ENOENT, missing, path)
        if status in (HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED):
            return FileExistsError(errno.EEXIST, "something else is there", path)
        if status == HTTPStatus.FORBIDDEN and code not in REFUSALS:
            return self.denied(errno.EACCES, f"access denied ({text})", path)
        return ConnectionError(f"{path}: {text}" + (f" ({code})" if code else ""))


class _S3(_Store):
    streams = True
    removes = 1000

    @classmethod
    def open(cls, path: str) -> _Store:
        from s3fs import S3FileSystem

        class Literal(S3FileSystem):
            retries = 1  # botocore's are enough; one would multiply the other

            def split_path(self, path: str) -> tuple[str, str, None]:
                bucket, _, key = path.partition("/")  # `?versionId=` too is a part of its name
                return bucket, key, None

        for name, value in S3_DEFAULTS.items():
            os.environ.setdefault(name, value)
        config = {"connect_timeout": 10, "read_timeout": 60, "max_pool_connections": REQUESTS}
        fs = Literal(
            **_s3_options(),
            config_kwargs=config,
            fixed_upload_size=True,
            use_listings_cache=False,
            skip_instance_cache=True,
        )
        return cls(fs)

    async def _call(self, what: str, place: _Object, **more: Any) -> Any:
        return await self.fs._call_s3(what, Bucket=place.bucket, Key=place.key, **more)

    async def stat(self, place: _Object) -> tuple[int, Hashable]:
        found = await self._call("head_object", place)
        return found["ContentLength"], found["ETag"]

    async def get(self, place: _Object, first: int, last: int | None) -> bytes:
        from s3fs.core import S3_RETRYABLE_ERRORS

        wanted = f"bytes={first}-{'' if last is None else last}"
        for left in reversed(range(MOST_BROKEN_READS)):
            answer = await self._call("get_object", place, Range=wanted)
            try:
                async with answer["Body"] as body:
                    return await body.read()
            except S3_RETRYABLE_ERRORS:
                # botocore repeats requests, but not the reading of an answer that breaks off.
                if not left:
                    raise
        raise AssertionError("the last reading returns or raises")

    async def put(self, place: _Object, content: bytes, instead: Any = ANYTHING) -> None:
        only = {"IfNoneMatch": "*"} if instead is None else {"IfMatch": instead}
        await self._call("put_object", place, Body=content, **({} if instead is ANYTHING else only))

    async def page(self, place: _Object, below: bool, after: Any) -> Page:
        more = {} if below else {"Delimiter": "/"}
        more |= {} if after is None else {"ContinuationToken": after}
        bucket, prefix = place
        page = await self.fs._call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, **more)
        found = [(each["Key"][len(prefix) :], each["ETag"]) for each in page.get("Contents", ())]
        return found, page.get("NextContinuationToken")

    async def remove(self, places: list[_Object]) -> None:
        if len(places) == 1:
            await self._call("delete_object", places[0])
            return
        bucket, keys = places[0].bucket, [{"Key": place.key} for place in places]
        answer = await self.fs._call_s3(
            "delete_objects", Bucket=bucket, Delete={"Objects": keys, "Quiet": True}
        )
        for failed in answer.get("Errors", ()):
            raise _NamedError(f"s3://{bucket}/{failed['Key']}: {failed.get('Message', failed)}")

    def told(self, error: Exception) -> _Told:
        answer = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
        if not isinstance(answer, dict):
            return super().told(error)
        what, status = answer["Error"], answer["ResponseMetadata"]["HTTPStatusCode"]
        return _Told(status, what["Code"], what.get("Message", ""))


class _Google(_Store):
    denied = AccessDeniedError

    @classmethod
    def open(cls, path: str) -> _Store:
        import aiohttp
        from gcsfs.core import GCSFileSystem  # not the class that asks by gRPC

        logging.getLogger("gcsfs").setLevel(logging.CRITICAL)  # what it logs it raises too
        fs = GCSFileSystem(
            **_google_options(),
            # Raw: as it is stored, even where aiohttp would decompress it.
            session_kwargs={"auto_decompress": False, "headers": {"Accept-Encoding": "identity"}},
            requests_timeout=aiohttp.ClientTimeout(sock_connect=10, sock_read=30),
            use_listings_cache=False,
            skip_instance_cache=True,
        )
        return cls(fs)

    async def stat(self, place: _Object) -> tuple[int, Hashable]:
        only = "size,generation"
        found = await self.fs._call("GET", "b/{}/o/{}", *place, fields=only, json_out=True)
        return int(found["size"]), found["generation"]

    async def get(self, place: _Object, first: int, last: int | None) -> bytes:
        wanted = f"bytes={first}-{'' if last is None else last}"
        address = f"{self.fs._location}/download/storage/v1/b/{{}}/o/{{}}"
        raw = {"Range": wanted, "Accept-Encoding": "gzip"}  # even where the store would decompress
        _, content = await self.fs._call("GET", address, *place, alt="media", headers=raw)
        return content

    async def put(self, place: _Object, content: bytes, instead: Any = ANYTHING) -> None:
        only = {} if instead is ANYTHING else {"ifGenerationMatch": instead or "0"}
        await self.fs._call(
            "POST",
            f"{self.fs._location}/upload/storage/v1/b/{{}}/o",
            place.bucket,
            uploadType="media",
            name=place.key,
            headers={"Content-Type": _BINARY},
            data=content,
            **only,
        )

    async def send(self, place: _Object, content: IO[bytes], size: int) -> None:
        from gcsfs.core import initiate_upload, upload_chunk

        for left in reversed(range(MOST_SENDINGS)):
            content.seek(0)
            try:
                session = await initiate_upload(self.fs, *place, _BINARY)
                for offset in range(0, size, PART_BYTES):
                    part = content.read(PART_BYTES)
                    await upload_chunk(self.fs, session, part, offset, size, _BINARY)
                return
            except Exception as error:
                # Where the store has lost what it had of it, all must be sent again.
                if not left or self.told(error).status in (0, HTTPStatus.FORBIDDEN):
                    raise

    async def page(self, place: _Object, below: bool, after: Any) -> Page:
        page = await self.fs._call(
            "GET",
            "b/{}/o",
            place.bucket,
            prefix=place.key,
            delimiter=None if below else "/",
            pageToken=after,
            fields="items(name,generation),nextPageToken",
            json_out=True,
        )
        skip = len(place.key)
        found = [(each["name"][skip:], each["generation"]) for each in page.get("items", ())]
        return found, page.get("nextPageToken")

    async def remove(self, places: list[_Object]) -> None:
        # Not by batches: those keep to themselves which of them failed and why.
        await self.fs._call("DELETE", "b/{}/o/{}", *places[0])

    def told(self, error: Exception) -> _Told:
        what, _, reason = str(error).partition("\n")
        if isinstance(error, FileNotFoundError):  # says the address
            return _Told(404, "NoSuchBucket" if what.endswith("/o") else "", what)
        for status, begins in (403, "Forbidden: "), (400, "Bad Request: "):
            if what.startswith(begins):
                return _Told(status, str(status), reason)
        code = getattr(error, "code", None)
        if not isinstance(code, int):
            hint = "Give credentials, or --no_auth for a public bucket."
            lacking = type(error).__name__ == "DefaultCredentialsError"
            return super().told(OSError(f"{error} {hint}") if lacking else error)
        reason = str(error).removesuffix(f", {code}")
        if not reason or "<" in reason:
            reason = HTTPStatus(code).phrase
        return _Told(code, str(code), reason)


class _Azure(_Store):
    denied = AccessDeniedError

    @classmethod
    def open(cls, path: str) -> _Store:
        from adlfs import AzureBlobFileSystem

        account, host = {}, _split(path)[1].partition("@")[2]
        if host:
            account["account_name"] = host.partition(".")[0]
            account["account_host"] = host.replace(".dfs.", ".blob.", 1)
        fs = AzureBlobFileSystem(**account, use_listings_cache=False, skip_instance_cache=True)
        return cls(fs)

    def _blob(self, place: _Object) -> Any:
        return self.fs.service_client.get_blob_client(*place)

    async def stat(self, place: _Object) -> tuple[int, Hashable]:
        found = await self._blob(place).get_blob_properties()
        return found.size, found.etag.strip('"')

    async def get(self, place: _Object, first: int, last: int | None) -> bytes:
        length = None if last is None else last - first + 1
        answer = await self._blob(place).download_blob(first, length, decompress=False)
        return await answer.readall()

    async def put(self, place: _Object, content: bytes, instead: Any = ANYTHING) -> None:
        from azure.core import MatchConditions

        only = {"etag": f'"{instead}"', "match_condition": MatchConditions.IfNotModified}
        more = {} if instead in (None, ANYTHING) else only
        await self._blob(place).upload_blob(content, overwrite=instead is not None, **more)

    async def send(self, place: _Object, content: IO[bytes], size: int) -> None:
        await self._blob(place).upload_blob(content, length=size, overwrite=True)

    async def page(self, place: _Object, below: bool, after: Any) -> Page:
        container = self.fs.service_client.get_container_client(place.bucket)
        walk = container.list_blobs if below else container.walk_blobs
        pages = walk(place.key, include=["metadata"]).by_page(after)
        found = [each async for each in await anext(pages) if not _is_directory(each)]
        return [
            (each.name[len(place.key) :], each.etag) for each in found
        ], pages.continuation_token

    async def remove(self, places: list[_Object]) -> None:
        await self._blob(places[0]).delete_blob()

    def told(self, error: Exception) -> _Told:
        status = getattr(error, "status_code", None)
        if status is None:
            return super().told(error)
        text = (getattr(error, "message", "") or str(error)).partition("\n")[0]
        return _Told(status, str(getattr(error, "error_code", None) or status), text)


_KINDS = {"s3": _S3, "gs": _Google, "gcs": _Google} | dict.fromkeys(("az", "abfs", "abfss"), _Azure)


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
        if batch and (len(batch) >= _store(path).removes or _split(path)[1] != _split(batch[0])[1]):
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
                name = "/".join(_split(self.path)[1:])
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


def _store(path: str) -> _Store:
    """Return what serves a path in this process: none is shared with a forked one."""
    scheme, host, _ = _split(path)
    kind, process, given = _KINDS.get(scheme, _Store), os.getpid(), _given()
    which = process, scheme, host if kind is _Store else host.partition("@")[2], id(given)
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


def _split(path: str) -> tuple[str, str, str]:
    """Return the scheme, the bucket (of Azure with an account) and the key, as they are."""
    scheme, _, rest = path.partition("://")
    host, _, key = rest.partition("/")
    return scheme.lower(), host, key


def _version(info: dict[str, Any]) -> Hashable:
    return tuple(str(info.get(each)) for each in ("size", "created", "mtime", "ETag", "etag"))


def _is_directory(blob: Any) -> bool:
    told = blob.get("metadata") or {}
    return not blob.get("etag") or "true" in (told.get("hdi_isfolder"), told.get("is_directory"))


def _given() -> Any:
    """Return Beam's options; none where Beam was never imported, as by a training loader."""
    beam = sys.modules.get("apache_beam.io.filesystems")
    return beam and beam.FileSystems._pipeline_options


def _options(kind: str) -> Any:
    if not (given := _given()):
        return None
    from apache_beam.options import pipeline_options

    return given.view_as(getattr(pipeline_options, kind))


def _s3_options() -> dict[str, Any]:
    given = _options("S3Options")
    if given is None:
        return {}
    client = {
        "region_name": given.s3_region_name,
        "api_version": given.s3_api_version,
        "verify": given.s3_verify,
    }
    found = {
        "endpoint_url": given.s3_endpoint_url,
        "key": given.s3_access_key_id,
        "secret": given.s3_secret_access_key,
        "token": given.s3_session_token,
        "use_ssl": False if given.s3_disable_ssl else None,
        "client_kwargs": {name: value for name, value in client.items() if value is not None},
    }
    return {name: value for name, value in found.items() if value or value is False}


def _google_options() -> dict[str, Any]:
    given = _options("GoogleCloudOptions")
    if given is not None and given.no_auth:
        return {"token": "anon"}
    if given is None or not given.impersonate_service_account:
        if fsspec.config.conf.get("gs"):
            return {}
        # Left alone it would go on as nobody, and be refused for that.
        emulated = os.environ.get("STORAGE_EMULATOR_HOST")
        return {"token": "anon" if emulated else "google_default"}
    import google.auth
    from google.auth import impersonated_credentials

    *delegates, principal = given.impersonate_service_account.split(",")
    source, _ = google.auth.default(scopes=given.gcp_oauth_scopes)
    token = impersonated_credentials.Credentials(
        source_credentials=source,
        target_principal=principal,
        delegates=delegates,
        target_scopes=given.gcp_oauth_scopes,
    )
    return {"token": token}
