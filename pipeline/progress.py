"""What a person sees: shards counted while the job runs, and a short table at its end."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from transforms import storage

INTERVAL = 15.0  # seconds between two lines


def say(text: str) -> None:
    """Tell the person something, on the error stream: standard output is for results."""
    print(f"pagecast: {one_line(text)}", file=sys.stderr, flush=True)


def one_line(text: str) -> str:
    """Escape what would not print: names may hold line breaks and control sequences."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


@contextmanager
def watch(output_dir: str, shards: int) -> Iterator[None]:
    """Say now and then how many of the job's shards are finished, where that can be seen."""
    done = threading.Event()
    started = time.monotonic()

    def report() -> None:
        directory = storage.private(output_dir, "shards")
        while not done.wait(INTERVAL):
            names = os.listdir(directory) if os.path.isdir(directory) else []
            finished = sum(name.endswith(".json") for name in names)
            say(f"{finished} of {shards} shards, {time.monotonic() - started:.0f} s")

    thread = threading.Thread(target=report, name="progress", daemon=True)
    if storage.is_local(output_dir):
        thread.start()
    try:
        yield
    finally:
        done.set()


def summary(manifest: Mapping[str, Any], output_dir: str, seconds: float) -> str:
    """Return the closing table of a finished job."""
    counts, split = manifest["counts"], manifest["split"]
    rows = [
        ("articles in", f"{counts['rows_read']:,}"),
        ("kept", f"{counts['kept']:,}"),
        *((f"dropped, {reason}", f"{n:,}") for reason, n in counts["dropped"].items()),
        *([("failed", f"{counts['failed']:,}")] if counts["failed"] else []),
        ("samples", f"{counts['samples']:,}"),
        ("pages", f"{counts['pages']:,}"),
        ("train", f"{split['train']['samples']:,}"),
        ("val", f"{split['val']['samples']:,}"),
        *([("unused", f"{split['unused']['samples']:,}")] if split["unused"]["samples"] else []),
        ("seconds", f"{seconds:.1f}"),
        ("output", output_dir),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
