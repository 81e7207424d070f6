"""What `plan` found, as one object of plain numbers: `--json` prints it, the table shows it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from fontTools.unicodedata import script, script_name

from pipeline.estimate.disk import Disk
from pipeline.estimate.duration import Rates, around, machine, rates, seconds
from pipeline.estimate.estimate import Estimate
from pipeline.estimate.forecast import SAMPLES, Range, at_most
from pipeline.estimate.measure import DROPPED, FAILED, KEPT
from pipeline.estimate.outputs import (
    SPLIT,
    WHOLE,
    Files,
    all_pictures,
    asked_for,
    outputs,
    peak,
    pictures,
    split_sizes,
    sum_of,
)
from pipeline.estimate.room import Room
from pipeline.options import RunOptions
from transforms.pictures import FILES, NONE, SHARDS


def facts(found: Estimate, options: RunOptions, room: Room | None) -> dict[str, Any]:
    """Return everything that is known: counts, modes, files, time, room."""
    totals, wanted, drawing = found.totals, found.wanted, found.drawing
    samples = totals[SAMPLES]
    stored = 0 if options.no_images else len(options.modes)
    val, train = split_sizes(round(float(samples[0])), options.split)
    most = found.choice.rows * at_most(len(found.choice.clusters), found.choice.whole)
    kept = Range.of(totals.get(KEPT, 0 * samples))
    return {
        "looked_at": {
            "articles": found.choice.read,
            "places": len(found.choice.clusters),
            "samples_drawn": drawing.drawn,
            "all_articles": found.choice.whole,
        },
        "articles": found.choice.rows,
        "kept": _range(kept if kept.estimate else Range(0.0, 0.0, most)),
        "dropped": {
            name.removeprefix(DROPPED): _range(Range.of(values))
            for name, values in sorted(totals.items())
            if name.startswith(DROPPED)
        },
        "failed": _range(Range.of(totals.get(FAILED, 0 * samples))),
        "samples": _range(Range.of(samples)),
        "pages": _range(Range.of(samples * stored)),
        "train": train,
        "val": val,
        "modes": modes(found, options),
        "missing_glyphs": missing(drawing.missing, drawing.characters),
        "pictures": {
            form: _files(all_pictures(totals, wanted, form)) for form in (FILES, SHARDS, NONE)
        },
        "outputs": {name: _files(files) for name, files in outputs(totals, wanted).items()},
        "asked_for": _files(sum_of(asked_for(totals, wanted))),
        "most_at_any_time": _files(peak(totals, wanted)),
        "seconds": _range(duration(found, options)),
        "workers": options.workers,
        "cores": machine().cores,
        "disk": None if room is None else disk_facts(room),
        "failures": [failure._asdict() for failure in found.failures],
    }


def modes(found: Estimate, options: RunOptions) -> list[dict[str, Any]]:
    """Return what is known of each vision mode."""
    looks = {look.mode.name: look for look in found.drawing.legibility()}
    samples = max(float(found.totals[SAMPLES][0]), 1)
    rows = []
    for mode in options.modes:
        look = looks.get(mode.name)
        files = pictures(found.totals, found.wanted, FILES, mode.name)
        rows.append(
            {
                "mode": mode.name,
                "px": mode.px,
                "vision_tokens": mode.vision_tokens,
                "ratio": mode.ratio(options.context_tokens),
                "median_font_size": look and look.font_size,
                "truncated": look and look.truncated,
                "bytes_a_page": round(float(files.size[0]) / samples) if look else None,
                "bytes": _range(Range.of(files.size)),
            }
        )
    return rows


def missing(characters: Counter[str], of: int) -> dict[str, Any]:
    """Return how many of the characters on pages the font lacks, and of which scripts."""
    scripts: Counter[str] = Counter()
    for character, count in characters.items():
        scripts[script_name(script(character)).replace("_", " ")] += count
    return {
        "share": characters.total() / of if of else 0.0,
        "scripts": {name: count / of for name, count in scripts.most_common()},
    }


def duration(found: Estimate, options: RunOptions) -> Range:
    """Return how many seconds the run takes here."""
    measured = found.measured
    drawing, drawn = found.drawing.clock()
    rows = {cluster.rows: cluster.rows.rows for cluster in found.choice.clusters}
    step: Rates = rates(measured.clock, measured.decoded, sum(rows.values()), drawing, drawn)
    decoded = sum(s.rows + (s.start if s.offset is None else 0) for s in found.shards)
    others = outputs(found.totals, found.wanted)
    copied = float(others[SPLIT].size[0])
    if options.merge:
        copied += float(others[WHOLE].size[0]) + copied
    alone = around(float(found.totals[SAMPLES][0]), copied, not options.no_report)
    return seconds(found.totals, step, decoded, alone, options.workers, machine())


def disk_facts(room: Room) -> dict[str, Any]:
    """Return what a run needs of the disk, and what that has."""
    disk: Disk = room.disk
    return {
        "path": disk.path,
        "needed": _range(room.bytes),
        "free": disk.free,
        "needed_files": _range(room.files),
        "free_files": disk.free_files,
        "has_room": not room.lacks("estimate"),
        "may_have_room": not room.lacks("low"),
    }


def _range(values: Range) -> dict[str, int]:
    return {name: round(value) for name, value in values._asdict().items()}


def _files(files: Files) -> dict[str, Any]:
    return {
        "files": _range(Range.of(files.number)),
        "bytes": _range(Range.of(files.size)),
        "disk": _range(Range.of(files.disk)),
    }
