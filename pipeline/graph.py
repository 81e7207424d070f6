"""The whole job as one Beam graph. Its size does not depend on the input."""

from __future__ import annotations

from typing import NamedTuple

import apache_beam as beam
from apache_beam.pvalue import AsList, AsSingleton

from transforms import storage
from transforms.articles import FilterShort, ReadArticles
from transforms.chunk import ExpandChunks
from transforms.images import RenderPages
from transforms.manifest import PLAN, Finish
from transforms.parts import DistinctKeys, WritePart, article_keys, assign_split
from transforms.records import VisionMode
from transforms.samples import PENDING, FindReceipts, WriteSamples
from transforms.shards import FAILED, ReadPlan
from transforms.split import PlanSplit, SplitSettings
from transforms.tokenize import Tokenize


class Job(NamedTuple):
    """What the graph has to know; inputs, shards and assets are files below `output_dir`."""

    output_dir: str
    tokenizer_path: str
    font_path: str
    min_tokens: int
    context_tokens: int
    continuation_tokens: int
    modes: tuple[VisionMode, ...]
    layout: str
    png_level: int
    split: SplitSettings
    merge: bool


def build(pipeline: beam.Pipeline, job: Job) -> beam.PCollection:
    """Add the job to a pipeline; the result has one element, whether the manifest was written."""
    out = job.output_dir
    plan = pipeline | "ReadPlan" >> ReadPlan(storage.private(out, PLAN))
    shards = (
        plan.shards
        | "Reshuffle" >> beam.Reshuffle()
        | "FindReceipts" >> beam.ParDo(FindReceipts(out)).with_outputs(PENDING, main="finished")
    )
    read = shards[PENDING] | "ReadArticles" >> beam.ParDo(ReadArticles()).with_outputs(
        FAILED, main="articles"
    )
    written = (
        read.articles
        | "Tokenize" >> beam.ParDo(Tokenize(job.tokenizer_path))
        | "FilterShort" >> FilterShort(job.min_tokens)
        | "ExpandChunks"
        >> beam.ParDo(ExpandChunks(job.context_tokens, job.continuation_tokens, job.tokenizer_path))
        | "RenderPages"
        >> beam.ParDo(RenderPages(job.modes, job.font_path, job.layout, job.png_level, out))
        | "WriteSamples" >> beam.ParDo(WriteSamples(out))
    )
    receipts = (shards.finished, written) | "AllReceipts" >> beam.Flatten()
    failures = (plan[FAILED], read[FAILED]) | "AllFailures" >> beam.Flatten()
    split = receipts | "PlanSplit" >> PlanSplit(job.split)
    # Where input is missing the split would be another one tomorrow, so none is written.
    whole = receipts | "StopOnFailure" >> beam.Filter(
        lambda _, failed: not failed, AsList(failures)
    )
    parts = (
        whole
        | "AssignSplit" >> beam.FlatMap(assign_split, AsSingleton(split), job.split)
        | "GroupByPart" >> beam.GroupByKey()
        | "WritePart" >> beam.ParDo(WritePart(out, job.merge))
    )
    article_counts = (
        whole
        | "ArticleKeys" >> beam.FlatMap(article_keys, AsSingleton(split), job.split)
        | "CountArticles" >> beam.CombinePerKey(DistinctKeys())
    )
    return {
        "receipts": receipts,
        "plan": split,
        "article_counts": article_counts,
        "parts": parts,
        "failures": failures,
    } | "Finish" >> Finish(out, job.split, job.merge)
