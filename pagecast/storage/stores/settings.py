"""Beam's options for stores, where Beam is there: a training loader has none."""

from __future__ import annotations

import sys
from typing import Any


def beam_options() -> Any:
    """Return Beam's options; none where Beam was never imported, as by a training loader."""
    beam = sys.modules.get("apache_beam.io.filesystems")
    return beam and beam.FileSystems._pipeline_options


def options_of(kind: str) -> Any:
    """Return the options of one of Beam's classes, e.g. "S3Options", or None."""
    if not (given := beam_options()):
        return None
    from apache_beam.options import pipeline_options

    return given.view_as(getattr(pipeline_options, kind))
