"""Local processes for work that needs no Beam, with a progress bar for a person at a terminal."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TYPE_CHECKING, TypeVar

from rich.progress import MofNCompleteColumn, TimeRemainingColumn

from pagecast.storage.ahead import in_order
from pipeline.progress import logs
from pipeline.progress.terminal import at_bottom, bar

if TYPE_CHECKING:
    from pagecast.verify.check import Each

T = TypeVar("T")
R = TypeVar("R")


def _configure(store_args: Sequence[str]) -> None:
    # A terminal sends Ctrl-C to every process; the launcher ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logs.begin()  # before Beam is imported, if it is
    from pipeline.launch import stores

    stores.use((), store_args)


@contextmanager
def workers(count: int, store_args: Sequence[str] = ()) -> Iterator[Each]:
    """Give a function that maps over items in processes, in order, with a progress bar.

    Args:
      store_args: Beam's options for the store that the items are in.
    """
    shown = bar(MofNCompleteColumn(), TimeRemainingColumn())
    # Spawned, not forked: Arrow and Beam have threads, which a forked process would lack.
    pool = None
    if count > 1:
        spawn = get_context("spawn")
        pool = ProcessPoolExecutor(count, spawn, _configure, (tuple(store_args),))

    def each(name: str, work: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
        task = shown.add_task(name, total=len(items))

        def begin(item: T) -> Future[R]:
            assert pool is not None
            return pool.submit(work, item)

        for result in map(work, items) if pool is None else in_order(begin, items, 4 * count):
            shown.advance(task)
            yield result

    try:
        with at_bottom(shown):
            yield each
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)
