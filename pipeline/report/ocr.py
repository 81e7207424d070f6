"""How legible pages are to a plain reader: Tesseract's character error rate, mode by mode."""

from __future__ import annotations

import json
import os
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from PIL import Image

from pipeline.report.tables import Table, quantile

Sample = dict[str, Any]
READ_AS = "--psm 6"  # a page is one block of text; Tesseract need not look for columns


class OcrError(Exception):
    """There is nothing to read pages with."""


class Reading(NamedTuple):
    """What came of reading a page: its font size, and its character error rate from 0."""

    font_size: int
    error_rate: float


def load_reader(language: str) -> tuple[Callable[[Image.Image], str], str]:
    """Return what reads a page, and the name and version of it.

    Raises:
      OcrError: something is not installed; the text says what.
    """
    try:
        import pytesseract
        import rapidfuzz  # noqa: F401 - `error_rate` needs it, and a reading takes long
    except ImportError as error:
        raise OcrError("--ocr needs the extra ocr: pip install 'pagecast[ocr]'") from error
    try:
        version = pytesseract.get_tesseract_version()
        languages = pytesseract.get_languages()
    except (pytesseract.TesseractNotFoundError, SystemExit) as error:
        raise OcrError("--ocr needs Tesseract, and it is not installed here") from error
    if missing := set(language.split("+")) - set(languages):
        raise OcrError(
            f"--ocr_language {language}: Tesseract has no {', '.join(sorted(missing))} here, only "
            f"{', '.join(sorted(languages))}"
        )

    # For a page, Tesseract's threads wait for one another longer than they work.
    os.environ.setdefault("OMP_THREAD_LIMIT", "1")

    def read(page: Image.Image) -> str:
        return pytesseract.image_to_string(page, lang=language, config=READ_AS)

    return read, f"Tesseract {version}, language {language}"


def error_rate(read: str, written: str) -> float:
    """Return the character error rate: edits from what was read to what was written, per character.

    Any white space counts as one space, since pages keep no other.

    >>> error_rate("a  cat", "A cat")
    0.2
    """
    from rapidfuzz.distance import Levenshtein

    one, other = " ".join(read.split()), " ".join(written.split())
    return Levenshtein.distance(one, other) / max(1, len(other))


def read_pages(
    lines: Iterable[bytes],
    modes: Sequence[str],
    image: Callable[[Sample, str], Image.Image],
    read: Callable[[Image.Image], str],
) -> dict[str, list[Reading]]:
    """Return for each mode what came of reading the samples' pages."""
    readings: dict[str, list[Reading]] = {mode: [] for mode in modes}
    for sample in map(json.loads, lines):
        for mode in modes:
            rate = error_rate(read(image(sample, mode)), sample["context_text"])
            readings[mode].append(Reading(sample["font_metadata"][mode]["font_size"], rate))
    return readings


def legibility(readings: dict[str, list[Reading]]) -> Table:
    """Return what came of reading pages."""
    head = ["mode", "pages", "font size, median", "error rate, least", "median", "most", "mean"]
    return Table("Character error rate", head, [_row(mode, of) for mode, of in readings.items()])


def _row(mode: str, readings: list[Reading]) -> tuple[object, ...]:
    rates = sorted(reading.error_rate for reading in readings)
    size = quantile(Counter(reading.font_size for reading in readings), 0.5)
    shown = (rates[0], statistics.median(rates), rates[-1], statistics.mean(rates))
    return (mode, len(rates), f"{size} px", *(f"{100 * rate:.1f}%" for rate in shown))
