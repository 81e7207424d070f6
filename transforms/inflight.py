"""Several requests to a store under way at once: one alone is mostly waiting for its answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TypeVar

from transforms import storage

REQUESTS = 16  # under way at once, of one process
AHEAD = 4 * REQUESTS  # begun or waiting to begin: so many contents are held in memory

T = TypeVar("T")
R = TypeVar("R")


def in_order(
    pool: Executor, work: Callable[[T], R], items: Iterable[T], ahead: int = AHEAD
) -> Iterator[R]:
    """Yield the results in order, with at most `ahead` items at work: results may be large."""
    running: deque[Future[R]] = deque()
    for item in items:
        running.append(pool.submit(work, item))
        if len(running) >= ahead:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()


class Uploads:
    """Writes files whose bytes are fixed: in a store behind the caller's back, on a disk at once.

    A store's refusal comes out of a later `write`, or of `wait`.
    """

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._running: deque[Future[None]] = deque()

    def write(self, path: str, content: bytes) -> None:
        """Write a file, or begin to."""
        if storage.is_local(path):
            storage.write_in_place(path, content)
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(REQUESTS, "upload")
        if len(self._running) >= AHEAD:
            self._running.popleft().result()
        self._running.append(self._pool.submit(storage.write_in_place, path, content))

    def wait(self) -> None:
        """Return when all is written."""
        while self._running:
            self._running.popleft().result()
        self.abandon()

    def abandon(self) -> None:
        """Begin no more, and return when nothing is being written."""
        self._running.clear()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
