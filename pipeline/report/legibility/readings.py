"""How legible pages are, by style and mode, beside how much a page compresses its text."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from PIL import Image

from pagecast.modes import vision_tokens
from pipeline.report.legibility.ocr import Read, error_rate
from pipeline.report.tables import Table, quantile

Sample = dict[str, Any]


class Reading(NamedTuple):
    """What came of reading the pages of a sample at one mode.

    vision_tokens: of all its pages; None where the encoder takes no such page. error_rate: from 0,
    characters to change for each one of the context.
    """

    style: str
    mode: str
    sample: str
    font_size: int
    pages: int
    context_tokens: int
    vision_tokens: int | None
    error_rate: float


class Legibility(NamedTuple):
    """What came of reading the pages of one style at one mode.

    pages: of all samples together. ratio: of all their context tokens to all their vision tokens.
    """

    style: str
    mode: str
    samples: int
    pages: int
    font_size: int
    ratio: float | None
    least: float
    median: float
    most: float
    mean: float


def read_samples(
    chosen: Mapping[str, Iterable[bytes]],
    modes: Sequence[str],
    images: Callable[[Sample, str], Sequence[Image.Image]],
    read: Read,
) -> Iterator[Reading]:
    """Yield what comes of reading samples at each mode.

    Args:
      chosen: lines of samples, by style. images: gives a sample's pages of a mode, in order.
    """
    for style, lines in chosen.items():
        for sample in map(json.loads, lines):
            for mode in modes:
                pages = images(sample, mode)
                yield Reading(
                    style=style,
                    mode=mode,
                    sample=sample["id"],
                    font_size=sample["font_metadata"][mode]["font_size"],
                    pages=len(pages),
                    context_tokens=len(sample["context_tokens"]),
                    vision_tokens=_cost(pages),
                    # A page ends between two words, as a line does.
                    error_rate=error_rate("\n".join(map(read, pages)), sample["context_text"]),
                )


def _cost(pages: Sequence[Image.Image]) -> int | None:
    tokens = [vision_tokens(*page.size) for page in pages]
    return None if None in tokens else sum(filter(None, tokens))


def summary(readings: Iterable[Reading]) -> list[Legibility]:
    """Return readings together, by style and mode, in the order in which these first come."""
    found: dict[tuple[str, str], list[Reading]] = {}
    for reading in readings:
        found.setdefault((reading.style, reading.mode), []).append(reading)
    return [_together(style, mode, of) for (style, mode), of in found.items()]


def _together(style: str, mode: str, of: Sequence[Reading]) -> Legibility:
    rates = sorted(reading.error_rate for reading in of)
    costs = [reading.vision_tokens for reading in of if reading.vision_tokens is not None]
    context = sum(reading.context_tokens for reading in of)
    return Legibility(
        style,
        mode,
        samples=len(of),
        pages=sum(reading.pages for reading in of),
        font_size=quantile(Counter(reading.font_size for reading in of), 0.5),
        ratio=context / sum(costs) if len(costs) == len(of) else None,
        least=rates[0],
        median=statistics.median(rates),
        most=rates[-1],
        mean=statistics.mean(rates),
    )


def table(found: Iterable[Legibility]) -> Table:
    """Return what came of reading pages."""
    head = ["style, mode", "samples", "pages", "font size, median", "ratio", "error rate, least"]
    return Table("Character error rate", [*head, "median", "most", "mean"], list(map(_row, found)))


def _row(of: Legibility) -> tuple[object, ...]:
    ratio = "none" if of.ratio is None else f"{of.ratio:.1f}"
    rates = (f"{100 * rate:.1f}%" for rate in (of.least, of.median, of.most, of.mean))
    return (f"{of.style}, {of.mode}", of.samples, of.pages, f"{of.font_size} px", ratio, *rates)


def as_csv(readings: Iterable[Reading]) -> str:
    """Return readings as a table for other programs, a line each, below one of the names."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(Reading._fields)
    for reading in readings:
        writer.writerow(reading._replace(error_rate=round(reading.error_rate, 5)))
    return file.getvalue()
