"""How far the work of this process is, for whoever watches that it gets on."""

from __future__ import annotations

beats = 0  # goes up with each article, page and piece of a file
at = ""  # what was begun last


def beat(doing: str = "") -> None:
    """Say that something was done, and what is begun now if that is worth a name."""
    global beats, at  # noqa: PLW0603
    beats += 1
    at = doing or at
