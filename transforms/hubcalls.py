"""Asking the Hugging Face hub: trying again what passes, and its refusals as the system's errors.

huggingface_hub gives the session, the token and the errors. Where the hub fails, after tries of
half a minute, it is a `ConnectionError`.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # it would look for who runs this process

from huggingface_hub import (
    HfApi,
    constants,
    get_session,
    get_token,
    hf_hub_url,
    hf_raise_for_status,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

WAITS = (0.5, 1, 2, 4, 8, 8, 8)  # seconds before another try
PASSING = {408, 425, 429, 500, 502, 503, 504}
REFUSED = {401, 403}
STALE = {401, 403, 404, 410}  # how an address that was good for a time is refused
PAST_THE_END = 416
LONGEST_WAIT = 60  # seconds that the hub may ask for
TIMEOUT = 30.0  # seconds for a connection, and between two pieces of an answer
# The library's errors of the connection have no name of their own there: it moved from httpx to
# httpx2. This is the base of both kinds, its own and those of the connection.
HttpError = cast("type[Exception]", HfHubHTTPError.__mro__[1])
T = TypeVar("T")

# Where the hub last sent for a file. It counts requests, so it is not asked again for each range.
_addresses: dict[str, str] = {}


def dataset(repo: str, revision: str) -> Any:
    """Return what the hub says of a dataset at a revision."""
    return _api().dataset_info(repo, revision=revision, timeout=TIMEOUT)


def tree(repo: str, revision: str, path: str, below: bool) -> Iterator[Any]:
    """Yield what is in a directory, or all below it. The library tries again by itself."""
    yield from _api().list_repo_tree(
        repo, path or None, recursive=below, revision=revision, repo_type="dataset"
    )


def url_of(repo: str, revision: str, path: str) -> str:
    """Return the address of a file."""
    return hf_hub_url(repo, path, repo_type="dataset", revision=revision, endpoint=_endpoint())


def _endpoint() -> str | None:
    """Return the hub's address where the environment names one, now rather than at the import."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def _api() -> HfApi:
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # two lines for each retry
    _session()
    return HfApi(endpoint=_endpoint())


def _session() -> Any:
    """Return the library's session, which then sends the token to nobody but the hub."""
    session = get_session()
    if _keep_token not in session.event_hooks["request"]:
        session.event_hooks["request"].append(_keep_token)
    return session


def _keep_token(request: Any) -> None:
    """Take the token from a request to another host: the next page of a listing may be anywhere."""
    hub = type(request.url)(_endpoint() or constants.ENDPOINT)
    if (request.url.scheme, request.url.netloc) != (hub.scheme, hub.netloc):
        request.headers.pop("Authorization", None)


def trying(attempt: Callable[[], T]) -> T:
    """Return what an attempt gives; where the hub or the connection fails it is made again."""
    waits = iter(WAITS)
    while True:
        try:
            return attempt()
        except HttpError as error:
            time.sleep(pause(error, waits))


def pause(error: Exception, waits: Iterator[float]) -> float:
    """Return how many seconds to wait before another try.

    Raises:
      Exception: the error itself, if it will not pass or was tried often enough.
    """
    answer = getattr(error, "response", None)
    passes = type(error).__name__ != "UnsupportedProtocol"  # the address is wrong
    if answer is not None:
        passes = answer.status_code in PASSING
    wait = next(waits, None) if passes else None
    if wait is None:
        raise error
    told = "" if answer is None else answer.headers.get("Retry-After", "")
    return max(wait, min(int(told), LONGEST_WAIT)) if told.isdigit() else wait


@contextlib.contextmanager
def answer_to(url: str, wanted: str) -> Iterator[Any]:
    """Ask for a range of a file; the answer is not read yet. The token goes to the hub alone.

    Raises:
      HttpError: the hub or the connection failed.
    """
    while True:
        address = _addresses.get(url)
        headers = {"Range": wanted, "Accept-Encoding": "identity"}
        if address is None:  # the session drops the token where it is sent elsewhere
            headers = {**build_hf_headers(), **headers}
        with _session().stream(
            "GET", address or url, headers=headers, timeout=TIMEOUT, follow_redirects=True
        ) as answer:
            if address is not None and answer.status_code in STALE:
                _addresses.pop(url, None)
                continue
            if answer.status_code >= 400:
                answer.read()
                if answer.status_code != PAST_THE_END:
                    hf_raise_for_status(answer)
            elif answer.history:
                _addresses[url] = str(answer.url)
            yield answer
            return


@contextlib.contextmanager
def naming(path: str, refusal: type[OSError] = PermissionError) -> Iterator[None]:
    """Turn the library's errors into the system's, each with the path and on one line.

    Args:
      refusal: what a refused token is; where it is more than this path's trouble, a
        `ConnectionError`.
    """
    try:
        yield
    except OfflineModeIsEnabled as error:
        raise ConnectionError(f"{path}: {one_line(error)}") from error
    except HttpError as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in REFUSED:
            raise _refused(path, status, error, refusal) from error
        if isinstance(error, RevisionNotFoundError):
            raise FileNotFoundError(errno.ENOENT, "no such revision", path) from error
        if isinstance(error, RepositoryNotFoundError):
            raise FileNotFoundError(errno.ENOENT, "no such dataset", path) from error
        if isinstance(error, EntryNotFoundError) or status == 404:
            raise FileNotFoundError(errno.ENOENT, "no such file or directory", path) from error
        raise ConnectionError(f"{path}: {one_line(error)}") from error


def _refused(path: str, status: int, error: Exception, kind: type[OSError]) -> OSError:
    if get_token():
        what = f"the hub refuses the token ({status}); set HF_TOKEN to one that may read this"
    elif isinstance(error, RepositoryNotFoundError) and not isinstance(error, GatedRepoError):
        what = f"no such dataset, or a private one ({status}): set HF_TOKEN to a token for it"
    else:
        what = f"the hub wants a token ({status}): set HF_TOKEN"
    return kind(f"{path}: {what}") if kind is ConnectionError else kind(errno.EACCES, what, path)


def one_line(error: Exception) -> str:
    """Return an error's text on one line, or its name where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
