"""One look at the input of a run, and what it says of the whole, as one object of plain numbers."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any, NamedTuple

import psutil
from fontTools.unicodedata import script, script_name

from pipeline import plan
from pipeline.estimate.interval import Interval
from pipeline.estimate.measure import DROPPED, FAILED, KEPT, PNG, SAMPLES, Measured, Measuring
from pipeline.estimate.outputs import Outputs, Room, outputs, split_sizes
from pipeline.estimate.sample import Choice, choose
from pipeline.options import RunOptions, usable_cpus
from pipeline.prepare import Sources
from transforms.records import Failure, Shard

# Of benchmarks.pipeline, see benchmarks/RESULTS.md: samples a second of one and of several workers
# over what they would do if they did nothing but make pages; seconds until workers are up, and for
# the report; and of split and merging, a sample.
ALONE, TOGETHER = 0.97, 0.84
START_SECONDS, REPORT_SECONDS, SPLIT_SECONDS = 5.7, 3.0, 5e-4
WANDER = 0.3  # machines are shared


class Estimate(NamedTuple):
    """What was looked at, and what it says of the whole input.

    failures: files and shards that cannot be read, as `run` would name them.
    """

    shards: list[Shard]
    failures: list[Failure]
    choice: Choice
    measured: Measured
    outputs: Outputs


def estimate(
    options: RunOptions, sources: Sources, block: int, articles: int, drawn: int, seed: int = 0
) -> Estimate:
    """Look at a sample of the input. Writes nothing.

    Args:
      block: bytes in which the disk counts. articles: to be read. drawn: samples drawn at most.
    """
    entries = list(plan.plan_shards(sources.files, options.shard_rows, options.num_articles))
    shards = [entry for entry in entries if isinstance(entry, Shard)]
    choice = choose(shards, articles, seed)
    measured = Measuring(options, sources, block).measure(choice, drawn, seed)
    unusable = [entry for entry in entries if isinstance(entry, Failure)]
    assets = sum(len(asset.content) for asset in (sources.tokenizer, *sources.fonts))
    files = outputs(measured, options, len(shards), assets, block)
    return Estimate(shards, [*unusable, *measured.failures], choice, measured, files)


def facts(found: Estimate, options: RunOptions, room: Room | None) -> dict[str, Any]:
    """Return everything that is known: counts, modes, files, time, room."""
    counts, choice, measured = found.measured.counts, found.choice, found.measured
    samples, kept = counts[SAMPLES], counts[KEPT]
    if not kept.estimate and not choice.whole:  # the rule of three
        kept = Interval(0.0, 0.0, choice.rows * min(1.0, 3 / len(choice.clusters)))
    val, train = split_sizes(samples.estimate, options)
    stored = 0 if options.no_images else len(options.modes)
    files = found.outputs
    return {
        "looked_at": {
            "articles": choice.read,
            "places": len(choice.clusters),
            "samples_drawn": measured.drawn,
            "all_articles": choice.whole,
        },
        "articles": choice.rows,
        "kept": kept.whole(),
        "dropped": {
            name.removeprefix(DROPPED): count.whole()
            for name, count in sorted(counts.items())
            if name.startswith(DROPPED)
        },
        "failed": counts[FAILED].whole(),
        "samples": samples.whole(),
        "pages": (samples * float(stored)).whole(),
        "train": train,
        "val": val,
        "modes": [_mode(found.measured, mode, options) for mode in options.modes],
        "missing_glyphs": _missing(measured.missing, measured.characters),
        "pictures": {form: _numbers(some) for form, some in files.pictures.items()},
        "outputs": {name: _numbers(some) for name, some in files.others.items()},
        "asked_for": sorted(files.asked),
        "all_asked_for": _numbers(files.end),
        "most_at_any_time": _numbers(files.peak),
        "seconds": duration(found, options).whole(),
        "workers": options.workers,
        "cores": cores(),
        "disk": None if room is None else _disk(room),
        "failures": [failure._asdict() for failure in found.failures],
    }


def duration(found: Estimate, options: RunOptions) -> Interval:
    """Return how many seconds the run takes here.

    Steps are timed by this process's own work, as on a machine with nothing else to do. If it is
    busy now, the upper end is how long it takes if that goes on.
    """
    measured, samples = found.measured, found.measured.counts[SAMPLES]
    took, drawn = measured.seconds, max(measured.drawn, 1)
    decoded = sum(s.rows + (s.start if s.offset is None else 0) for s in found.shards)
    work = samples * (took["draw"] / drawn)
    work += decoded * took["read"] / max(measured.decoded, 1)
    work += found.choice.rows * took["tokenize"] / max(found.choice.read, 1)
    efficiency = ALONE if options.workers == 1 else TOGETHER
    around = samples * SPLIT_SECONDS + START_SECONDS + REPORT_SECONDS * (not options.no_report)
    best = min(options.workers, usable_cpus())
    worst = min(best, cores())
    others = max(os.getloadavg()[0] - 1, 0.0)  # this process is one of those counted
    disturbed = max(measured.busy, (others + best) / usable_cpus())
    return Interval(
        around.estimate + work.estimate / (worst * efficiency),
        (around.low + work.low / (best * ALONE)) * (1 - WANDER),
        (around.high + work.high / (worst * efficiency)) * (1 + WANDER) * disturbed,
    )


def cores() -> int:
    """Return how many processors there are that are not a second thread of another."""
    return psutil.cpu_count(logical=False) or os.cpu_count() or 1


def _mode(measured: Measured, mode: Any, options: RunOptions) -> dict[str, Any]:
    pages = measured.metadata[mode.name]
    size = measured.bytes.get(PNG + mode.name, Interval())
    return {
        "mode": mode.name,
        "px": mode.px,
        "vision_tokens": mode.vision_tokens,
        "ratio": mode.ratio(options.context_tokens),
        "median_font_size": measured.median(mode.name, "font_size") if pages else None,
        "truncated": sum(p["is_truncated"] for p in pages) / len(pages) if pages else None,
        "bytes_a_page": round(size.estimate) if pages else None,
        "bytes": (measured.counts[SAMPLES] * size).whole(),
    }


def _missing(characters: Counter[str], of: int) -> dict[str, Any]:
    """Return how many of the characters on pages the font lacks, and of which scripts."""
    scripts: Counter[str] = Counter()
    for character, count in characters.items():
        scripts[script_name(script(character)).replace("_", " ")] += count
    return {
        "share": characters.total() / of if of else 0.0,
        "scripts": {name: count / of for name, count in scripts.most_common() if count},
    }


def _numbers(files: Any) -> dict[str, Any]:
    return {name: value.whole() for name, value in files._asdict().items()}


def _disk(room: Room) -> dict[str, Any]:
    """Return what a run needs of the disk, and what that has."""
    return {
        "path": room.disk.path,
        "needed": room.bytes.whole(),
        "free": room.disk.free,
        "needed_files": room.files.whole(),
        "free_files": room.disk.free_files,
        "has_room": not room.lacks("estimate"),
        "may_have_room": not room.lacks("low"),
    }
