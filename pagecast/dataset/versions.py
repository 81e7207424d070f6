"""Versions of what has a hand in the bytes of a dataset: all workers must have the launcher's."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any

import apache_beam as beam
from PIL import features

MORE = {"uniseg", "unicode", "fribidi"}  # what has a hand in pages with some options only
RUNNER = "beam"  # all of one job must have the same, but no byte depends on it


def versions(*more: str) -> dict[str, str | None]:
    """Return the versions that this process has, by name; with those of `MORE` that are named."""
    return {
        "pagecast": metadata.version("pagecast"),
        "beam": beam.__version__,
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
    if name == "fribidi":
        return features.version(name)
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def also_deciding(layout: str, line_break: str, fonts: int) -> tuple[str, ...]:
    """Return which of `MORE` have a hand in pages with these options and so many fonts.

    uniseg finds where lines may end; Python's data of characters tell it and the choice of a font
    what a character is; FriBidi orders the runs of several fonts.
    """
    wanted = {
        "uniseg": line_break == "unicode",
        "unicode": line_break == "unicode" or fonts > 1,
        "fribidi": layout == "raqm" and fonts > 1,
    }
    return tuple(name for name in wanted if wanted[name])


def deciding(layout: str, line_break: str = "spaces", fonts: int = 1) -> dict[str, str | None]:
    """Return the versions without which a worker writes other bytes than this process would.

    Args:
      layout: with "basic", libraqm has no hand in a page, and many machines have none.
    """
    found = versions(*also_deciding(layout, line_break, fonts))
    return {name: here for name, here in found.items() if name != "raqm" or layout == "raqm"}


def names_in_bytes(layout: str, line_break: str = "spaces", fonts: int = 1) -> set[str]:
    """Return the names of `deciding` without which other bytes would come of the same input."""
    return deciding(layout, line_break, fonts).keys() - {RUNNER}


class VersionsDifferError(Exception):
    """A worker has other versions than the launcher: its samples or pages could be others."""


class SameVersions(beam.DoFn):
    """Pass elements on, on workers that have these versions; no other worker gets to work."""

    def __init__(self, launcher: Mapping[str, str | None]) -> None:
        self._launcher = dict(launcher)

    def setup(self) -> None:
        """Compare the versions.

        Raises:
          VersionsDifferError: they differ; the text names each.
        """
        here = versions(*sorted(MORE & self._launcher.keys()))
        other = [
            f"{name} {here.get(name)} instead of {version}"
            for name, version in self._launcher.items()
            if here.get(name) != version
        ]
        if other:
            raise VersionsDifferError(
                f"a worker has {', '.join(other)}: install there what the launcher has, so that "
                "all write the same bytes"
            )

    def process(self, element: Any) -> Iterator[Any]:
        """Yield the element."""
        yield element
