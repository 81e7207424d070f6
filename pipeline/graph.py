"""The whole job as one Beam graph. Its size does not depend on the input."""

from __future__ import annotations

from typing import NamedTuple

import apache_beam as beam
from apache_beam.pvalue import AsList, AsSingleton

from pagecast import storage
from pagecast.dataset.arrow import sample_schema
from pagecast.dataset.layout import PLAN
from pagecast.dataset.shard import FAILED
from pagecast.dataset.split import SplitSettings
from pagecast.dataset.versions import deciding
from pipeline.options import RunOptions
from transforms.chunk import ExpandChunks
from transforms.commit.filtered import WriteFiltered
from transforms.commit.samples import (
    INCOMPLETE,
    PENDING,
    UNFILTERED,
    FindReceipts,
    RestoreSamples,
    WriteSamples,
)
from transforms.finish.manifest import Finish, FinishSettings
from transforms.read.articles import FilterShort, ReadArticles
from transforms.read.shards import ReadPlan
from transforms.render.pages import RenderPages
from transforms.split.assign import DistinctKeys, article_keys, assign_split
from transforms.split.parts import PartSettings, WritePart
from transforms.split.plan import PlanSplit
from transforms.tokenize import Tokenize
from transforms.versions import SameVersions


class Job(NamedTuple):
    """What the graph has to know; inputs, shards and assets are files below `output_dir`.

    output_dir: that of the options, made absolute.
    """

    options: RunOptions
    output_dir: str
    tokenizer_path: str
    font_paths: tuple[str, ...]
    filtered_is_done: bool = False
    quick_tokenizer: bool = True

    @property
    def modes(self) -> list[str]:
        """The names of the vision modes."""
        return [mode.name for mode in self.options.modes]

    @property
    def parts(self) -> PartSettings:
        """How the parts of the split are written."""
        asked = self.options
        schema = sample_schema(self.modes, not asked.no_images) if asked.arrow else None
        return PartSettings(self.output_dir, asked.merge, schema)


def build(pipeline: beam.Pipeline, job: Job) -> beam.PCollection:
    """Add the job to a pipeline; the result has one element, whether the manifest was written."""
    out, asked = job.output_dir, job.options
    filter_articles = asked.filtered and not job.filtered_is_done
    decides = deciding(asked.layout, asked.line_break, len(job.font_paths))
    plan = pipeline | "ReadPlan" >> ReadPlan(storage.private(out, PLAN))
    shards = (
        plan.shards
        | "Reshuffle" >> beam.Reshuffle()
        | "CheckWorker" >> beam.ParDo(SameVersions(decides))
        | "FindReceipts"
        >> beam.ParDo(FindReceipts(out, job.modes, filter_articles)).with_outputs(
            PENDING, INCOMPLETE, UNFILTERED, main="finished"
        )
    )
    kept, unread = keep_articles(shards[PENDING], job)
    written = (
        kept
        | "ExpandChunks"
        >> beam.ParDo(
            ExpandChunks(
                asked.context_tokens,
                asked.continuation_tokens,
                job.tokenizer_path,
                job.quick_tokenizer,
            )
        )
        | "RenderPages" >> beam.ParDo(RenderPages(asked.pages, job.font_paths, out))
        | "WriteSamples" >> beam.ParDo(WriteSamples(out, job.modes))
    )
    # Shards that an earlier run rendered at fewer modes. Not flattened into the above: what the
    # runner keeps between stages would then be whole samples.
    extended = (
        shards[INCOMPLETE]
        | "RestoreSamples" >> beam.ParDo(RestoreSamples(out))
        | "RenderMissing" >> beam.ParDo(RenderPages(asked.pages, job.font_paths, out))
        | "RewriteSamples" >> beam.ParDo(WriteSamples(out, job.modes))
    )
    filtered, failures = [], [plan[FAILED], unread]
    if filter_articles:
        kept_again, unread_again = keep_articles(shards[UNFILTERED], job, "Again")
        filtered = [
            kept | "WriteFiltered" >> beam.ParDo(WriteFiltered(out)),
            kept_again | "WriteFilteredAgain" >> beam.ParDo(WriteFiltered(out)),
        ]
        failures.append(unread_again)
    receipts = (shards.finished, written, extended) | "AllReceipts" >> beam.Flatten()
    failures = failures | "AllFailures" >> beam.Flatten()
    # Where input is missing the split would be another one tomorrow, so none is written.
    whole = receipts | "StopOnFailure" >> beam.Filter(
        lambda _, failed: not failed, AsList(failures)
    )
    return {
        "receipts": receipts,
        "failures": failures,
        "filtered": filtered | "AllFiltered" >> beam.Flatten(pipeline=pipeline),
        **split_samples(receipts, whole, asked.split, WritePart(job.parts)),
    } | "Finish" >> Finish(FinishSettings(asked.split, job.parts, asked.filtered))


def keep_articles(
    shards: beam.PCollection, job: Job, label: str = ""
) -> tuple[beam.PCollection, beam.PCollection]:
    """Return the tokenized articles that are long enough, and the shards that cannot be read."""
    read = shards | f"ReadArticles{label}" >> beam.ParDo(
        ReadArticles(job.options.max_article_chars)
    ).with_outputs(FAILED, main="articles")
    kept = (
        read.articles
        | f"Tokenize{label}" >> beam.ParDo(Tokenize(job.tokenizer_path, job.quick_tokenizer))
        | f"FilterShort{label}" >> FilterShort(job.options.min_tokens)
    )
    return kept, read[FAILED]


def split_samples(
    receipts: beam.PCollection,
    whole: beam.PCollection,
    settings: SplitSettings,
    write_part: beam.DoFn,
) -> dict[str, beam.PCollection]:
    """Plan the split of `receipts` and write that of `whole`: plan, article counts, parts."""
    plan = receipts | "PlanSplit" >> PlanSplit(settings)
    parts = (
        whole
        | "AssignSplit" >> beam.FlatMap(assign_split, AsSingleton(plan), settings)
        | "GroupByPart" >> beam.GroupByKey()
        | "WritePart" >> beam.ParDo(write_part)
    )
    article_counts = (
        whole
        | "ArticleKeys" >> beam.FlatMap(article_keys, AsSingleton(plan), settings)
        | "CountArticles" >> beam.CombinePerKey(DistinctKeys())
    )
    return {"plan": plan, "article_counts": article_counts, "parts": parts}
