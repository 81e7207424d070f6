"""What a person sees: shards counted while the job runs, and a short table at its end."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

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


def readable(size: float) -> str:
    """Return a number of bytes as a person reads it, e.g. 39.2 GB."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.1f} {unit}" if unit != "bytes" else f"{size:.0f} bytes"
        size /= 1000
    return f"{size:.1f} GB"


class ByteCount:
    """Bytes counted as work goes on: a bar at a terminal, elsewhere a line now and then."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
            transient=True,
        )
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._line: Callable[[], str] | None = None

    def begin(self, what: str, total: int) -> Callable[[int], None]:
        """Count something else from now on; return what is told of bytes."""
        task = self._bar.add_task(what, total=total)
        started, count = time.monotonic(), 0

        def advance(size: int) -> None:
            nonlocal count
            with self._lock:
                count += size
            self._bar.advance(task, size)

        def line() -> str:
            seconds = time.monotonic() - started
            return f"{what}: {readable(count)} of {readable(total)}, {seconds:.0f} s"

        self._line = line
        return advance

    def _report(self) -> None:
        while not self._done.wait(INTERVAL):
            if self._line:
                say(self._line())

    def __enter__(self) -> ByteCount:
        self._bar.start()
        if self._bar.disable:
            threading.Thread(target=self._report, name="progress", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._bar.stop()


def describe(error: Mapping[str, Any]) -> str:
    """Return an entry of errors.jsonl as a person reads it."""
    if error["kind"] == "input":
        return f"cannot read {error['path']}, {error['where']}: {error['reason']}"
    article = f"article {error['wiki_id']} (row {error['row']})"
    return f"{article} failed to {error['step']}: {error['reason']}"


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
