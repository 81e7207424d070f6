"""The report's tables: what the manifest says, what was left out and why, and the distributions."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pagecast import storage
from pagecast.dataset.layout import ERRORS
from pagecast.dataset.manifest import sheet_of
from pagecast.modes import vision_tokens
from pagecast.style.entry import StyleEntry
from pagecast.style.sheet import StyleSheet
from pipeline.report.survey import Survey

MOST_REASONS = 20
DIGITS = re.compile(r"\d[\d,.]*")
QUANTILES = (("least", 0.0), ("5%", 0.05), ("median", 0.5), ("95%", 0.95), ("most", 1.0))


class Table(NamedTuple):
    """A table whose first column names the rows; the others are numbers."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[object]]


def job(manifest: Mapping[str, Any]) -> Table:
    """Return the job's numbers."""
    counts, split = manifest["counts"], manifest["split"]
    rows = [
        ("articles in", counts["rows_read"]),
        ("articles kept", counts["kept"]),
        ("articles dropped", sum(counts["dropped"].values())),
        ("articles failed", counts["failed"]),
        ("samples", counts["samples"]),
        ("pages stored", counts["pages"]),
        ("samples to train on", split["train"]["samples"]),
        ("samples in val", split["val"]["samples"]),
    ]
    return Table("The job", ["what", "how many"], rows)


def modes(manifest: Mapping[str, Any]) -> Table:
    """Return the vision modes; where shapes vary, what each shape costs."""
    sheet, tokens = sheet_of(manifest), manifest["options"]["context_tokens"]
    rows: list[tuple[object, ...]] = []
    for mode, of in manifest["vision_modes"].items():
        for width, height in sorted(sheet.page_sizes(of["px"])):
            side = of["px"] if width == height else f"{width} × {height}"
            cost = vision_tokens(width, height)
            ratio = "by sample" if sheet.is_paged else cost and f"{tokens / cost:.1f}"
            rows.append((mode, side, cost or "none", ratio or "none"))
    return Table(
        f"Vision modes, each page of {tokens:,} tokens"
        if not sheet.is_paged
        else f"Vision modes, {tokens:,} tokens on one or several pages",
        ["mode", "pixels a side", "vision tokens", "tokens for each of them"],
        rows,
    )


def left_out(manifest: Mapping[str, Any], errors: Counter[tuple[str, str]]) -> Table:
    """Return dropped and failed articles by reason."""
    rows: list[tuple[object, ...]] = [
        (f"dropped: {reason.replace('_', ' ')}", n)
        for reason, n in manifest["counts"]["dropped"].items()
    ]
    shown = errors.most_common(MOST_REASONS)
    rows += [(f"failed to {step}: {reason}", n) for (step, reason), n in shown]
    if rest := errors.total() - sum(n for _, n in shown):
        rows.append(("failed for other reasons", rest))
    return Table("Articles by reason", ["reason", "articles"], rows)


def error_reasons(output_dir: str) -> Counter[tuple[str, str]]:
    """Return how many articles failed by step and reason, where numbers count for nothing."""
    reasons: Counter[tuple[str, str]] = Counter()
    path = storage.private(output_dir, ERRORS)
    if storage.exists(path):
        with storage.open_read(path) as lines:
            for error in map(json.loads, lines):
                if error["kind"] == "article":
                    # So a million articles that fail alike are one row, and one entry in memory.
                    reasons[error["step"], DIGITS.sub("N", error["reason"][:100])] += 1
    # Ties by name, or the order of the file would decide.
    return Counter(dict(sorted(reasons.items())))


def split(manifest: Mapping[str, Any]) -> Table:
    """Return the sizes of the split."""
    rows = [(name, of["samples"], of["articles"]) for name, of in manifest["split"].items()]
    return Table("Sizes", ["split", "samples", "articles"], rows)


def styles(sheet: StyleSheet, samples: Mapping[str, int]) -> Table:
    """Return the styles, how likely each is, and how many of the samples looked at have it."""
    total = sum(entry.weight for entry in sheet.entries)
    rows = [
        (entry.name, f"{entry.weight / total:.1%}", samples.get(entry.name, 0), said(entry))
        for entry in sheet.entries
    ]
    return Table("Styles", ["style", "share", "samples looked at", "fields"], rows)


def said(entry: StyleEntry) -> str:
    """Return the fields of a style in one line, fonts apart."""
    fields = {name: value for name, value in entry.plain().items() if name != "fonts"}
    return ", ".join(f"{name}: {_said(value)}" for name, value in fields.items()) or "the default's"


def _said(value: Any) -> str:
    if isinstance(value, dict):
        if "from" in value:
            return f"{value['from']} to {value['to']}"
        return "/".join(map(str, value.values()))
    return " or ".join(map(_said, value)) if isinstance(value, list) else str(value)


def quantile(values: Counter[Any], share: float) -> Any:
    """Return the smallest value that at least `share` of all do not exceed."""
    wanted = share * values.total()
    for value in sorted(values):
        wanted -= values[value]
        if wanted <= 0:
            return value
    raise ValueError("there are no values")


def median(values: Counter[Any]) -> str:
    """Return the median in words."""
    middle = quantile(values, 0.5)
    return f"median {middle:,}" if isinstance(middle, int) else f"median {middle:.1f}"


def distribution(caption: str, by_name: Mapping[str, Counter[Any]]) -> Table:
    """Return quantiles and mean of values, a name a row."""
    rows = []
    for name, values in by_name.items():
        if values:
            mean = sum(value * n for value, n in values.items()) / values.total()
            found = (quantile(values, share) for _, share in QUANTILES)
            rows.append((name, *found, round(mean, 2)))
    return Table(caption, ["", *(name for name, _ in QUANTILES), "mean"], rows)


def cut(survey: Survey) -> Table:
    """Return how many pages do not show all of their text."""

    def share(part: int) -> str:
        return f"{100 * part / survey.samples:.2f}%"

    rows = [
        (mode, of.truncated, share(of.truncated), of.clipped, share(of.clipped))
        for mode, of in survey.by_mode.items()
    ]
    return Table("Pages that lack text", ["mode", "truncated", "", "with clipped lines", ""], rows)
