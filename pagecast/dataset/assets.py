"""Reading the tokenizer and the fonts of a job: each is named by the hash of its content."""

from __future__ import annotations

import hashlib
import threading
from typing import NamedTuple

from pagecast import storage
from pagecast.dataset.layout import FILES, asset_path
from pagecast.modes import VisionMode
from pagecast.style.drawing import SheetRenderer
from pagecast.style.sheet import StyleSheet


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
    """How pages look and how they are stored.

    form: "files", "shards" or "none". sheet: their styles; fonts are by SHA-256, among the job's
    assets.
    """

    modes: tuple[VisionMode, ...]
    png_level: int
    form: str = FILES
    sheet: StyleSheet = StyleSheet()


_loaded = threading.local()


def load_renderer(output_dir: str, sheet: StyleSheet) -> SheetRenderer:
    """Make a renderer with the fonts among the job's assets, once a thread: runners use several."""
    key = output_dir, sheet
    if getattr(_loaded, "key", None) != key:
        _loaded.renderer = SheetRenderer(sheet, read_fonts(output_dir, sheet))
        _loaded.key = key
    return _loaded.renderer


def read_fonts(output_dir: str, sheet: StyleSheet) -> dict[str, bytes]:
    """Return the contents of a sheet's fonts by their SHA-256, each read once.

    Raises:
      DamagedAssetError, OSError: as `read_asset`.
    """
    return {name: read_asset(asset_path(output_dir, name, ".ttf")) for name in sheet.fonts}
