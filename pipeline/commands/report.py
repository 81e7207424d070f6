"""The command `report`: look at a dataset and write what there is to see into one HTML file."""

from __future__ import annotations

import os

from pagecast import storage
from pagecast.dataset.layout import CONFIG, REPORT
from pagecast.reader import ReaderError
from pipeline.cli.asked import ReportOptions
from pipeline.launch import stores
from pipeline.options import UsageError
from pipeline.progress.streams import tell
from pipeline.progress.terminal import be_quiet, one_line, say, working
from pipeline.report.legibility.ocr import OcrError
from pipeline.report.make import ReportError, ReportSettings, write_report
from pipeline.report.survey import SurveyError

DONE, FAILED = 0, 1


def report(options: ReportOptions) -> int:
    """Write the report of a dataset, and return the exit code.

    Raises:
      UsageError: there is no dataset, or nothing that reads pages.
    """
    be_quiet(options.quiet)
    if options.ocr_judge and not options.ocr:
        raise UsageError("--ocr_judge needs --ocr N, the number of samples to read")
    stores.use([("--output_dir", options.output_dir)], options.store_args)
    local = storage.is_local(options.output_dir)
    out = os.path.abspath(options.output_dir) if local else options.output_dir.rstrip("/")
    if not storage.exists(path := storage.private(out, CONFIG)):
        raise UsageError(f"{out} is not a dataset: {path} is not there")
    try:
        asked = options.ocr, options.ocr_language, options.ocr_judge
        settings = ReportSettings(options.sample, options.seed, *asked)
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
