"""Panics of libraries in Rust as ordinary exceptions."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def without_panics(call: Callable[P, R]) -> Callable[P, R]:
    """Make an ordinary exception of a panic in Rust, which `except Exception` would let pass."""

    @wraps(call)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return call(*args, **kwargs)
        except BaseException as error:
            if type(error).__name__ != "PanicException":  # its class has no public name
                raise
            raise RuntimeError(f"the library panicked: {error}") from error

    return guarded
