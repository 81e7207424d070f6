"""Versions of what has a hand in the bytes of a dataset."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from functools import cache
from importlib import metadata
from typing import Any

from PIL import features

from pagecast.style.sheet import StyleSheet

MORE = {"unicode", "harfbuzz", "icu"}  # what has a hand in pages with some options only
FORMER = {"uniseg", "fribidi"}  # what had one in pages that this version lays out otherwise
RUNNER = "beam"  # all of one job must have the same, but no byte depends on it

version_of = cache(metadata.version)  # it reads a file, and a run asks three times


def versions(*more: str) -> dict[str, str | None]:
    """Return the versions that this process has, by name; with those of `MORE` that are named."""
    return {
        "pagecast": version_of("pagecast"),
        "beam": version_of("apache-beam"),
        "pillow": version_of("pillow"),
        "freetype": features.version("freetype2"),
        "raqm": features.version("raqm"),
        "zlib_ng": version_of("zlib-ng"),
        "tokenizers": version_of("tokenizers"),
        "pyarrow": version_of("pyarrow"),
        **{name: _one_more(name) for name in more},
    }


def _one_more(name: str) -> str | None:
    if name == "unicode":
        return unicodedata.unidata_version
    name = {"harfbuzz": "uharfbuzz", "icu": "PyICU-wheels"}.get(name, name)
    try:
        return version_of(name)
    except metadata.PackageNotFoundError:
        return None


def more_versions(sheet: StyleSheet) -> tuple[str, ...]:
    """Return which of `MORE` have a hand in pages of these styles.

    ICU finds where lines may end, and with HarfBuzz does all of the layout that is called after the
    latter; Python's data of characters tell the choice of a font what a character is.
    """
    is_shaped = "harfbuzz" in sheet.values_of("layout")
    wanted = {
        "harfbuzz": is_shaped,
        "icu": is_shaped or "unicode" in sheet.values_of("line_break"),
        "unicode": any(len(fonts) > 1 for fonts in sheet.values_of("fonts")),
    }
    return tuple(name for name in wanted if wanted[name])


def has_raqm(sheet: StyleSheet) -> bool:
    """Tell whether libraqm has a hand in a page of these styles; many machines have none."""
    return "raqm" in sheet.values_of("layout")


def required_versions(sheet: StyleSheet) -> dict[str, str | None]:
    """Return the versions without which a worker writes other bytes than this process would."""
    found = versions(*more_versions(sheet))
    return {name: here for name, here in found.items() if name != "raqm" or has_raqm(sheet)}


def names_in_bytes(sheet: StyleSheet) -> set[str]:
    """Return the names of those without which other bytes would come of the same input."""
    return (required_versions(sheet).keys() | FORMER) - {RUNNER}


def page_versions(made: Mapping[str, Any], sheet: StyleSheet) -> dict[str, str | None]:
    """Return this process's versions of what laid out a dataset's pages, by the manifest's names.

    Args:
      made: the versions of the dataset.
    """
    here: dict[str, Callable[[], str | None]] = {
        "pillow": lambda: version_of("pillow"),
        "freetype": lambda: features.version("freetype2"),
        "unicode": lambda: unicodedata.unidata_version,
        "harfbuzz": lambda: _one_more("harfbuzz"),
        "icu": lambda: _one_more("icu"),
        **dict.fromkeys(FORMER, lambda: None),
    }
    if has_raqm(sheet):
        here["raqm"] = lambda: features.version("raqm")
    return {name: ask() for name, ask in here.items() if name in made}
