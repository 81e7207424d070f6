"""Small JSON files that carry the SHA-256 of their own content: receipts that cannot be misread."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

SEAL = "sha256"


def seal(fields: Mapping[str, Any]) -> bytes:
    """Return fields as one line of JSON, with their hash as the last field."""
    return json.dumps({**fields, SEAL: _hash(fields)}).encode("ascii") + b"\n"


def unseal(content: bytes) -> dict[str, Any]:
    """Return the fields of what `seal` wrote.

    Raises:
      ValueError: it is not that, or not all of that.
    """
    try:
        fields: Any = json.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(fields, dict) or SEAL not in fields:
        raise ValueError("no record with a hash")
    if fields.pop(SEAL) != _hash(fields):
        raise ValueError("the content does not have the hash that it names")
    return fields


def _hash(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields).encode("ascii")).hexdigest()
