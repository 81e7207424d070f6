"""Keeping an eye on the local workers: none that dies or hangs may hold up the launcher.

Beam waits for ever for some workers that are gone, and for all that hang. Here the launcher notices
a worker that ends with an error, vanishes, does not answer for 45 s, or answers and gets no further
for `--stall_minutes`; then the job ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import psutil

from pagecast import pulse
from pipeline.runners import signals
from pipeline.runners.forkserver import BEATS

BEAT = 5.0  # seconds between two heartbeats
SILENT = 45  # seconds without one after which a worker hangs
GONE = 30  # seconds that a job may go on without a worker that it had
MINUTE = 60  # seconds
MOST_NAMED = 100  # characters of what a worker is at; a heartbeat must fit into the pipe at once
SETTLING = 1.0  # seconds in which the launcher learns that it is to stop, as its workers did
MEGABYTE = 1 << 20


def describe_end(code: int, resident: int, free: int, total: int) -> str:
    """Say how a worker ended, from its exit code and the memory (bytes) it and the machine had."""
    if code >= 0:
        return f"exited with code {code}; what it printed is above"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    why = f"was killed ({name}); it had {resident // MEGABYTE} MB of memory"
    if -code == signal.SIGKILL and free < total // 10:
        return (
            f"{why}, and {free // MEGABYTE} of {total // MEGABYTE} MB were free: too little memory"
        )
    return why


class Process(Protocol):
    """A process that was started, as the standard library has them."""

    pid: int

    def poll(self) -> int | None:
        """Return its exit code, None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""

    def kill(self) -> None:
        """End it at once."""


# Starts a worker with environment variables, and the end of a pipe, as `BEATS` says.
Start = Callable[[Mapping[str, str], int], Process]


class Worker:
    """A worker process as it is seen from here.

    One that was asked for nothing, as it waits for the others, gets no further and is all right.
    """

    def __init__(self, process: Process, beats: int, is_busy: Callable[[], bool]) -> None:
        self.process = process
        self.resident = 0  # bytes of memory
        self.at = ""  # what it began last
        self.polls_silent = self.polls_stalled = self.polls_gone = 0
        self._beats, self._is_busy = beats, is_busy
        self._done = -1

    @property
    def code(self) -> int | None:
        """How it ended, None while it runs."""
        return self.process.poll()

    def look(self) -> None:
        """Take note of how it is, once a second."""
        if self.code is not None:
            self.polls_gone += 1
            return
        with contextlib.suppress(psutil.Error):
            self.resident = psutil.Process(self.process.pid).memory_info().rss
        self.polls_silent += 1
        self.polls_stalled += 1
        with contextlib.suppress(BlockingIOError):
            if told := os.read(self._beats, 1 << 16):  # all that a pipe holds
                self.polls_silent = 0
                done, self.at = json.loads(told.splitlines()[-1])
                if done != self._done:
                    self._done, self.polls_stalled = done, 0
        if not self._is_busy():
            self.polls_stalled = 0

    def forget(self) -> None:
        """Listen no more."""
        os.close(self._beats)


class Watchdog:
    """Watches worker processes while a job runs.

    Heartbeats come by a pipe to each, which no cleaner removes and no full disk stops.

    Time is counted in looks, so that a launcher that was suspended blames no worker for it.

    Args:
      start: starts a worker, where there are some.
      give_up: called once, in another thread, with what happened to a worker.
      stall_minutes: how long a worker may be at something without getting any further.
    """

    def __init__(
        self, start: Start | None, give_up: Callable[[str], None], stall_minutes: int
    ) -> None:
        self._start = start
        self._give_up = give_up
        self._stall_minutes = stall_minutes
        self._workers: list[Worker] = []
        self._over = threading.Event()
        self._told = threading.Event()  # the cause is known to who asked for it
        self._hook = threading.excepthook
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Watchdog:
        threading.excepthook = self._silence
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if not self._failed():
            threading.excepthook = self._hook
        if self._thread is not threading.current_thread():
            self._thread.join(SILENT)
        for worker in self._workers:
            worker.forget()

    def start(self, environment: Mapping[str, str], is_busy: Callable[[], bool]) -> Process:
        """Start a worker, and watch it from now on.

        Args:
          is_busy: tells whether it was asked for something that is not done.
        """
        assert self._start is not None, "only runs with workers start some"
        beats, write = os.pipe()
        os.set_blocking(beats, False)
        try:
            process = self._start(environment, write)
        finally:
            os.close(write)
        self._workers.append(Worker(process, beats, is_busy))
        return process

    def wait_for_cause(self) -> None:
        """Wait a moment for the cause, when Beam has failed: it may be a worker's death.

        Once that is noticed, `give_up` has the word.
        """
        end = time.monotonic() + SETTLING
        while not self._failed() and time.monotonic() < end:
            time.sleep(0.1)
        if self._failed() or self._over.is_set():
            self._told.wait(SILENT)

    def _failed(self) -> bool:
        return any(worker.code for worker in self._workers)

    def _silence(self, _: Any) -> None:
        """Leave out the traces of Beam's threads, each of which fails in a worker's wake."""

    def _watch(self) -> None:
        while not self._over.wait(1.0):
            if what := self._poll():
                time.sleep(SETTLING)
                if not self._over.is_set() and not signals.stopped():
                    self._over.set()
                    self._give_up(what)
                self._told.set()
                return

    def _poll(self) -> str | None:
        """Look once, and return what happened to a worker if something did."""
        for worker in tuple(self._workers):
            worker.look()
            pid = worker.process.pid
            if code := worker.code:
                memory = psutil.virtual_memory()
                what = describe_end(code, worker.resident, memory.available, memory.total)
                return f"a worker {what}"
            if worker.polls_gone >= GONE:
                return f"worker {pid} is gone, nobody knows why"
            if worker.polls_silent >= SILENT:
                worker.process.kill()
                return f"worker {pid} did not answer for {SILENT} s and was stopped"
            if worker.polls_stalled >= self._stall_minutes * MINUTE:
                worker.process.kill()
                return (
                    f"worker {pid} got no further for {self._stall_minutes} minutes and was "
                    f"stopped (it began last: {worker.at or 'nothing'}); where it was only slow, "
                    "give more --stall_minutes"
                )
        return None


def beat_for_ever(launcher: int | None = None) -> None:
    """Be a worker that the launcher can see: say so again and again, and end with the launcher.

    Args:
      launcher: its process id, where that is known for sure: the parent may have changed already.
    """
    launcher = launcher or os.getppid()
    beats = int(os.environ.pop(BEATS, "-1"))
    if beats >= 0:
        os.set_inheritable(beats, False)
        os.set_blocking(beats, False)

    def beat() -> None:
        last = 0.0
        while os.getppid() == launcher:
            if beats >= 0 and time.monotonic() - last >= BEAT:
                told = json.dumps([pulse.beats, pulse.at[:MOST_NAMED]]).encode() + b"\n"
                with contextlib.suppress(OSError):  # it listens no more, as the job is over
                    os.write(beats, told)
                last = time.monotonic()
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=beat, name="heartbeat", daemon=True).start()
