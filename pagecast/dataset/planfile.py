"""The plan of a job as a file: its shards, and the input files that cannot be used."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pagecast import storage
from pagecast.dataset.sample import Failure, Shard

FAILED = "failed"


def plan_line(entry: Shard | Failure) -> bytes:
    """Return one line of the plan file."""
    kind = FAILED if isinstance(entry, Failure) else "shard"
    return json.dumps({kind: entry._asdict()}).encode("ascii") + b"\n"


def read_plan(path: str) -> Iterator[Shard | Failure]:
    """Yield the shards and the unreadable files of a plan file, in input order."""
    with storage.open_read(path) as file:
        for line in file:
            entry: dict[str, Any] = json.loads(line)
            if FAILED in entry:
                yield Failure(**entry[FAILED])
            else:
                yield Shard(**entry["shard"])
