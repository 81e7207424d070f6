"""The names of files below an output directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SAMPLES = "samples.jsonl"  # every sample, in input order
FILTERED = "filtered.jsonl"  # every kept article with its tokens, in input order
MANIFEST = "split_manifest.json"
REPORT = "report.html"  # what there is to see of all that
# Private, below `_pagecast`:
CONFIG = "config.json"  # what decides the bytes of samples and pages
OPTIONS = "options.yaml"  # what the latest run was asked to do
PLAN = "plan.jsonl"  # the shards and the files that cannot be used, in input order
SPLIT = "split.json"  # what decided the split that the latest run began to write
ERRORS = "errors.jsonl"  # input and articles that failed
TRACE = "failure.log"  # why the latest run stopped
FILTERED_WHOLE = "filtered.json"  # size and hash of filtered.jsonl
EMPTYING = "emptying"  # in the configuration: of what else is there nothing is this job's
ASSETS = "assets"  # tokenizer and fonts, under their SHA-256


def fonts_record(fonts: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Return what a configuration and a manifest say of a job's fonts: `font`, or `fonts`."""
    return {"font": fonts[0]} if len(fonts) == 1 else {"fonts": list(fonts)}


def fonts_of(record: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the fonts that a configuration or a manifest names, in their order."""
    return list(record["fonts"]) if "fonts" in record else [record["font"]]
