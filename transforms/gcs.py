"""Objects in Google Cloud Storage, with Google's own library and Beam's options for Google Cloud.

Not with Beam's own file system for gs://, for the reasons that docs/reliability.md gives.

Where an object is missing, that is a `FileNotFoundError`. All else that goes wrong here, after
Google's library has tried often enough, is the store's fault and no single file's: a
`ConnectionError`.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from http import HTTPStatus
from typing import IO, Any

import google.auth
from google.api_core.exceptions import ClientError, GoogleAPIError, RetryError
from google.auth import impersonated_credentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.cloud.storage import Blob, Bucket, Client
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from transforms.ranges import ObjectReader

# A file is gathered before it is sent. What is larger than this is gathered on the disk, and sent
# in pieces of this size.
PART_BYTES = 16 << 20
MOST_SENDINGS = 3
READ_AHEAD = 4 << 20
REMOVERS = 8  # threads
RETRY_SECONDS = 40.0
FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0  # at most so many seconds, from one try to the next
TIMEOUT = (10, 30)  # seconds to connect, and without a byte of the answer: two tries fit in
# Otherwise the library asks for the bucket's records, which takes another permission.
NO_RECORDS = "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA"
_BINARY = "application/octet-stream"
_FAILURES = (
    GoogleAPIError,
    GoogleAuthError,
    InvalidResponse,
    DataCorruption,
    RequestException,  # an OSError, but no file's
    HTTPError,
)

_making = threading.Lock()


class AccessDeniedError(PermissionError, ConnectionError):
    """The store refuses access.

    Who may read and write is said of whole buckets, so it is no single file's fault either.
    """


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
        blob = _blob(path)
        blob.reload(**_patiently())
        return int(blob.size)


def files_in(directory: str, below: bool = False) -> Iterator[str]:
    """Yield the paths of the objects directly in a directory, or anywhere below it."""
    yield from (path for path, _ in versions_in(directory, below))


def versions_in(directory: str, below: bool = False) -> Iterator[tuple[str, int | None]]:
    """Yield the same paths, each with the object's generation."""
    bucket, prefix = _place(directory.rstrip("/") + "/")
    with _naming(directory):
        for blob in _client().list_blobs(
            _bucket(directory),
            prefix=prefix,
            delimiter=None if below else "/",
            fields="items(name,generation),nextPageToken",
            **_patiently(),
        ):
            if not blob.name.endswith("/"):  # how consoles make a directory
                yield f"gs://{bucket}/{blob.name}", blob.generation


def open_read(path: str) -> io.BufferedReader:
    """Open an object for reading; seekable. That it is missing shows when it is read."""
    return io.BufferedReader(open_ranges(path), READ_AHEAD)


def open_ranges(path: str) -> io.RawIOBase:
    """Open an object for reading ranges far apart: nothing but what is asked for is fetched."""
    return ObjectReader(path, size_of, _fetch)


def remove(paths: Iterable[str]) -> None:
    """Remove the objects that are there."""
    # Not by batches: those take at most 100, and keep to themselves which of them failed and why.
    with ThreadPoolExecutor(REMOVERS) as pool:
        for _ in pool.map(_remove, paths):
            pass


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError), _naming(path):
        _blob(path).delete(**_patiently())


class Upload:
    """An object that appears whole when it is committed, or not at all.

    What the library's own writer has sent so far becomes the object when it is garbage collected,
    so nothing is sent before all of it is there.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._gathered = tempfile.SpooledTemporaryFile(PART_BYTES)  # noqa: SIM115

    def write(self, piece: bytes) -> None:
        """Append to the object."""
        self._gathered.write(piece)

    def commit(self) -> None:
        """Let the object appear."""
        with _naming(self.path):
            _send(self.path, self._gathered)
        self._gathered.close()

    def abandon(self) -> None:
        """Leave nothing behind, and what was there as it was."""
        self._gathered.close()


def _send(path: str, content: IO[bytes]) -> None:
    """Send a whole file.

    A large one is sent in pieces. Where the store no longer knows what it had of them, or has not
    what the library thinks, all must be sent again.
    """
    size = content.seek(0, io.SEEK_END)
    for left in reversed(range(MOST_SENDINGS)):
        content.seek(0)
        blob = _blob(path)
        blob.chunk_size = PART_BYTES
        try:
            blob.upload_from_file(content, size=size, content_type=_BINARY, **_patiently())
            return
        except (ClientError, DataCorruption, ValueError) as error:
            if left:
                continue
            if isinstance(error, ValueError):
                raise ConnectionError(f"{path}: {_one_line(str(error))}") from error
            raise


def _fetch(path: str, first: int, last: int | None) -> tuple[bytes, int | None]:
    with _naming(path):
        try:
            # Raw: as it is stored, even where the store would decompress it.
            content = _blob(path).download_as_bytes(
                start=first, end=last, raw_download=True, checksum=None, **_patiently()
            )
        except ClientError as error:
            if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return b"", None
            raise
    return content, None


@contextlib.contextmanager
def _naming(path: str) -> Iterator[None]:
    """Turn the errors of Google's library into the system's, each with the path and on one line."""
    try:
        yield
    except _FAILURES as error:
        raise _system_error(path, error) from error


def _system_error(path: str, error: Exception) -> OSError:
    if isinstance(error, RetryError) and isinstance(error.cause, Exception):
        error = error.cause
    answer = getattr(error, "response", None)
    code, told = getattr(answer, "status_code", None), _reason(error)
    if code == HTTPStatus.NOT_FOUND:
        missing = "no such bucket" if "bucket does not exist" in told else "no such object"
        return FileNotFoundError(errno.ENOENT, missing, path)
    if code == HTTPStatus.FORBIDDEN:
        return AccessDeniedError(errno.EACCES, f"access denied ({told})", path)
    if isinstance(error, DefaultCredentialsError):
        return ConnectionError(
            f"{path}: {told} Give credentials, or --no_auth for a public bucket."
        )
    return ConnectionError(f"{path}: {told}" + (f" ({code})" if code else ""))


def _reason(error: Exception) -> str:
    """Return on one line what the store said, or else what its answer was called."""
    answer = getattr(error, "response", None)
    if answer is None:
        return _one_line(str(error)) or type(error).__name__
    try:
        return _one_line(answer.json()["error"]["message"])
    except (ValueError, TypeError, KeyError):
        text = _one_line(answer.text)
        return text if text and "<" not in text else HTTPStatus(answer.status_code).phrase


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _place(path: str) -> tuple[str, str]:
    bucket, _, name = path.removeprefix("gs://").partition("/")
    return bucket, name


def _bucket(path: str) -> Bucket:
    client = _client()
    try:
        return client.bucket(_place(path)[0])
    except ValueError as error:  # none can be called so
        raise FileNotFoundError(errno.ENOENT, "no such bucket", path) from error


def _blob(path: str) -> Blob:
    name = _place(path)[1]
    if not name:
        raise FileNotFoundError(errno.ENOENT, "no such object", path)
    return _bucket(path).blob(name)


def _patiently() -> dict[str, Any]:
    """Return how a request is made. All here may be repeated: the bytes are the same."""
    retry = DEFAULT_RETRY.with_delay(initial=FIRST_WAIT, maximum=LONGEST_WAIT)
    return {"retry": retry.with_timeout(RETRY_SECONDS), "timeout": TIMEOUT}


def _client() -> Client:
    """Return the client for the options in force, made once for all threads."""
    with _making:
        return _make_client(*_arguments())


@lru_cache(maxsize=8)
def _make_client(
    no_auth: bool, project: str | None, impersonated: str | None, scopes: tuple[str, ...]
) -> Client:
    os.environ.setdefault(NO_RECORDS, "true")
    if no_auth:
        return Client.create_anonymous_client()
    if not impersonated:
        return Client(project=project)
    source, _ = google.auth.default(scopes=scopes)
    *delegates, principal = impersonated.split(",")
    credentials = impersonated_credentials.Credentials(
        source_credentials=source,
        target_principal=principal,
        delegates=delegates,
        target_scopes=scopes,
    )
    return Client(project=project, credentials=credentials)


def _arguments() -> tuple[bool, str | None, str | None, tuple[str, ...]]:
    """Return what Beam's options say of the client.

    Where Beam was never imported, as in a training loader, there are none, and all comes from the
    environment.
    """
    beam = sys.modules.get("apache_beam.io.filesystems")
    options = beam and beam.FileSystems._pipeline_options
    if not options:
        return False, None, None, Client.SCOPE
    from apache_beam.options.pipeline_options import GoogleCloudOptions

    given = options.view_as(GoogleCloudOptions)
    return (
        given.no_auth,
        given.project,
        given.impersonate_service_account,
        tuple(given.gcp_oauth_scopes),
    )
