"""The split of a dataset the size of the English Wikipedia, without its text.

    python -m benchmarks.split [--receipts 26000] [--max_samples 510000] [--workers 2]

Makes synthetic receipts on the workers, 58 samples each, and takes them through the graph's own
PlanSplit, AssignSplit, grouping into parts and counting of articles on the local runner. Prints
samples, parts, seconds and the memory of the launcher and of its largest worker. Writing the parts
is left out: there are no lines to fetch.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import os
import random
import resource
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import AsDict, AsList, AsSingleton

from pagecast.dataset.receipts import ArticleLines, Receipt
from pagecast.dataset.shard import Shard
from pagecast.dataset.split import SplitPlan, SplitSettings
from pipeline.runners.forkserver import ForkServer
from pipeline.runners.local import local_runner
from pipeline.runners.watchdog import Watchdog
from transforms.split.assign import REFERENCE, ShardReferences
from transforms.split.samples import SplitSamples

SAMPLES, SHARD_ROWS = 58, 256  # of a shard; 26,000 of them have 1.5 million samples


def synthetic_receipt(number: int) -> Receipt:
    """Return a receipt like those of the English Wikipedia, always the same for a number."""
    rng = random.Random(number)
    articles: list[ArticleLines] = []
    left, row = SAMPLES, number * SHARD_ROWS
    while left:
        chunks = min(left, 1 + int(rng.expovariate(0.5)))
        lengths = tuple(rng.randrange(15_000, 21_000) for _ in range(chunks))
        articles.append(ArticleLines(row, f"enwiki/{rng.randrange(10**8)}", lengths))
        left, row = left - chunks, row + rng.randrange(1, 12)
    return Receipt(
        shard=Shard(
            number, "/data/enwiki/000_00012.parquet", 0, 0, SHARD_ROWS, number * SHARD_ROWS
        ),
        modes=("tiny", "small", "base", "large"),
        kept=len(articles),
        dropped={"too_short": SHARD_ROWS - len(articles)},
        errors=(),
        pages=4 * SAMPLES,
        jsonl_bytes=sum(sum(article.lengths) for article in articles),
        jsonl_sha256=hashlib.sha256(str(number).encode()).hexdigest(),
        articles=tuple(articles),
    )


class CountReferences(beam.DoFn):
    """Takes the place of WritePart."""

    def process(self, element: tuple[str, Iterable[ShardReferences]]) -> Iterator[tuple[str, int]]:
        name, shards = element
        yield name, sum(len(packed) // REFERENCE.itemsize for _, _, packed in shards)


def check(
    _: None, plan: SplitPlan, parts: list[tuple[str, int]], articles: dict[str, int], most: int
) -> None:
    """Print the split, after making sure that it is whole."""
    grouped = sum(samples for _, samples in parts)
    assert grouped == plan.val + plan.train <= most, (grouped, plan)
    assert articles["val"] + articles["train"] == articles["used"]
    said = f"samples in val and train {grouped:,}, unused {plan.unused:,}, parts {len(parts)}"
    largest = max(samples for _, samples in parts)
    print(f"{said}\nlargest part {largest:,} samples", flush=True)  # a worker ends without that


def run(pipeline: beam.Pipeline, count: int, settings: SplitSettings) -> None:
    receipts = pipeline | beam.Create(range(count)) | beam.Reshuffle() | beam.Map(synthetic_receipt)
    failures = pipeline | "NoFailures" >> beam.Create([])
    inputs = {"receipts": receipts, "failures": failures}
    split = inputs | SplitSamples(settings, CountReferences())
    _ = (
        pipeline
        | "Once" >> beam.Create([None])
        | beam.Map(
            check,
            AsSingleton(split["plan"]),
            AsList(split["parts"]),
            AsDict(split["article_counts"]),
            settings.max_samples,
        )
    )
    started = time.monotonic()
    pipeline.run().wait_until_finish()
    seconds = time.monotonic() - started
    launcher, worker = (
        resource.getrusage(who).ru_maxrss // 1024
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    print(f"seconds {seconds:.1f}, launcher {launcher} MB, largest worker {worker} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--receipts", type=int, default=26_000)
    parser.add_argument("--max_samples", type=int, default=510_000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    settings = SplitSettings(options.max_samples, 10_000, 42)
    # Workers take nothing from the working directory, and this module is not installed.
    os.environ["PYTHONPATH"] = str(Path(__file__).parent.parent)
    beam_options = PipelineOptions([], default_sdk_harness_log_level="ERROR")
    with ForkServer() as server, Watchdog(server.start, print, stall_minutes=30) as watchdog:
        runner = local_runner(beam_options, options.workers, watchdog.start)
        run(beam.Pipeline(runner=runner, options=beam_options), options.receipts, settings)


if __name__ == "__main__":
    # Under its own name: workers import the module, and find nothing in a launcher's __main__.
    importlib.import_module("benchmarks.split").main()
