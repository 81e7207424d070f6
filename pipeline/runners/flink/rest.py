"""Asking a JobManager, by the REST interface that its web page uses too."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any, NamedTuple

PATIENCE = 10.0  # seconds


class Overview(NamedTuple):
    """What a cluster is made of; `flink` is its version without the patch, e.g. "1.20"."""

    flink: str
    taskmanagers: int
    slots: int


def get(master: str, path: str) -> Any:
    """Return the answer to `GET http://{master}/v1/{path}`.

    Args:
      master: HOST:PORT, or a whole URL.

    Raises:
      ConnectionError: there is no JobManager there, or it refuses; the text says which and why.
    """
    url = f"{base(master)}/v1/{path}"
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return json.load(answer)
    except (OSError, ValueError, HTTPException) as error:  # urllib's errors are OSErrors
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        raise ConnectionError(f"no answer from Flink at {url}: {cause}") from error


def base(master: str) -> str:
    """Return the URL of a JobManager."""
    return (master if "://" in master else f"http://{master}").rstrip("/")


def overview(master: str) -> Overview:
    """Return what a cluster is made of.

    Raises:
      ConnectionError: there is no JobManager there.
    """
    found = get(master, "overview")
    try:
        version = ".".join(found["flink-version"].split(".")[:2])
        return Overview(version, found["taskmanagers"], found["slots-total"])
    except (KeyError, TypeError) as error:
        raise ConnectionError(
            f"{base(master)} answers, but is not a JobManager of Flink"
        ) from error
