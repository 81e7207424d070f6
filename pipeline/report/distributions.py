"""The section of distributions: a chart and a table of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pipeline.report.figures import (
    LINEAR,
    LOG,
    WHOLE,
    Bars,
    doubling_edges,
    even_edges,
    groups_figure,
    histogram,
    rows_figure,
)
from pipeline.report.markup import paragraph, section, text
from pipeline.report.numbers import cut_table, distribution_table, quantile
from pipeline.report.survey import Survey

Inks = Mapping[str, Counter[float]]
MISSING_GROUPS = (("0", 0), ("1", 1), ("2–3", 3), ("4–7", 7), ("8–31", 31), ("32+", None))


def distributions(survey: Survey, inks: Inks, whereof: str) -> str:
    """Return the section of distributions.

    Args:
      inks: for each mode how many pages have so much ink, in percent.
      whereof: in words, which samples were looked at.
    """
    modes = survey.by_mode
    inked = max((values.total() for values in inks.values()), default=0)
    return section(
        "distributions",
        "Distributions",
        paragraph(f"Looked at: {whereof}."),
        '<div class="charts">',
        _tokens(survey.article_tokens),
        _by_mode("Font size", "pixels", {m: of.font_sizes for m, of in modes.items()}),
        _by_mode("Lines", "lines of the whole text", {m: of.lines for m, of in modes.items()}),
        _cut(survey),
        _by_mode(f"Ink of {inked:,} samples", "% of a page", inks, whole=False),
        _missing({m: of.missing for m, of in modes.items()}),
        "</div>",
    )


def _figure(title: str, chart: str, table: str) -> str:
    return (
        f"<figure><figcaption><h3>{text(title)}</h3></figcaption>{chart}"
        f"<details><summary>As a table</summary>{table}</details></figure>"
    )


def _note(values: Counter[Any]) -> str:
    median = quantile(values, 0.5)
    return f"median {median:,}" if isinstance(median, int) else f"median {median:.1f}"


def _tokens(values: Counter[int]) -> str:
    if not values:
        return ""
    bars = histogram(values, doubling_edges(values, steps=4), _note(values))
    chart = rows_figure("tokens", {"articles": bars}, "tokens of a kept article", scale=LOG)
    return _figure("Length", chart, distribution_table("Tokens", {"articles": values}))


def _by_mode(title: str, unit: str, by_mode: Mapping[str, Counter[Any]], whole: bool = True) -> str:
    together: Counter[Any] = Counter()
    for values in by_mode.values():
        together.update(values)
    if not together:
        return ""
    edges = even_edges(together, whole)
    rows: dict[str, Bars] = {
        mode: histogram(values, edges, _note(values)) for mode, values in by_mode.items() if values
    }
    name = title.partition(" ")[0].lower()
    chart = rows_figure(name, rows, unit, WHOLE if whole else LINEAR)
    return _figure(title, chart, distribution_table(title, by_mode))


def _cut(survey: Survey) -> str:
    if not survey.samples:
        return ""
    rows = {
        mode: {
            "whole": 100 * (survey.samples - of.truncated) / survey.samples,
            "truncated": 100 * of.truncated / survey.samples,
            "with clipped lines": 100 * of.clipped / survey.samples,
        }
        for mode, of in survey.by_mode.items()
    }
    chart = groups_figure("truncation", rows, "% of pages; a page may be truncated and clipped")
    return _figure("Truncation", chart, cut_table(survey))


def _missing(by_mode: Mapping[str, Counter[int]]) -> str:
    rows = {mode: grouped(values) for mode, values in by_mode.items() if values}
    if not rows:
        return ""
    chart = groups_figure("missing", rows, "characters without a glyph on a page, % of pages")
    return _figure("Missing glyphs", chart, distribution_table("Missing glyphs", by_mode))


def grouped(values: Counter[int]) -> dict[str, float]:
    """Return the share of pages, in percent, in each group of counts of missing glyphs."""
    shares, total = dict.fromkeys((name for name, _ in MISSING_GROUPS), 0.0), values.total()
    for value, n in values.items():
        name = next(name for name, most in MISSING_GROUPS if most is None or value <= most)
        shares[name] += 100 * n / total
    return shares
