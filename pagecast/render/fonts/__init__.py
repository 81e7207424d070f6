"""The font that ships with Pagecast: DejaVu Sans 2.37."""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def default_font() -> bytes:
    """Return the bytes of DejaVuSans.ttf (759,720 of them)."""
    return resources.files(__name__).joinpath("DejaVuSans.ttf").read_bytes()
