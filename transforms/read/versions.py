"""No worker gets to work that would write other bytes than the launcher."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import apache_beam as beam

from pagecast.dataset.versions import MORE, versions


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
