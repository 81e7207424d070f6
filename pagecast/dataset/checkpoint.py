"""Commit, then a receipt: files count when a receipt vouches for them, and are found again by it.

A receipt is a line of JSON that carries the SHA-256 of its own content, so that one which is cut
short or changed is never believed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pagecast import storage
from pagecast.storage import WrittenFile

CHECKSUM = "sha256"

T = TypeVar("T")


def to_checksummed(fields: Mapping[str, Any]) -> bytes:
    """Return fields as one line of JSON, with their hash as the last field."""
    return json.dumps({**fields, CHECKSUM: _hash(fields)}).encode("ascii") + b"\n"


def from_checksummed(content: bytes) -> dict[str, Any]:
    """Return the fields of what `to_checksummed` wrote.

    Raises:
      ValueError: it is something else, or not all of it.
    """
    try:
        fields: Any = json.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(fields, dict) or CHECKSUM not in fields:
        raise ValueError("no record with a hash")
    if fields.pop(CHECKSUM) != _hash(fields):
        raise ValueError("the content does not have the hash that it names")
    return fields


def _hash(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields).encode("ascii")).hexdigest()


def commit_receipt(output_dir: str, path: str, receipt: bytes) -> None:
    """Write a receipt once all that was written before, which it vouches for, is on the disk."""
    storage.flush(output_dir)
    storage.commit(path, [receipt], durable=True)


def find_receipt(path: str, parse: Callable[[bytes], T]) -> T | None:
    """Return a receipt of an earlier run, None where there is none or it is damaged."""
    try:
        return parse(storage.read_bytes(path))
    except (OSError, ValueError):
        return None


def is_intact(path: str, written: WrittenFile, offset: int | None = None) -> bool:
    """Tell whether a file is, or has at `offset`, the very bytes that a receipt vouches for."""
    if not storage.exists(path):
        return False
    if offset is None and storage.size_of(path) != written.size:
        return False
    try:
        return storage.sha256_of(path, offset or 0, written.size) == written.sha256
    except OSError:  # it ends before that
        return False
