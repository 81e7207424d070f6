"""Keeping an eye on the local workers: none that dies or hangs may hold up the launcher.

Beam waits for ever for some workers that are gone, and for all that hang. Here a worker that ends
with an error, vanishes or does not answer for 45 s is noticed by the launcher, which starts the
whole command once more from the finished shards, or says why it stops.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

HEARTBEATS = "PAGECAST_HEARTBEATS"  # environment: the directory in which workers say that they live
BEAT = 5.0  # seconds between two heartbeats
SILENT = 45  # seconds without one after which a worker hangs
GONE = 30  # seconds that a job may go on without a worker that it had
PATIENCE = 5.0  # seconds that Beam gets to stop by itself
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


class Watchdog:
    """Watches the worker processes of this process while a job runs.

    Args:
      give_up: called once, in another thread, with what happened to a worker.
    """

    def __init__(self, give_up: Callable[[str], None]) -> None:
        self._give_up = give_up
        self._directory = tempfile.TemporaryDirectory(prefix="pagecast-")
        self._beats: dict[int, tuple[int, int]] = {}  # pid: (latest heartbeat, polls since then)
        self._resident: dict[int, int] = {}
        self._gone: dict[int, int] = {}
        self._over = threading.Event()
        self._told = threading.Event()  # the cause is known to who asked for it
        self._ended: list[int] = []  # exit codes
        self._silent: str | None = None
        self._hook = threading.excepthook

    def __enter__(self) -> Watchdog:
        os.environ[HEARTBEATS] = self._directory.name
        threading.excepthook = self._thread_ended
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if not self._ended:
            threading.excepthook = self._hook
        os.environ.pop(HEARTBEATS, None)
        self._directory.cleanup()

    def settle(self) -> None:
        """Wait a moment for the cause, when Beam has failed: it may be a worker's death.

        Beam may notice that before the exit code is known. Once it is, `give_up` has the word.
        """
        for tenth in range(50):
            if self._over.is_set() or any(self._ended):
                self._told.wait(SILENT)
                return
            if tenth >= 10 and not self._some_are_gone():
                return
            time.sleep(0.1)

    def _some_are_gone(self) -> bool:
        pids = [int(path.name) for path in Path(self._directory.name).iterdir()]
        return not all(map(_runs, pids))

    def stop(self) -> None:
        """Look no more: workers end as they should."""
        self._over.set()

    def _thread_ended(self, args: Any) -> None:
        """Take note of a worker's exit code, which Beam raises in the thread that waits for it."""
        if args.thread is not None and args.thread.name == "run_worker":
            last = str(args.exc_value).rsplit(" ", 1)[-1]
            self._ended.append(int(last) if last.lstrip("-").isdigit() else 1)
        # Other threads of Beam fail in its wake, and each would print a trace of its own.

    def _watch(self) -> None:
        while not self._over.wait(1.0):
            if what := self._poll():
                if not self._over.is_set():
                    self._over.set()
                    self._give_up(what)
                    self._told.set()
                return

    def _poll(self) -> str | None:
        """Look once, and return what happened to a worker if something did."""
        beating = {int(path.name): path for path in Path(self._directory.name).iterdir()}
        for pid, path in beating.items():
            try:
                beat = path.stat().st_mtime_ns
                self._resident[pid] = psutil.Process(pid).memory_info().rss
            except (OSError, psutil.Error):
                self._gone[pid] = self._gone.get(pid, 0) + 1
                continue
            latest, polls = self._beats.get(pid, (beat, 0))
            self._beats[pid] = (beat, 0 if beat != latest else polls + 1)
            if self._beats[pid][1] >= SILENT:
                self._silent = f"worker {pid} did not answer for {SILENT} s and was stopped"
                with contextlib.suppress(psutil.Error):
                    psutil.Process(pid).kill()
                return self._silent
        memory = psutil.virtual_memory()
        for code in self._ended:
            if code:
                resident = max((self._resident.get(pid, 0) for pid in self._gone), default=0)
                what = describe_end(code, resident, memory.available, memory.total)
                return f"a worker {what}"
        for pid, polls in self._gone.items():
            if polls >= GONE:
                return f"worker {pid} is gone, nobody knows why"
        return None


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def kill_workers() -> None:
    """End all processes below this one, at once."""
    children = psutil.Process().children(recursive=True)
    for child in children:
        with contextlib.suppress(psutil.Error):
            child.kill()
    psutil.wait_procs(children, timeout=PATIENCE)


@contextmanager
def stoppable(leave: Callable[[int], None]) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the job within seconds: workers first, then Beam.

    Args:
      leave: called with the exit code if Beam does not come to an end by itself.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        timer = threading.Timer(PATIENCE, leave, [128 + number])
        timer.daemon = True
        timer.start()
        kill_workers()
        raise KeyboardInterrupt

    before = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM be what Ctrl-C is; Beam's job server would take that for itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {each: signal.signal(each, signal.default_int_handler) for each in numbers}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def beat_for_ever() -> None:
    """Be a worker that the launcher can see: say so again and again, and end with the launcher."""
    launcher = os.getppid()
    directory = os.environ.get(HEARTBEATS)
    path = Path(directory) / str(os.getpid()) if directory else None

    def beat() -> None:
        last = 0.0
        while os.getppid() == launcher:
            if path is not None and time.monotonic() - last >= BEAT:
                try:
                    path.write_text(str(time.monotonic()))
                except OSError:
                    return  # the job is over
                last = time.monotonic()
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=beat, name="heartbeat", daemon=True).start()


def start_again() -> None:
    """Replace this process by the same command, started anew."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
