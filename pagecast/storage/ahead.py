"""Requests to a store under way while earlier ones are waited for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import TypeVar

AHEAD = 64  # begun or waiting to begin in a store: so many contents are held in memory


T = TypeVar("T")


R = TypeVar("R")


def in_order(
    begin: Callable[[T], Future[R]], items: Iterable[T], ahead: int = AHEAD
) -> Iterator[R]:
    """Yield what is begun for each item, in order, at most `ahead` at a time: it may be large."""
    running: deque[Future[R]] = deque()
    try:
        for item in items:
            running.append(begin(item))
            if len(running) >= ahead:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        for each in running:
            each.cancel()
