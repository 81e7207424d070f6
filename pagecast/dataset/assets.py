"""Reading the tokenizer and the fonts of a job: each is named by the hash of its content."""

from __future__ import annotations

import hashlib
import threading
from typing import NamedTuple

from pagecast import storage
from pagecast.dataset.layout import FILES
from pagecast.modes import VisionMode
from pagecast.render import PageRenderer
from pagecast.style import PageStyle


class DamagedAssetError(OSError):
    """An asset is not what its name says; pages or tokens made with it would be wrong."""


def read_asset(path: str) -> bytes:
    """Return the content of an asset, `{SHA-256}.json` or `{SHA-256}.ttf`.

    Raises:
      DamagedAssetError: it has another hash than its name.
      OSError: it cannot be read.
    """
    content = storage.read_bytes(path)
    if hashlib.sha256(content).hexdigest() != path.rsplit("/", 1)[-1].split(".", maxsplit=1)[0]:
        raise DamagedAssetError(
            f"{path} is damaged: its SHA-256 is not its name; the same `run` command writes it "
            "again, and `pagecast verify --redraw` finds pages that were drawn with it"
        )
    return content


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
        fonts = tuple(read_asset(path) for path in font_paths)
        _loaded.renderer = PageRenderer(PageStyle(fonts, layout, line_break))
        _loaded.key = key
    return _loaded.renderer
