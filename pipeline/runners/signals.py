"""Ctrl-C and SIGTERM: the launcher answers them for all of its processes, whatever it is doing."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # not for those who only want --help
    from psutil import Process

STOPS = (signal.SIGINT, signal.SIGTERM)
PATIENCE = 5.0  # seconds that whatever is under way gets to stop by itself
INTERRUPTED = 130  # the exit code, whichever signal it was
_stopped = threading.Event()


def stopped() -> bool:
    """Tell whether this process was told to stop: what fails from then on is no fault."""
    return _stopped.is_set()


def forget() -> None:
    """Begin another command in this process, though an earlier one was stopped."""
    _stopped.clear()


@contextmanager
def stoppable(leave: Callable[[int], None], spared: Container[Process] = ()) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the job within seconds: workers first, then this process.

    Args:
      leave: called with the exit code if what is under way does not come to an end by itself.
      spared: processes below this one that are not the job's.
    """

    def stop(_: int, __: FrameType | None) -> None:
        if stopped():
            return  # it is under way
        _stopped.set()  # before a worker is killed, so that nobody takes it for an accident
        timer = threading.Timer(PATIENCE, leave, [INTERRUPTED])
        timer.daemon = True
        timer.start()
        kill_children(spared)
        raise KeyboardInterrupt

    with _handled_by(stop):
        yield


@contextmanager
def interruptible() -> Iterator[None]:
    """Let both raise `KeyboardInterrupt`, and no more; Beam's job server would take one itself."""

    def stop(_: int, __: FrameType | None) -> None:
        _stopped.set()
        raise KeyboardInterrupt

    with _handled_by(stop):
        yield


@contextmanager
def _handled_by(stop: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.signal(each, stop) for each in STOPS}
    try:
        yield
    finally:
        for each, handler in before.items():
            if signal.getsignal(each) is stop:
                signal.signal(each, handler)


@contextmanager
def held_back() -> Iterator[None]:
    """Start a process that no stop reaches until it says what it does with one (`be_deaf`).

    A terminal, `timeout` and batch systems send the signal to all processes at once; a worker that
    died of it in its first moments would be taken for one that was killed.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def be_deaf() -> None:
    """Leave stopping to the launcher, which kills this process."""
    for each in STOPS:
        signal.signal(each, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)


def children() -> list[Process]:
    """Return all processes below this one."""
    import psutil

    return psutil.Process().children(recursive=True)


def kill_children(spared: Container[Process] = ()) -> None:
    """End all processes below this one, at once, but for those to be spared."""
    import psutil

    ended = [child for child in children() if child not in spared]
    for child in ended:
        with contextlib.suppress(psutil.Error):
            child.kill()
    psutil.wait_procs(ended, timeout=PATIENCE)
