"""What serves paths that are not on a file system; imported only where there is such a path."""

from __future__ import annotations

from concurrent.futures import Future
from functools import cache
from typing import Any


def serving(path: str) -> Any:
    """Return the module that serves a path."""
    if path.startswith("hf://") and (hub := _hub()):
        return hub
    from pagecast.storage.stores import objects

    return objects


@cache
def _hub() -> Any:
    """Return what reads the hub well, or None: with older huggingface_hub its own file system."""
    try:
        from pagecast.storage.stores import hub
    except ImportError:
        return None
    return hub


def begin(work: str, path: str, *arguments: Any) -> Future[Any]:
    """Begin what is called `work` with an object of a store, e.g. "content" or "range"."""
    return serving(path).begin(path, work, *arguments)
