"""The report's tables: what the manifest says, what was left out and why, and the distributions."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from pipeline.report.markup import paragraph, section, table
from pipeline.report.survey import Survey
from transforms import storage
from transforms.outputs import ERRORS

MOST_REASONS = 20
DIGITS = re.compile(r"\d[\d,.]*")
QUANTILES = (("least", 0.0), ("5%", 0.05), ("median", 0.5), ("95%", 0.95), ("most", 1.0))


def overview(manifest: Mapping[str, Any]) -> str:
    """Return the section of the job's numbers."""
    counts, options, split = manifest["counts"], manifest["options"], manifest["split"]
    modes = manifest["vision_modes"]
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
    sizes = [
        (mode, of["px"], of["vision_tokens"] or "none", str(of["ratio"] or "none"))
        for mode, of in modes.items()
    ]
    context = options["context_tokens"]
    return section(
        "numbers",
        "Numbers",
        '<div class="tables">',
        table("The job", ["what", "how many"], rows),
        table(
            f"Vision modes, each page of {context:,} tokens",
            ["mode", "pixels a side", "vision tokens", "tokens for each of them"],
            sizes,
        ),
        "</div>",
    )


def left_out(manifest: Mapping[str, Any], errors: Counter[tuple[str, str]]) -> str:
    """Return the section of dropped and failed articles by reason."""
    counts = manifest["counts"]
    rows: list[tuple[object, ...]] = [
        (f"dropped: {reason.replace('_', ' ')}", n) for reason, n in counts["dropped"].items()
    ]
    shown = errors.most_common(MOST_REASONS)
    rows += [(f"failed to {step}: {reason}", n) for (step, reason), n in shown]
    if rest := errors.total() - sum(n for _, n in shown):
        rows.append(("failed for other reasons", rest))
    read, kept, failed = counts["rows_read"], counts["kept"], counts["failed"]
    dropped = sum(counts["dropped"].values())
    return section(
        "drops",
        "Left out",
        table("Articles by reason", ["reason", "articles"], rows)
        if rows
        else paragraph("No article was dropped, and none failed."),
        paragraph(
            f"{read:,} read = {kept:,} kept + {dropped:,} dropped + {failed:,} failed: "
            + ("the account balances." if read == kept + dropped + failed else "IT DOES NOT ADD UP")
        ),
    )


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


def split_section(manifest: Mapping[str, Any]) -> str:
    """Return the section of the split: its sizes, and the proof that no article is in both."""
    options, split, proof = manifest["options"], manifest["split"], manifest["disjoint"]
    rows = [(name, of["samples"], of["articles"]) for name, of in split.items()]
    apart = proof["sum"] == proof["articles_in_either"]
    return section(
        "split",
        "Split",
        table("Sizes", ["split", "samples", "articles"], rows),
        paragraph(
            f"Asked for: {options['max_samples']:,} samples, {options['val_size']:,} of them in "
            f"val; seed {options['seed']}. An article on a border counts where it begins."
        ),
        paragraph(
            f"{'✓ Disjoint' if apart else '✗ NOT DISJOINT'}: {proof['val_articles']:,} (articles "
            f"in val) + {proof['train_articles']:,} (in train) = {proof['sum']:,}; different "
            f"articles in either: {proof['articles_in_either']:,}."
        ),
    )


def quantile(values: Counter[Any], share: float) -> Any:
    """Return the smallest value that at least `share` of all do not exceed."""
    wanted = share * values.total()
    for value in sorted(values):
        wanted -= values[value]
        if wanted <= 0:
            return value
    raise ValueError("there are no values")


def distribution_row(name: str, values: Counter[Any]) -> tuple[object, ...]:
    """Return a table's row: the quantiles and the mean of values."""
    mean = sum(value * n for value, n in values.items()) / values.total()
    return (name, *(quantile(values, share) for _, share in QUANTILES), round(mean, 2))


def distribution_table(caption: str, by_name: Mapping[str, Counter[Any]]) -> str:
    """Return a table of distributions, one a row."""
    head = ["", *(name for name, _ in QUANTILES), "mean"]
    rows = [distribution_row(name, values) for name, values in by_name.items() if values]
    return table(caption, head, rows)


def cut_table(survey: Survey) -> str:
    """Return a table of the pages that do not show all of their text."""
    rows = [
        (mode, of.truncated, share(of.truncated, survey.samples),
         of.clipped, share(of.clipped, survey.samples))
        for mode, of in survey.by_mode.items()
    ]  # fmt: skip
    return table("Pages that lack text", ["mode", "truncated", "", "with clipped lines", ""], rows)


def share(part: int, whole: int) -> str:
    """Return a share as a percentage."""
    return f"{100 * part / whole:.2f}%" if whole else "0%"
