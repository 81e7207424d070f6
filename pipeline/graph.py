"""The whole job as one Beam graph. Its size does not depend on the input."""

from __future__ import annotations

from typing import NamedTuple

import apache_beam as beam

from pagecast.dataset.assets import PageSettings
from pagecast.dataset.shard import FAILED
from pagecast.dataset.split import SplitSettings
from pagecast.dataset.tables.arrow import sample_schema
from pagecast.dataset.versions import required_versions
from pagecast.style.sheet import StyleSheet
from pipeline.options import RunOptions
from transforms.chunk import ExpandChunks
from transforms.commit.make import MakeSamples
from transforms.finish.manifest import Finish, FinishSettings
from transforms.keep import FILTERED, KeepArticles
from transforms.read.work import FindWork
from transforms.split.parts import PartSettings, WritePart
from transforms.split.samples import SplitSamples


def page_settings(options: RunOptions, sheet: StyleSheet) -> PageSettings:
    """Return how pages look, in these styles, and how they are stored."""
    return PageSettings(options.modes, options.png_level, options.form, sheet)


class Job(NamedTuple):
    """What the graph has to know; inputs, shards and assets are files below `output_dir`.

    output_dir: that of the options, made absolute. sheet: the styles, with fonts by SHA-256.
    """

    options: RunOptions
    output_dir: str
    tokenizer_path: str
    sheet: StyleSheet
    filtered_is_done: bool = False
    quick_tokenizer: bool = True

    @property
    def modes(self) -> list[str]:
        """The names of the vision modes."""
        return [mode.name for mode in self.options.modes]

    @property
    def split(self) -> SplitSettings:
        """What decides the split."""
        return self.options.split._replace(candidates=self.sheet.candidates)

    @property
    def parts(self) -> PartSettings:
        """How the parts of the split are written."""
        asked = self.options
        sheet = self.sheet
        schema = sample_schema(self.modes, not asked.no_images, sheet.is_varied, sheet.is_paged)
        wanted = (schema if asks else None for asks in (asked.arrow, asked.parquet))
        return PartSettings(self.output_dir, asked.merge, *wanted)


def build(pipeline: beam.Pipeline, job: Job) -> beam.PCollection:
    """Add the job to a pipeline; the result has one element, whether the manifest was written."""
    out, asked = job.output_dir, job.options
    filters = asked.filtered and not job.filtered_is_done
    decides = required_versions(job.sheet)
    tokenizer = job.tokenizer_path, job.quick_tokenizer
    chunks = ExpandChunks(asked.context_tokens, asked.continuation_tokens, *tokenizer)

    work = pipeline | "FindWork" >> FindWork(out, decides, job.modes, filters)
    kept = work | "KeepArticles" >> KeepArticles(
        asked.max_article_chars, asked.min_tokens, *tokenizer, out if filters else None
    )
    receipts = {**work, **kept} | "MakeSamples" >> MakeSamples(
        out, chunks, page_settings(asked, job.sheet)
    )
    failures = (work[FAILED], kept[FAILED]) | "AllFailures" >> beam.Flatten()
    results = {"receipts": receipts, "failures": failures}
    split = results | "SplitSamples" >> SplitSamples(
        job.split, WritePart(job.parts), takes_plan=asked.parquet
    )
    return {**results, **split, FILTERED: kept[FILTERED]} | "Finish" >> Finish(
        FinishSettings(job.split, job.parts, asked.filtered)
    )
