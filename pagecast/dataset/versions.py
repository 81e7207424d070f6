"""Versions of what has a hand in the bytes of a dataset."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any

from PIL import features

MORE = {"unicode", "harfbuzz", "icu"}  # what has a hand in pages with some options only
FORMER = {"uniseg", "fribidi"}  # what had one in pages that this version lays out otherwise
RUNNER = "beam"  # all of one job must have the same, but no byte depends on it


def versions(*more: str) -> dict[str, str | None]:
    """Return the versions that this process has, by name; with those of `MORE` that are named."""
    return {
        "pagecast": metadata.version("pagecast"),
        "beam": metadata.version("apache-beam"),
        "pillow": metadata.version("pillow"),
        "freetype": features.version("freetype2"),
        "raqm": features.version("raqm"),
        "zlib_ng": metadata.version("zlib-ng"),
        "tokenizers": metadata.version("tokenizers"),
        "pyarrow": metadata.version("pyarrow"),
        **{name: _one_more(name) for name in more},
    }


def _one_more(name: str) -> str | None:
    if name == "unicode":
        return unicodedata.unidata_version
    name = {"harfbuzz": "uharfbuzz", "icu": "PyICU-wheels"}.get(name, name)
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def more_versions(layout: str, line_break: str, fonts: int) -> tuple[str, ...]:
    """Return which of `MORE` have a hand in pages with these options and so many fonts.

    ICU finds where lines may end, and with HarfBuzz does all of the layout that is called after the
    latter; Python's data of characters tell the choice of a font what a character is.
    """
    is_shaped = layout == "harfbuzz"
    wanted = {
        "harfbuzz": is_shaped,
        "icu": is_shaped or line_break == "unicode",
        "unicode": fonts > 1,
    }
    return tuple(name for name in wanted if wanted[name])


def required_versions(
    layout: str, line_break: str = "spaces", fonts: int = 1
) -> dict[str, str | None]:
    """Return the versions without which a worker writes other bytes than this process would.

    Args:
      layout: with "basic", libraqm has no hand in a page, and many machines have none.
    """
    found = versions(*more_versions(layout, line_break, fonts))
    return {name: here for name, here in found.items() if name != "raqm" or layout == "raqm"}


def names_in_bytes(layout: str, line_break: str = "spaces", fonts: int = 1) -> set[str]:
    """Return the names of those without which other bytes would come of the same input."""
    return (required_versions(layout, line_break, fonts).keys() | FORMER) - {RUNNER}


def page_versions(made: Mapping[str, Any], layout: str) -> dict[str, str | None]:
    """Return this process's versions of what laid out a dataset's pages, by the manifest's names.

    Args:
      made: the versions of the dataset.
      layout: with "raqm" libraqm has a hand in pages too.
    """
    here: dict[str, Callable[[], str | None]] = {
        "pillow": lambda: metadata.version("pillow"),
        "freetype": lambda: features.version("freetype2"),
        "unicode": lambda: unicodedata.unidata_version,
        "harfbuzz": lambda: _one_more("harfbuzz"),
        "icu": lambda: _one_more("icu"),
        **dict.fromkeys(FORMER, lambda: None),
    }
    if layout == "raqm":
        here["raqm"] = lambda: features.version("raqm")
    return {name: ask() for name, ask in here.items() if name in made}
