"""Asking the Hugging Face hub: its library's session within bounds, and its errors as the system's.

huggingface_hub finds the token, and tries again for half a minute what passes. But by itself, as of
2.4, it takes the token to whatever host the next page of a listing is said to be at, waits as long
as an answer says, reads what never ends, and waits for ever for what hardly comes.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
from huggingface_hub import constants, errors, get_token, set_client_factory
from huggingface_hub.utils import (  # type: ignore[attr-defined]
    build_hf_headers,
    http_backoff,
)
from huggingface_hub.utils._http import default_client_factory

from pagecast.storage.errors import StoreError

LONGEST_WAIT = 60  # seconds that the hub may ask for
TIMEOUT = 30.0  # seconds for a connection, and between two pieces of an answer
PATIENCE, LEAST = 60.0, 600_000  # seconds, and the bytes that come in them, if there are more
MOST_REFUSED = 1 << 20  # bytes of an answer that is not content
ASKED = "pagecast"  # a request's extension: the bytes it is to give, and what range
FAILURES = (
    httpx2.HTTPError, httpx2.InvalidURL, errors.OfflineModeIsEnabled, errors.HFValidationError,
)  # fmt: skip
MISSING = {
    errors.RevisionNotFoundError: "no such revision",
    errors.RepositoryNotFoundError: "no such repository",
    errors.EntryNotFoundError: "no such file or directory",
}
constants.DOWNLOAD_CHUNK_SIZE = 1 << 20  # what a connection that breaks costs
constants.HF_HUB_DISABLE_TELEMETRY = True  # it would look for who runs this process
constants.HF_HUB_DISABLE_XET = True  # native code that asks by other ways, and writes into HOME
logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # two lines for each retry


def endpoint() -> str:
    """Return the hub's address, as the environment names it now rather than at the import."""
    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def ask(url: str, most: int, first: int | None = None) -> httpx2.Response:
    """Return an answer of at most `most` bytes; of a file, those from `first` on.

    Raises:
      httpx2.HTTPError: the hub or the connection failed, again and again.
    """
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    if first is not None:
        headers["Range"] = f"bytes={first}-{first + most - 1}"
    asked = {ASKED: (most, "" if first is None else f"bytes {first}-")}
    return http_backoff("GET", url, headers=headers, timeout=TIMEOUT, extensions=asked)


def _session() -> httpx2.Client:
    client = default_client_factory()
    client.event_hooks["request"].append(_keep_token)
    client.event_hooks["response"].append(_bound)
    return client


def _keep_token(request: httpx2.Request) -> None:
    """Take the token from a request to another host."""
    hub = httpx2.URL(endpoint())
    if (request.url.scheme, request.url.netloc) != (hub.scheme, hub.netloc):
        request.headers.pop("Authorization", None)


def _bound(answer: httpx2.Response) -> None:
    """Cut short the wait that an answer asks for, and refuse what it was not asked for."""
    answer.headers.pop("RateLimit", None)  # says how long to wait too
    told = answer.headers.pop("Retry-After", "")
    if told.isdecimal():
        answer.headers["Retry-After"] = str(min(int(told[:9]), LONGEST_WAIT))
    most, wanted = answer.request.extensions.get(ASKED, (math.inf, ""))
    if not answer.is_success:
        most = MOST_REFUSED
    elif not answer.headers.get("Content-Range", "").startswith(wanted):
        raise httpx2.HTTPError("the hub sent another range than it was asked for")
    answer.stream = _Bounded(answer.stream, most)


class _Bounded(httpx2.SyncByteStream):
    """What an answer brings, as far as it is not too much and comes fast enough."""

    def __init__(self, stream: Any, most: float) -> None:
        self._stream, self._most = stream, most

    def __iter__(self) -> Iterator[bytes]:
        began, size, before = time.monotonic(), 0, 0
        try:
            for piece in self._stream:
                size += len(piece)
                if size > self._most:
                    raise httpx2.HTTPError(f"the hub sends more than {self._most} bytes")
                if (now := time.monotonic()) - began > PATIENCE:
                    if size - before < LEAST:
                        raise httpx2.ReadTimeout("the hub sends next to nothing")
                    began, before = now, size
                yield piece
        except httpx2.ReadError as error:  # a download of the library's goes on after this one only
            raise httpx2.RemoteProtocolError(one_line(error)) from error

    def close(self) -> None:
        """Let go of the connection."""
        self._stream.close()


set_client_factory(_session)


class Counter(contextlib.nullcontext["Counter"]):
    """What the library's downloads take for a bar: it hears of all that comes before it is written.

    Args:
      most: bytes that may come; more are an error.
      told: called with how many bytes came.
    """

    def __init__(self, name: str, most: int, told: Callable[[int], None] = lambda _: None) -> None:
        super().__init__(self)
        self._name, self._most, self._told = name, most, told
        self.came = 0

    def __call__(self, **_: Any) -> Counter:
        """Be the bar that is wanted."""
        return self

    def update(self, count: int) -> None:
        """Count bytes."""
        self.came += count
        self._told(count)
        if self.came > self._most:
            raise StoreError(f"{self._name}: the hub sends more than its {self._most} bytes")


@contextlib.contextmanager
def naming(path: str, refusal: type[Exception] = PermissionError) -> Iterator[None]:
    """Turn the library's errors into the system's, each with the path and on one line.

    Args:
      refusal: what a refused token is; where it is more than this path's trouble, a
        `StoreError`.
    """
    try:
        yield
    except errors.LocalEntryNotFoundError as error:  # of a download; what failed is behind it
        raise _named(path, error.__cause__ or error, refusal) from error
    except FAILURES as error:
        raise _named(path, error, refusal) from error
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(f"{path}: the hub's answer makes no sense ({error!r})") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise StoreError(f"{path}: {str(error).splitlines()[0]}") from error


def _named(path: str, error: BaseException, refusal: type[Exception]) -> Exception:
    status = status_of(error)
    if status in (401, 403):
        if get_token():
            what = f"the hub refuses the token ({status}); set HF_TOKEN to one that may read this"
        elif type(error) is errors.RepositoryNotFoundError:
            what = (
                f"no such repository, or a private one ({status}): set HF_TOKEN to a token for it"
            )
        else:
            what = f"the hub wants a token ({status}): set HF_TOKEN"
        if refusal is StoreError:
            return StoreError(f"{path}: {what}")
        return refusal(errno.EACCES, what, path)
    for kind, what in MISSING.items():
        if isinstance(error, kind) or (kind is errors.EntryNotFoundError and status == 404):
            return FileNotFoundError(errno.ENOENT, what, path)
    return StoreError(f"{path}: {one_line(error)}")


def status_of(error: BaseException) -> int | None:
    """Return the status of the answer that was an error, if there was one."""
    return getattr(getattr(error, "response", None), "status_code", None)


def one_line(error: BaseException) -> str:
    """Return an error's text on one line, or its name where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
