"""Making the report: look at the dataset once, then put its sections together."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pagecast import storage
from pagecast.dataset.layout import MANIFEST, REPORT
from pagecast.dataset.manifest import sheet_of
from pagecast.reader import PageReader
from pipeline.report import charts, images, tables
from pipeline.report.legibility import plot, readings
from pipeline.report.legibility.ocr import Read, load_judge, require_rapidfuzz
from pipeline.report.source import most_samples, sample_lines, whereof
from pipeline.report.survey import Survey

if TYPE_CHECKING:
    import jinja2

CHOSEN = 8  # samples shown at all modes
INKED = 32  # samples whose pages are decoded; a page takes some 10 ms

# Control characters are not HTML; Unicode has an image of each.
CONTROL = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"} | {
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
}

Values = Mapping[str, Counter[Any]]


class ReportError(Exception):
    """There is no finished dataset to report on."""


class ReportSettings(NamedTuple):
    """What to look at.

    sample: at most so many samples, None for the default. seed: of the choice of those shown.
    ocr: of how many samples of each style the pages are read at each mode: by the function that
      `ocr_judge` names as "module:function", or by Tesseract in `ocr_language`.
    """

    sample: int | None = None
    seed: int = 0
    ocr: int = 0
    ocr_language: str = "eng"
    ocr_judge: str | None = None


def write_report(output_dir: str, settings: ReportSettings) -> dict[str, Any]:
    """Write the report on a finished dataset, and return the dataset's manifest.

    It has no clock times: like every other file it has the same bytes wherever it is made.

    Raises:
      ReportError: the dataset is not finished. OcrError: there is nothing to read pages with.
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
        sheet_of(manifest)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReportError(f"{path} is damaged: {type(error).__name__}: {error}") from error
    return manifest


def measure_legibility(
    output_dir: str, read: Read, samples: int, seed: int = 0
) -> list[readings.Reading]:
    """Return how well a model of your own reads the pages of a finished dataset, mode by mode.

    `pipeline.report.legibility.readings.summary` puts the readings together by style and mode.

    Args:
      read: a function from an image of mode "L" or "RGB" to the text on it; pages of one sample
        come in their order. samples: of each style; the same for each seed.

    Raises:
      ReportError, SurveyError, OSError: as `write_report`. OcrError: rapidfuzz is not installed.
    """
    require_rapidfuzz()
    storage.protect(output_dir)
    manifest = read_manifest(output_dir)
    survey = survey_of(output_dir, manifest, ReportSettings(seed=seed, ocr=samples))
    pages = images_of(output_dir, manifest)
    return list(legibility_of(survey, manifest, pages, samples, read))


def survey_of(output_dir: str, manifest: dict[str, Any], settings: ReportSettings) -> Survey:
    """Look at the samples of a dataset."""
    sheet = sheet_of(manifest)
    styles = [entry.name for entry in sheet.entries] if sheet.is_varied else []
    most = settings.sample or most_samples(output_dir)
    survey = Survey(list(manifest["vision_modes"]), settings.seed, max(INKED, settings.ocr), styles)
    for line in sample_lines(output_dir, manifest, most):
        survey.add(line)
    return survey


def images_of(output_dir: str, manifest: dict[str, Any]) -> images.Images:
    """Return the pages of a dataset."""
    options = manifest["options"]
    return images.Images(PageReader(output_dir), options["images"], options["png_level"])


def legibility_of(
    survey: Survey, manifest: dict[str, Any], pages: images.Images, most: int, read: Read
) -> Iterator[readings.Reading]:
    """Yield what comes of reading the pages of at most so many samples of each style."""
    names = [entry.name for entry in sheet_of(manifest).entries]
    chosen = {name: survey.chosen_of(name, most) for name in names}
    return readings.read_samples(chosen, list(manifest["vision_modes"]), pages.images, read)


def report_page(output_dir: str, manifest: dict[str, Any], settings: ReportSettings) -> str:
    """Return the report on a dataset as HTML."""
    modes, sheet = list(manifest["vision_modes"]), sheet_of(manifest)
    judge = None
    if settings.ocr:
        in_columns = max(sheet.values_of("columns")) > 1
        judge = load_judge(settings.ocr_judge, settings.ocr_language, in_columns)
    survey, pages = survey_of(output_dir, manifest, settings), images_of(output_dir, manifest)
    found: dict[str, Any] = {
        "manifest": manifest,
        "looked_at": whereof(survey.samples, manifest),
        "job": tables.job(manifest),
        "modes": tables.modes(manifest),
        "left_out": tables.left_out(manifest, tables.error_reasons(output_dir)),
        "split": tables.split(manifest),
    }
    if survey.samples:
        chosen = [(line, modes) for line in survey.shown(CHOSEN)]
        worst = [(line, [mode]) for line, mode in survey.worst]
        found |= {
            "charts": distributions(survey, inks(survey, modes, pages)),
            "samples": images.gallery(chosen, pages, images.SHEET_BYTES),
            "worst": images.gallery(worst, pages, images.WORST_BYTES),
        }
    if sheet.is_varied:
        found["styles"] = tables.styles(sheet, survey.samples_of)
    if survey.samples and judge is not None:
        every = list(legibility_of(survey, manifest, pages, settings.ocr, judge.read))
        together = readings.summary(every)
        found |= {
            "judge": judge.name,
            "legibility": readings.table(together),
            "plot": plot.plot(together),
            "csv": readings.as_csv(every),
        }
    return template("report.html").render(found)


def template(name: str) -> jinja2.Template:
    """Return a template of the report. Whatever it shows is text and nothing else to a browser."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__ or "", "."),
        autoescape=True,
        undefined=jinja2.ChainableUndefined,
        finalize=printable,
    )
    environment.filters |= {"number": number, "shorten": shorten}
    environment.globals |= {
        "width": charts.WIDTH, "left": charts.LEFT, "right": charts.RIGHT, "bars": charts.BARS,
        "row_height": charts.ROW, "axis": charts.AXIS,
        "plot_left": plot.LEFT, "plot_right": plot.RIGHT,
    }  # fmt: skip
    return environment.get_template(name)


def printable(value: object) -> object:
    """Return a value with images in place of control characters, which HTML does not have."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return value.translate(CONTROL).encode("utf-8", "replace").decode()


def number(value: float) -> str:
    """Return a number for people: 12,345 or 0.25."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def shorten(value: object, most: int = 200) -> str:
    """Return a text, cut after `most` characters."""
    text = str(value)
    return text if len(text) <= most else f"{text[:most]}…"


def distributions(survey: Survey, inked: Mapping[str, Counter[float]]) -> list[Any]:
    """Return a title, a chart and a table of each distribution."""
    of_modes = survey.by_mode.items()
    pages = max(values.total() for values in inked.values())
    found: list[Any] = []

    def add(
        title: str,
        caption: str,
        values: Mapping[str, Counter[Any]],
        axis: str,
        scale: str = "whole",
    ) -> None:
        notes = {name: tables.median(of) for name, of in values.items() if of}
        chart = charts.distribution(values, notes, axis, scale)
        found.append((title, chart, tables.distribution(caption, values)))

    tokens = {"articles": survey.article_tokens}
    add("Length", "Tokens", tokens, "tokens of a kept article", "log")
    sizes = {mode: of.font_sizes for mode, of in of_modes}
    add("Font size", "Font size", sizes, "pixels")
    add("Lines", "Lines", {mode: of.lines for mode, of in of_modes}, "lines of the whole text")
    cut = {
        mode: {
            "whole": 100 * (survey.samples - of.truncated) / survey.samples,
            "truncated": 100 * of.truncated / survey.samples,
            "with clipped lines": 100 * of.clipped / survey.samples,
        }
        for mode, of in of_modes
    }
    axis = "% of pages; a page may be truncated and clipped"
    found.append(("Truncation", charts.shares(cut, axis), tables.cut(survey)))
    of_samples = f"Ink of {pages:,} samples"
    add(of_samples, of_samples, inked, "% of a page", "linear")
    missing = {mode: of.missing for mode, of in of_modes if of.missing}
    groups = {mode: charts.missing_groups(values) for mode, values in missing.items()}
    chart = charts.shares(groups, "characters without a glyph on a page, % of pages")
    found.append(("Missing glyphs", chart, tables.distribution("Missing glyphs", missing)))
    if survey.by_style:
        of_styles = {
            f"{style}, {mode}": of
            for style, modes in survey.by_style.items()
            for mode, of in modes.items()
        }
        sizes = {name: of.font_sizes for name, of in of_styles.items()}
        add("Font size by style", "Font size by style", sizes, "pixels")
        lines = {name: of.lines for name, of in of_styles.items()}
        add("Lines by style", "Lines by style", lines, "lines of the whole text")
    return found


def inks(survey: Survey, modes: list[str], pages: images.Images) -> dict[str, Counter[float]]:
    """Return for each mode how many of the chosen samples' pages have so much ink, in percent."""
    found: dict[str, Counter[float]] = {mode: Counter() for mode in modes}
    for sample in map(json.loads, survey.chosen[:INKED]):
        for mode in modes:
            found[mode][round(images.ink(pages.image(sample, mode)), 2)] += 1
    return found
