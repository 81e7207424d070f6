"""Making the report: look at the dataset once, then put its sections together."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, NamedTuple

from pipeline.report import contact, numbers, page
from pipeline.report.distributions import distributions
from pipeline.report.ink import ink
from pipeline.report.markup import paragraph, section
from pipeline.report.ocr import legibility, load_reader, read_pages
from pipeline.report.source import most_samples, sample_lines, whereof
from pipeline.report.survey import Survey
from transforms import storage
from transforms.outputs import MANIFEST, REPORT
from transforms.reader import PageReader

INKED = 32  # samples whose pages are decoded; a page takes some 10 ms


class ReportError(Exception):
    """There is no finished dataset to report on."""


class ReportSettings(NamedTuple):
    """What to look at.

    sample: at most so many samples, None for the default. seed: of the choice of those shown.
    ocr: how many samples Tesseract reads at each mode, in `ocr_language`.
    """

    sample: int | None = None
    seed: int = 0
    ocr: int = 0
    ocr_language: str = "eng"


def write_report(output_dir: str, settings: ReportSettings) -> dict[str, Any]:
    """Write the report on a finished dataset, and return the dataset's manifest.

    It has no clock times: like every other file it has the same bytes wherever it is made.

    Raises:
      ReportError: the dataset is not finished. OcrError: there is no Tesseract.
      SurveyError: a line of it is damaged. OSError: a file cannot be read or written.
    """
    storage.protect(output_dir)
    manifest = read_manifest(output_dir)
    content = report_page(output_dir, manifest, settings)
    storage.commit(storage.join(output_dir, REPORT), [content.encode()])
    return manifest


def read_manifest(output_dir: str) -> dict[str, Any]:
    """Return the manifest of a finished dataset.

    Raises:
      ReportError: there is none.
    """
    path = storage.join(output_dir, MANIFEST)
    if not storage.exists(path):
        raise ReportError(f"{path} is not there: the job is not finished, or it failed")
    try:
        manifest: dict[str, Any] = json.loads(storage.read_bytes(path))
        _ = manifest["counts"]["samples"], manifest["split"], manifest["vision_modes"]
    except (ValueError, KeyError, TypeError) as error:
        raise ReportError(f"{path} is damaged: {type(error).__name__}: {error}") from error
    return manifest


def report_page(output_dir: str, manifest: dict[str, Any], settings: ReportSettings) -> str:
    """Return the report on a dataset as HTML."""
    modes = list(manifest["vision_modes"])
    read, reader = load_reader(settings.ocr_language) if settings.ocr else (None, "")
    most = settings.sample or most_samples(output_dir)
    survey = Survey(modes, settings.seed, max(INKED, settings.ocr))
    for line in sample_lines(output_dir, manifest, most):
        survey.add(line)
    options = manifest["options"]
    pictures = contact.Pictures(PageReader(output_dir), options["images"], options["png_level"])
    looked = whereof(survey.samples, manifest)
    empty = section("distributions", "Distributions", paragraph("There are no samples."))
    sections = [
        numbers.overview(manifest),
        distributions(survey, inks(survey, modes, pictures), looked) if survey.samples else empty,
        numbers.left_out(manifest, numbers.error_reasons(output_dir)),
        numbers.split_section(manifest),
    ]
    if survey.samples:
        if read is not None:
            readings = read_pages(survey.chosen[: settings.ocr], modes, pictures.image, read)
            sections.append(legibility(readings, reader))
        chosen = survey.chosen[: contact.CHOSEN]
        sections.append(contact.contact_sheet(chosen, modes, pictures))
        sections.append(contact.worst_pages(survey.worst, pictures, looked))
    return page.page(manifest["versions"]["pagecast"], sections)


def inks(survey: Survey, modes: list[str], pictures: contact.Pictures) -> dict[str, Counter[float]]:
    """Return for each mode how many of the chosen samples' pages have so much ink, in percent."""
    found: dict[str, Counter[float]] = {mode: Counter() for mode in modes}
    for sample in map(json.loads, survey.chosen[:INKED]):
        for mode in modes:
            found[mode][round(ink(pictures.image(sample, mode)), 2)] += 1
    return found
