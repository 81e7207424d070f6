"""Objects in S3, and in stores that speak its protocol, with boto3 and Beam's options for S3.

Not with Beam's own file system for S3. As of 2.77 that makes a new client for every operation,
which takes longer than drawing a page; cannot write an empty object; and completes what was written
so far when a file is given up or garbage collected, so that half an object appears.

Trouble with one object is an `OSError` that names it. Where the store itself fails, after boto3 has
tried often enough, it is a `ConnectionError`: no single file's fault.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import count, groupby, islice
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError

from transforms.ranges import ObjectReader

PART_BYTES = 16 << 20  # of a large upload, of which a store takes 10,000
MOST_REMOVED = 1000  # by one request
READ_AHEAD = 4 << 20
MOST_BROKEN_READS = 5
# Unless the environment says otherwise: trouble of about half a minute is sat out.
RETRIES = {"AWS_RETRY_MODE": "standard", "AWS_MAX_ATTEMPTS": "8"}
NOT_FOUND, FORBIDDEN, PAST_THE_END = 404, 403, 416
# These refuse the whole job, not one object.
REFUSALS = {"ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"}

_making = threading.Lock()


def exists(path: str) -> bool:
    """Tell whether an object is there."""
    try:
        size_of(path)
    except FileNotFoundError:
        return False
    return True


def size_of(path: str) -> int:
    """Return the size of an object in bytes."""
    with _naming(path):
        return _client().head_object(**_object(path))["ContentLength"]


def files_in(directory: str, below: bool = False) -> Iterator[str]:
    """Yield the paths of the objects directly in a directory, or anywhere below it."""
    yield from (path for path, _ in versions_in(directory, below))


def versions_in(directory: str, below: bool = False) -> Iterator[tuple[str, str]]:
    """Yield the same paths, each with what identifies the object's content."""
    place = _object(directory.rstrip("/") + "/")
    only = {} if below else {"Delimiter": "/"}
    pages = _client().get_paginator("list_objects_v2")
    with _naming(directory):
        for page in pages.paginate(Bucket=place["Bucket"], Prefix=place["Key"], **only):
            for found in page.get("Contents", []):
                if not found["Key"].endswith("/"):  # how consoles make a directory
                    yield f"s3://{place['Bucket']}/{found['Key']}", found["ETag"]


def open_read(path: str) -> io.BufferedReader:
    """Open an object for reading; seekable. That it is missing shows when it is read."""
    return io.BufferedReader(open_ranges(path), READ_AHEAD)


def open_ranges(path: str) -> io.RawIOBase:
    """Open an object for reading ranges far apart: nothing but what is asked for is fetched."""
    return ObjectReader(path, size_of, _fetch)


def remove(paths: Iterable[str]) -> None:
    """Remove the objects that are there."""
    places = ((path, _object(path)) for path in paths)
    for bucket, group in groupby(places, key=lambda place: place[1]["Bucket"]):
        while batch := dict(islice(group, MOST_REMOVED)):
            _remove_from(bucket, batch)


def _remove_from(bucket: str, places: dict[str, dict[str, str]]) -> None:
    path, place = next(iter(places.items()))
    with _naming(path):
        if len(places) == 1:
            _client().delete_object(**place)
            return
        keys = [{"Key": place["Key"]} for place in places.values()]
        answer = _client().delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
    for failed in answer.get("Errors", []):
        raise ConnectionError(f"s3://{bucket}/{failed['Key']}: {failed.get('Message', failed)}")


class Upload:
    """An object that appears whole when it is committed, or not at all.

    A small one takes one request; of a large one the parts are sent while it is written.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._buffer = bytearray()
        self._parts: list[dict[str, Any]] = []
        self._id: str | None = None
        self._size = 0

    def write(self, piece: bytes) -> None:
        """Append to the object."""
        self._buffer += piece
        while len(self._buffer) >= PART_BYTES:
            self._send(PART_BYTES)

    def commit(self) -> None:
        """Let the object appear."""
        if self._id is None:
            with _naming(self.path):
                _client().put_object(**_object(self.path), Body=bytes(self._buffer))
            return
        if self._buffer:
            self._send(len(self._buffer))
        with _naming(self.path):
            try:
                _client().complete_multipart_upload(
                    **_object(self.path),
                    UploadId=self._id,
                    MultipartUpload={"Parts": self._parts},
                )
            except ClientError as error:
                # It was done, but the answer was lost and the request repeated.
                gone = error.response["Error"]["Code"] == "NoSuchUpload"
                if not (gone and exists(self.path) and size_of(self.path) == self._size):
                    raise

    def abandon(self) -> None:
        """Leave nothing behind, and what was there as it was."""
        self._buffer.clear()
        if self._id is not None:
            with contextlib.suppress(OSError), _naming(self.path):
                _client().abort_multipart_upload(**_object(self.path), UploadId=self._id)

    def _send(self, size: int) -> None:
        piece = bytes(self._buffer[:size])
        with _naming(self.path):
            if self._id is None:
                begun = _client().create_multipart_upload(**_object(self.path))
                self._id = begun["UploadId"]
            number = len(self._parts) + 1
            sent = _client().upload_part(
                **_object(self.path), UploadId=self._id, PartNumber=number, Body=piece
            )
        self._parts.append({"ETag": sent["ETag"], "PartNumber": number})
        self._size += size
        del self._buffer[:size]


def _fetch(path: str, first: int, last: int | None) -> tuple[bytes, int | None]:
    wanted = f"bytes={first}-{'' if last is None else last}"
    with _naming(path):
        for broken in count(1):
            try:
                answer = _client().get_object(**_object(path), Range=wanted)
            except ClientError as error:
                if _status(error) == PAST_THE_END:
                    return b"", None
                raise
            try:
                content: bytes = answer["Body"].read()
            except (HTTPClientError, IncompleteReadError):
                # boto3 repeats requests, but not the reading of an answer that breaks off.
                if broken == MOST_BROKEN_READS:
                    raise
                continue
            told = answer.get("ContentRange")
            return content, int(told.rsplit("/", 1)[-1]) if told else None
    raise AssertionError("counting does not end")


@contextlib.contextmanager
def _naming(path: str) -> Iterator[None]:
    """Turn boto3's errors into the system's, each with the path and on one line."""
    try:
        yield
    except ClientError as error:
        code, status = error.response["Error"]["Code"], _status(error)
        what = error.response["Error"].get("Message", "")
        if status == NOT_FOUND:
            missing = "no such bucket" if code == "NoSuchBucket" else "no such object"
            raise FileNotFoundError(errno.ENOENT, missing, path) from error
        if status == FORBIDDEN and code not in REFUSALS:
            raise PermissionError(errno.EACCES, f"access denied ({code})", path) from error
        raise ConnectionError(f"{path}: {_one_line(what)} ({code})") from error
    except BotoCoreError as error:
        raise ConnectionError(f"{path}: {_one_line(str(error))}") from error


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _status(error: ClientError) -> int:
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


def _object(path: str) -> dict[str, str]:
    bucket, _, key = path.removeprefix("s3://").partition("/")
    return {"Bucket": bucket, "Key": key}


def _client() -> Any:
    """Return the client for the options in force, made once for all threads."""
    with _making:
        return _make_client(tuple(_arguments().items()))


@lru_cache(maxsize=8)
def _make_client(arguments: tuple[tuple[str, Any], ...]) -> Any:
    for name, value in RETRIES.items():
        os.environ.setdefault(name, value)
    config = Config(connect_timeout=10, read_timeout=60)
    return boto3.session.Session().client("s3", config=config, **dict(arguments))


def _arguments() -> dict[str, Any]:
    """Return what Beam's options say of the client.

    Where Beam was never imported, as in a training loader, there are none, and all comes from the
    environment.
    """
    beam = sys.modules.get("apache_beam.io.filesystems")
    options = beam and beam.FileSystems._pipeline_options
    if not options:
        return {}
    from apache_beam.options.pipeline_options import S3Options

    given = options.view_as(S3Options)
    return {
        "endpoint_url": given.s3_endpoint_url,
        "region_name": given.s3_region_name,
        "api_version": given.s3_api_version,
        "verify": given.s3_verify,
        "use_ssl": not given.s3_disable_ssl,
        "aws_access_key_id": given.s3_access_key_id,
        "aws_secret_access_key": given.s3_secret_access_key,
        "aws_session_token": given.s3_session_token,
    }
