"""One look at the input of a run: which rows, what is in them, and what that makes of the whole."""

from __future__ import annotations

from typing import NamedTuple

from pipeline import plan
from pipeline.estimate.drawing import Drawing
from pipeline.estimate.forecast import Totals, totals
from pipeline.estimate.measure import Cuts, Measured, measure
from pipeline.estimate.outputs import Wanted
from pipeline.estimate.sample import Choice, choose
from pipeline.options import RunOptions
from pipeline.prepare import Sources
from transforms.records import Failure, Shard
from transforms.tokenize import ArticleTokenizer


class Effort(NamedTuple):
    """How much is looked at: articles read, samples drawn at most, and the seed of both."""

    articles: int
    drawn: int
    seed: int


class Estimate(NamedTuple):
    """What was looked at, and what it says of the whole input.

    failures: files and shards that cannot be read, as `run` would name them.
    """

    shards: list[Shard]
    failures: list[Failure]
    choice: Choice
    measured: Measured
    drawing: Drawing
    totals: Totals
    wanted: Wanted


def estimate(options: RunOptions, sources: Sources, effort: Effort, block: int) -> Estimate:
    """Look at a sample of the input; `block` is what the disk counts in. Writes nothing."""
    entries = list(plan.plan_shards(sources.files, options.shard_rows, options.num_articles))
    shards = [entry for entry in entries if isinstance(entry, Shard)]
    choice = choose(shards, effort.articles, effort.seed)
    cuts = Cuts(
        options.min_tokens,
        options.context_tokens,
        options.continuation_tokens,
        options.max_article_chars,
    )
    drawing = Drawing(options.pages, [font.content for font in sources.fonts], block)
    tokenizer = ArticleTokenizer(sources.tokenizer.content)
    measured = measure(choice, cuts, tokenizer, drawing, effort.drawn, effort.seed)
    share = choice.read / max(choice.rows, 1)
    found = totals(measured.counted, measured.drawn, choice.whole, share, effort.seed)
    unusable = [entry for entry in entries if isinstance(entry, Failure)]
    failures = [*unusable, *measured.failures]
    wanted = wanted_of(options, sources, len(shards), block)
    return Estimate(shards, failures, choice, measured, drawing, found, wanted)


def wanted_of(options: RunOptions, sources: Sources, shards: int, block: int) -> Wanted:
    """Return what the options ask to be written."""
    return Wanted(
        modes=[mode.name for mode in options.modes],
        form=options.pages.form,
        split=options.split,
        merge=options.merge,
        arrow=options.arrow,
        filtered=options.filtered,
        report=not options.no_report,
        assets=sum(len(asset.content) for asset in (sources.tokenizer, *sources.fonts)),
        shards=shards,
        block=block,
    )
