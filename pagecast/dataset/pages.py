"""How the pages of a dataset look and how they are stored."""

from __future__ import annotations

import threading
from typing import NamedTuple

from pagecast.dataset.assets import read_asset
from pagecast.dataset.layout import FILES
from pagecast.modes import VisionMode
from pagecast.render import PageRenderer


class PageSettings(NamedTuple):
    """How pages look and how they are stored: `form` is "files", "shards" or "none"."""

    modes: tuple[VisionMode, ...]
    layout: str
    png_level: int
    form: str = FILES
    line_break: str = "spaces"


_loaded = threading.local()


def load_renderer(
    font_paths: tuple[str, ...], layout: str, line_break: str = "spaces"
) -> PageRenderer:
    """Make a renderer with the fonts among the job's assets, once a thread: runners use several."""
    key = font_paths, layout, line_break
    if getattr(_loaded, "key", None) != key:
        fonts = [read_asset(path) for path in font_paths]
        _loaded.renderer = PageRenderer(fonts, layout, line_break)
        _loaded.key = key
    return _loaded.renderer
