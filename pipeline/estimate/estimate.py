"""One look at the input of a run, and what it says of the whole, as one object of plain numbers."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from typing import Any

import psutil

from pagecast.dataset.sample import STYLE
from pagecast.dataset.shard import ArticleError, Failure, Shard
from pagecast.modes import VisionMode
from pagecast.style.record import costs_of_mode
from pagecast.style.sheet import StyleSheet
from pipeline.estimate.interval import Interval, around
from pipeline.estimate.measure import DROPPED, FAILED, KEPT, PNG, SAMPLES, Measured, Measuring
from pipeline.estimate.outputs import UNKNOWN_BLOCK, Disk, outputs, room_in, split_sizes
from pipeline.estimate.sample import Choice, choose
from pipeline.launch import inputs
from pipeline.launch.prepare import Sources
from pipeline.options import RunOptions, usable_cpus

# Of benchmarks.pipeline, see benchmarks/RESULTS.md: samples a second of one and of several workers
# over what they would do if they did nothing but make pages; seconds for the report; and of split
# and merging, a sample.
ALONE, TOGETHER = 0.97, 0.84
REPORT_SECONDS, SPLIT_SECONDS = 3.0, 5e-4
WANDER = 0.3  # machines are shared


def estimate(
    options: RunOptions,
    sources: Sources,
    disk: Disk | None,
    articles: int,
    drawn: int,
    seed: int = 0,
) -> tuple[dict[str, Any], list[ArticleError]]:
    """Look at a sample of the input, and return what it says of all, and what failed of it.

    Counts, modes, files, time and room; `failures` are the files and shards that cannot be read,
    as `run` would name them. Writes nothing.

    Args:
      disk: where the run would write, if that is known. articles: to be read. drawn: samples drawn
        at most.
    """
    entries = list(inputs.plan_shards(sources.files, options.shard_rows, options.num_articles))
    shards = [entry for entry in entries if isinstance(entry, Shard)]
    choice = choose(shards, articles, seed)
    block = disk.block if disk else UNKNOWN_BLOCK
    found = Measuring(options, sources, block).measure(choice, drawn, seed)
    unusable = [entry for entry in entries if isinstance(entry, Failure)]
    assets = sum(len(asset.content) for asset in (sources.tokenizer, *sources.styles.fonts))
    files = outputs(found, options, len(shards), assets, block)
    counts, samples = found.counts, found.counts[SAMPLES]
    val, train = split_sizes(samples.estimate, options)
    known = {
        "looked_at": {
            "articles": choice.read,
            "places": len(choice.clusters),
            "samples_drawn": found.drawn,
            "all_articles": choice.whole,
        },
        "articles": choice.rows,
        "kept": rows_of(counts[KEPT], choice).whole(),
        "dropped": {
            name.removeprefix(DROPPED): rows_of(count, choice).whole()
            for name, count in sorted(counts.items())
            if name.startswith(DROPPED)
        },
        "failed": rows_of(counts[FAILED], choice).whole(),
        "samples": samples.whole(),
        "pages": (samples * (0 if options.no_images else len(options.modes))).whole(),
        "train": train,
        "val": val,
        "modes": [_mode(found, mode, options, sources.styles.sheet) for mode in options.modes],
        "styles": _styles(found, sources.styles.sheet, options),
        "missing_glyphs": {
            "share": found.missing.total() / max(found.characters, 1),
            "scripts": {
                name: count / found.characters
                for name, count in found.missing.most_common()
                if count
            },
        },
        "pictures": {form: some.whole() for form, some in files.images.items()},
        "outputs": {name: some.whole() for name, some in files.others.items()},
        "asked_for": sorted(files.asked),
        "all_asked_for": files.end.whole(),
        "most_at_any_time": files.peak.whole(),
        "seconds": duration(found, choice, shards, options).whole(),
        "workers": options.workers,
        "cores": cores(),
        "disk": disk and room_in(sources.output_dir, disk, files.peak, options.overwrite),
        "failures": [failure._asdict() for failure in (*unusable, *found.failures)],
    }
    return known, found.errors


def rows_of(some: Interval, choice: Choice) -> Interval:
    """Return how many of all rows are such; by the rule of three if all looked at are, or none."""
    if some.low == some.high and not choice.whole:
        some = around(some.estimate, choice.rows * 3 / len(choice.clusters))
    return some._replace(high=min(some.high, choice.rows))


def duration(
    found: Measured, choice: Choice, shards: Sequence[Shard], options: RunOptions
) -> Interval:
    """Return how many seconds the run takes here.

    Steps are timed by this process's own work, as on a machine with nothing else to do. If it is
    busy now, the upper end is how long it takes if that goes on. A run begins as this process did:
    it imports the same modules and loads the tokenizer once, and its workers are forks of that.
    """
    samples, took = found.counts[SAMPLES], found.seconds
    decoded = sum(shard.start + shard.rows for shard in shards)
    work = samples * (took["draw"] / max(found.drawn, 1))
    work += around(decoded * took["read"] / max(found.decoded, 1))
    work += around(choice.rows * took["tokenize"] / max(choice.read, 1))
    efficiency = ALONE if options.workers == 1 else TOGETHER
    rest = samples * SPLIT_SECONDS
    rest += around(found.start + REPORT_SECONDS * (not options.no_report))
    best = min(options.workers, usable_cpus())
    worst = min(best, cores())
    others = max(os.getloadavg()[0] - 1, 0.0)  # this process is one of those counted
    disturbed = max(found.busy, (others + best) / usable_cpus())
    return Interval(
        rest.estimate + work.estimate / (worst * efficiency),
        (rest.low + work.low / (best * ALONE)) * (1 - WANDER),
        (rest.high + work.high / (worst * efficiency)) * (1 + WANDER) * disturbed,
    )


def cores() -> int:
    """Return how many processors there are that are not a second thread of another."""
    return psutil.cpu_count(logical=False) or os.cpu_count() or 1


def _styles(found: Measured, sheet: StyleSheet, options: RunOptions) -> list[dict[str, Any]]:
    """Return what is known of each style, the median font size by mode, where there are several."""
    told = []
    for entry in sheet.entries if sheet.is_varied else ():
        sizes = {
            mode.name: [page["font_size"] for page in found.metadata[mode.name]
                        if page[STYLE].partition(" ")[0] == entry.name]
            for mode in options.modes
        }  # fmt: skip
        share = entry.weight / sum(each.weight for each in sheet.entries)
        medians = {name: statistics.median(some) for name, some in sizes.items() if some}
        told.append({"name": entry.name, "share": share, "fields": entry.plain(),
                     "median_font_size": medians})  # fmt: skip
    return told


def _mode(
    found: Measured, mode: VisionMode, options: RunOptions, sheet: StyleSheet
) -> dict[str, Any]:
    pages, size = found.metadata[mode.name], found.bytes[PNG + mode.name]
    return {
        "mode": mode.name,
        "px": mode.px,
        **costs_of_mode(sheet, mode.px, options.context_tokens),
        "median_font_size": statistics.median(p["font_size"] for p in pages) if pages else None,
        "truncated": statistics.fmean(p["is_truncated"] for p in pages) if pages else None,
        "bytes_a_page": round(size.estimate) if pages else None,
        "bytes": (found.counts[SAMPLES] * size).whole(),
    }
