"""Starts the local workers: one process imports Beam, loads the tokenizer, and forks into them.

A worker that started cold would take longer for both than for the pages of a small job, and memory
of its own for each. This process has no thread and no connection, so that nothing is shared but
what is only read. `python -m pipeline.runners.worker --forks` is its other side.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn

from pipeline.options import LOCAL_RUNNER, RunOptions
from pipeline.runners import signals
from pipeline.runners.environment import WORKER_ENVIRONMENT

# -P: nothing from the working directory.
COMMAND = (sys.executable, "-P", "-m", "pipeline.runners.worker", "--forks")
BEATS = "PAGECAST_BEATS"  # environment: the pipe through which a worker says that it lives
REAPS = 0.1  # seconds between two looks for workers that have ended
FORKS_KEEP = sys.platform == "linux"  # elsewhere the system's own libraries may not live through it
_MESSAGE = 1 << 16


class ForkedWorker:
    """A worker process, with what `subprocess.Popen` has of it that is needed here."""

    def __init__(self, pid: int, ended: int, server: subprocess.Popen[bytes]) -> None:
        self.pid = pid
        self._ended, self._server = ended, server
        self._code: int | None = None
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """Return its exit code, or minus the signal's number; None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Raises:
          subprocess.TimeoutExpired: it runs still after so many seconds.
        """
        with self._lock:
            if self._code is None:
                if not select.select([self._ended], [], [], timeout)[0]:
                    raise subprocess.TimeoutExpired(COMMAND, timeout or 0)
                # Who would say it may be gone itself; then this worker ends too.
                told = os.read(self._ended, _MESSAGE)
                self._code = int(told) if told else self._server.wait() or -signal.SIGKILL
                os.close(self._ended)
            return self._code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """The process that workers are forks of. It ends with this one, and they with it."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        self._lock = threading.Lock()
        with theirs, signals.held_back():
            self._process = subprocess.Popen(
                [*COMMAND, str(theirs.fileno())],
                env={**WORKER_ENVIRONMENT, **os.environ},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def load(self, modules: Iterable[str], tokenizer: str | None, quick: bool) -> None:
        """Let it load what workers will need, now rather than each of them later."""
        with self._lock, contextlib.suppress(OSError):  # it is gone, as `start` will say
            self._socket.sendall(_line({"load": [list(modules), tokenizer, quick]}))

    def start(self, environment: Mapping[str, str], beats: int) -> ForkedWorker:
        """Start a worker with these environment variables.

        Args:
          beats: the end of a pipe, which it gets as `BEATS` says.

        Raises:
          OSError: there is no memory for it, or the server has ended.
        """
        ended, write = os.pipe()
        try:
            with self._lock:
                socket.send_fds(self._socket, [b"\n"], [beats, write])
                self._socket.sendall(_line({"fork": dict(environment)}))
                answer = self._socket.recv(_MESSAGE)
        except OSError:
            answer = b""
        finally:
            os.close(write)
        if not answer:
            os.close(ended)
            raise OSError(f"the process that starts workers ended with code {self._process.wait()}")
        if "error" in (told := json.loads(answer)):
            os.close(ended)
            raise OSError(f"no worker can be started: {told['error']}")
        return ForkedWorker(told["pid"], ended, self._process)

    def close(self) -> None:
        """End it; workers have ended by themselves, or do now."""
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def fork_server(options: RunOptions) -> Iterator[ForkServer | None]:
    """Begin a server where a run will have workers here."""
    if options.runner != LOCAL_RUNNER or options.workers == 1:
        yield None
        return
    with ForkServer() as server:
        yield server


def _line(request: dict[str, Any]) -> bytes:
    return json.dumps(request).encode() + b"\n"


def serve(number: int, prepare: Callable[[], None], work: Callable[[int], object]) -> NoReturn:
    """Be that process, until the one that started it closes its side or ends.

    Args:
      number: of the socket that requests come by.
      prepare: loads what all workers need.
      work: what a worker does, given the id of this process.
    """
    signals.be_deaf()
    requests = socket.socket(fileno=number)
    requests.set_inheritable(False)
    if FORKS_KEEP:
        prepare()
    buffer, passed, running = b"", list[int](), dict[int, int]()
    while True:
        if select.select([requests], [], [], REAPS if running else None)[0]:
            piece, files, _, _ = socket.recv_fds(requests, _MESSAGE, 2)
            if not piece:
                os._exit(0)  # with the interpreter's own end threads of libraries would be ended
            *lines, buffer = (buffer + piece).split(b"\n")
            passed += files
            for request in map(json.loads, filter(None, lines)):
                if "load" in request:
                    _load(*request["load"])
                    continue
                beats, ended = passed
                passed = []
                kept = [requests.fileno(), ended, *running.values()]  # not a worker's
                try:
                    pid = _fork(request["fork"], beats, kept, work)
                except OSError as error:
                    os.close(ended)
                    answer: dict[str, object] = {"error": str(error)}
                else:
                    running[pid] = ended
                    answer = {"pid": pid}
                os.close(beats)
                requests.sendall(_line(answer))
        for pid in list(running):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                ended = running.pop(pid)
                with contextlib.suppress(OSError):  # nobody wants to know any more
                    os.write(ended, str(os.waitstatus_to_exitcode(status)).encode())
                os.close(ended)


def _load(modules: Iterable[str], tokenizer: str | None, quick: bool) -> None:
    """Import modules and load a tokenizer; what fails here fails in a worker again, and is told."""
    if not FORKS_KEEP:
        return
    with contextlib.suppress(Exception):
        for name in modules:
            importlib.import_module(name)
        if tokenizer is not None:
            from pagecast.tokens.tokenizer import load_tokenizer

            load_tokenizer(tokenizer, quick)


def _fork(
    environment: Mapping[str, str], beats: int, kept: Iterable[int], work: Callable[[int], object]
) -> int:
    """Start a worker, which closes the files that are kept here, and return its process id."""
    gc.freeze()  # a collection would write to every object, and so copy it
    server = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        gc.unfreeze()
        for file in kept:
            os.close(file)
        os.environ.clear()
        os.environ.update({**environment, BEATS: str(beats)})
        work(server)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)
