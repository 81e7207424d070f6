"""Watching a job by its receipts: a live line at a terminal, elsewhere a line now and then."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress

from pagecast import storage
from pagecast.dataset.layout import PLAN
from pagecast.dataset.shard import read_plan
from pagecast.storage.errors import StoreError
from pipeline.progress import terminal
from pipeline.progress.counter import SHARDS, ReceiptCounter, State
from pipeline.progress.liveline import JobLine

PAUSE, STORE_PAUSE = 1.0, 15.0  # seconds between two looks, on a disk and in a store, at least
IDLE = 100  # times as long as a look takes is the pause after it: 1% of a core at most
TOGETHER = 1024  # receipts between two states, where there are many to read


class ReceiptScan:
    """Looks at the receipts below an output directory, reading each of them once."""

    def __init__(self, output_dir: str, modes: Sequence[str]) -> None:
        self._shards, self._parts = (
            storage.private(output_dir, name) for name in ("shards", "parts")
        )
        self._local = storage.is_local(output_dir)
        self._ledger = ReceiptCounter(read_plan(storage.private(output_dir, PLAN)), modes)
        self._ledger.take_parts(dict(storage.versions_in(self._parts)))

    def states(self) -> Iterator[State]:
        """Look once; yield how far the job is, more than once where there is much to read.

        Raises:
          OSError: the disk or the store failed.
        """
        listed = dict(storage.versions_in(self._shards))
        if self._local:
            # What is written in the place of a file that was removed may look like that file.
            for name in self._ledger.idle & listed.keys():
                with suppress(FileNotFoundError):
                    path = os.path.join(self._shards, name)
                    listed[name] = listed[name], os.stat(path).st_mtime_ns
        names = self._ledger.to_read(listed)
        for start in range(0, len(names), TOGETHER):
            for name, content in self._read(names[start : start + TOGETHER]).items():
                self._ledger.take(name, listed[name], content)
            yield self._ledger.state()
        state = self._ledger.state()
        if state.phase != SHARDS:
            self._ledger.take_parts(dict(storage.versions_in(self._parts)))
            state = self._ledger.state()
        yield state

    def _read(self, names: Sequence[str]) -> Mapping[str, bytes]:
        """Return the receipts that can be read; the others' turn comes at the next look."""
        found = {}
        contents = storage.read_each(storage.join(self._shards, name) for name in names)
        with suppress(OSError, StoreError):
            for name, content in zip(names, contents, strict=True):
                if content is not None:
                    found[name] = content
        return found


class ProgressThread:
    """Looks again and again, in a thread of its own that no process waits for.

    Whatever goes wrong with that is not the job's concern.

    Args:
      show: called with how far the job is. every: seconds between two calls, at most; where much is
        read there are more.
    """

    def __init__(
        self,
        output_dir: str,
        modes: Sequence[str],
        show: Callable[[State], None],
        every: float,
    ) -> None:
        self._output_dir = output_dir
        self._modes = modes
        self._show = show
        self._every = every
        self._pause = 0.0 if storage.is_local(output_dir) else STORE_PAUSE
        self._look: ReceiptScan | None = None
        self._latest: State | None = None
        self._over = threading.Event()

    def __enter__(self) -> ProgressThread:
        threading.Thread(target=self._follow, name="progress", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _follow(self) -> None:
        next_look = 0.0
        while not self._over.is_set():
            began = time.monotonic()
            if began >= next_look:
                with suppress(Exception):  # the next one may do better
                    self.look()
                now = time.monotonic()
                next_look = now + max(self._pause, IDLE * (now - began))
            with suppress(Exception):
                self._tell()
            self._over.wait(self._every)

    def look(self) -> None:
        """Look once, and tell what is found.

        Raises:
          OSError: the disk or the store failed.
        """
        if self._look is None:
            self._look = ReceiptScan(self._output_dir, self._modes)
        for state in self._look.states():
            self._latest = state
            if self._over.is_set():
                return
            self._tell()

    def _tell(self) -> None:
        if self._latest is not None and not self._over.is_set():
            self._show(self._latest)


@contextmanager
def watch(output_dir: str, shards: int, modes: Sequence[str]) -> Iterator[None]:
    """Show how far a job is while it runs, as far as its output directory can be seen from here."""
    line = JobLine(shards)
    with ExitStack() as stack:
        if not line.bar.disable:
            stack.enter_context(terminal.at_bottom(line.bar))
            stack.enter_context(ProgressThread(output_dir, modes, line.update, PAUSE))
        elif not terminal.is_quiet():
            tell = Lines(line)
            stack.enter_context(ProgressThread(output_dir, modes, tell, terminal.INTERVAL))
        yield


class Lines:
    """Says how far a job is, now and then."""

    def __init__(self, line: JobLine) -> None:
        self._line = line
        self._last = time.monotonic()

    def __call__(self, state: State) -> None:
        """Say it, unless it was said a moment ago."""
        now = time.monotonic()
        if now - self._last >= terminal.INTERVAL:
            self._last = now
            terminal.say(self._line.plain(state))
