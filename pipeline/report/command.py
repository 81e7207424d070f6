"""The command `report`: look at a dataset and write what there is to see into one HTML file."""

from __future__ import annotations

import os
from collections.abc import Sequence

from pipeline import stores
from pipeline.options import UsageError
from pipeline.parser import Parser
from pipeline.progress import be_quiet, one_line, say, working
from pipeline.report.make import ReportError, ReportSettings, write_report
from pipeline.report.ocr import OcrError
from pipeline.report.source import MOST_LOCAL, MOST_REMOTE
from pipeline.report.survey import SurveyError
from pipeline.streams import tell
from transforms import storage
from transforms.outputs import CONFIG, REPORT
from transforms.reader import ReaderError

DONE, FAILED = 0, 1
STORES = "For a dataset in a store, Beam's --s3_endpoint_url and the like are taken too."


def parser() -> Parser:
    """Return the parser of `report`."""
    it = Parser(
        "pagecast report",
        "--output_dir DIR",
        f"Write DIR/{REPORT}: numbers, distributions, sample pages, the worst pages.",
        "pagecast report --output_dir output/demo",
        STORES,
    )
    what = it.group("what is looked at")
    what.add("output_dir", "the dataset", required=True, metavar="DIR")
    what.number("sample", f"at most N samples [{MOST_LOCAL}; in a store {MOST_REMOTE}]")
    what.number("seed", "seed of the samples shown", 0)
    what.switch("quiet", "no progress")
    reading = it.group("legibility")
    reading.number("ocr", "pages of each mode for Tesseract to read", 0)
    reading.add("ocr_language", "the language it expects", default="eng", metavar="LANG")
    return it


def report(argv: Sequence[str]) -> int:
    """Carry out a `report` command line and return its exit code.

    Raises:
      UsageError: wrong use, or there is no dataset.
    """
    it = parser()
    options, others = it.parse_known_args(argv)
    store_args = stores.store_options(others, it)
    it.require(options)
    be_quiet(options.quiet)
    stores.use([("--output_dir", options.output_dir)], store_args)
    if options.sample is not None and options.sample < 1:
        raise UsageError(f"--sample is {options.sample}; it must be at least 1")
    if options.ocr < 0:
        raise UsageError(f"--ocr is {options.ocr}; it must be at least 0")
    local = storage.is_local(options.output_dir)
    out = os.path.abspath(options.output_dir) if local else options.output_dir.rstrip("/")
    if not storage.exists(path := storage.private(out, CONFIG)):
        raise UsageError(f"{out} is no dataset: {path} is not there")
    try:
        settings = ReportSettings(options.sample, options.seed, options.ocr, options.ocr_language)
        with working("making the report"):
            manifest = write_report(out, settings)
    except OcrError as error:
        raise UsageError(str(error)) from error
    except (ReportError, ReaderError, SurveyError) as error:
        say(f"error: {error}")
        return FAILED
    if not manifest["counts"]["samples"]:
        say("warning: the dataset is empty; the report has only the numbers")
    tell(one_line(storage.join(out, REPORT)))
    return DONE
