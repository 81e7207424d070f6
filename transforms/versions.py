"""Versions of what has a hand in the bytes of a dataset: all workers must have the launcher's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any

import apache_beam as beam
from PIL import features


def versions() -> dict[str, str | None]:
    """Return the versions that this process has, by name."""
    return {
        "pagecast": metadata.version("pagecast"),
        "beam": beam.__version__,
        "pillow": metadata.version("pillow"),
        "freetype": features.version("freetype2"),
        "raqm": features.version("raqm"),
        "zlib_ng": metadata.version("zlib-ng"),
        "tokenizers": metadata.version("tokenizers"),
        "pyarrow": metadata.version("pyarrow"),
    }


def deciding(layout: str) -> dict[str, str | None]:
    """Return the versions without which a worker writes other bytes than this process would.

    Args:
      layout: with "basic", libraqm has no hand in a page, and many machines have none.
    """
    return {name: found for name, found in versions().items() if name != "raqm" or layout == "raqm"}


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
        here = versions()
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
