"""What a job's configuration and its manifest say alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

EMPTYING = "emptying"  # in the configuration: of what else is there nothing is this job's


def fonts_record(fonts: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Return what a configuration and a manifest say of a job's fonts: `font`, or `fonts`."""
    return {"font": fonts[0]} if len(fonts) == 1 else {"fonts": list(fonts)}


def fonts_of(record: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the fonts that a configuration or a manifest names, in their order."""
    return list(record["fonts"]) if "fonts" in record else [record["font"]]
