"""Versions of what lays out pages, found without Beam: for readers and for verification."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any

from PIL import features


def page_versions(made: Mapping[str, Any], layout: str) -> dict[str, str | None]:
    """Return this process's versions of what laid out a dataset's pages, by the manifest's names.

    Args:
      made: the versions of the dataset.
      layout: with "raqm" libraqm has a hand in pages too.
    """
    here: dict[str, Callable[[], str | None]] = {
        "pillow": lambda: metadata.version("pillow"),
        "freetype": lambda: features.version("freetype2"),
        "uniseg": lambda: metadata.version("uniseg"),
        "unicode": lambda: unicodedata.unidata_version,
        "fribidi": lambda: features.version("fribidi"),
    }
    if layout == "raqm":
        here["raqm"] = lambda: features.version("raqm")
    return {name: ask() for name, ask in here.items() if name in made}
