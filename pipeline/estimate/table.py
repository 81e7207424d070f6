"""The facts as a person reads them, in 80 columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.launch.languages import MANY_MISSING
from pipeline.progress.terminal import one_line, readable

LABELS = {
    "files": "images, a file a page",
    "shards": "images: --image_shards",
    "none": "images: --no_images",
    "train_arrow, val_arrow": "train_arrow, val_arrow: --arrow",
    "parquet": "parquet: --parquet",
    "filtered.jsonl": "filtered.jsonl: --filtered",
}
UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def table(found: Mapping[str, Any]) -> str:
    """Return all of it."""
    parts = [_looked_at(found), *_counts(found), "", *_modes(found), ""]
    parts += [*_styles(found), *_files(found), ""]
    return "\n".join([*parts, _time(found), *_disk(found)])


def warnings(found: Mapping[str, Any]) -> list[str]:
    """Return what the person should think about before the run."""
    lacking, told = found["missing_glyphs"], []
    if lacking["share"] > MANY_MISSING:
        scripts = ", ".join(
            f"{name} ({percent(share)})" for name, share in [*lacking["scripts"].items()][:4]
        )
        told.append(
            f"the font lacks {percent(lacking['share'])} of the characters on pages: {scripts}; "
            "give --font auto, or one that has them"
        )
    if not found["kept"]["estimate"] and found["articles"]:
        told.append(
            "no article that was looked at is kept"
            + ("" if found["looked_at"]["all_articles"] else "; --sample looks at more of them")
        )
    if (disk := found["disk"]) and not disk["has_room"]:
        sure = "may not have" if disk["may_have_room"] else "does not have"
        told.append(f"the disk of {disk['path']} {sure} room for this run")
    return told


def about(values: Mapping[str, int], unit: float = 1, name: str = "", digits: int = 0) -> str:
    """Return a number as far as it is known, with its interval: 152,000 (148,000 to 156,000).

    Args:
      unit: to count in, by its `name`. digits: behind the point at most.
    """
    margin = max((values["high"] - values["low"]) / unit, 0.01)
    digits = min(digits, -math.floor(math.log10(margin / 4)))
    estimate, low, high = (
        f"{round(values[end] / unit, digits):,.{max(digits, 0)}f}"
        for end in ("estimate", "low", "high")
    )
    return f"{estimate}{name}" + (f" ({low} to {high})" if low != high else "")


def amount(values: Mapping[str, int]) -> str:
    """Return bytes as far as they are known, with their interval: 340 GB (330 to 350)."""
    unit, name = next(((u, n) for u, n in UNITS if values["estimate"] >= u), (1, "bytes"))
    return about(values, unit, f" {name}", digits=int(unit > 1))


def percent(share: float) -> str:
    """Return a share as a person reads it."""
    return f"{100 * share:.1f}%" if share >= 0.001 or not share else f"{100 * share:.2g}%"


def lasting(seconds: float) -> str:
    """Return a time as a person reads it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows with their columns under each other, all but the first to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([f"{first:<{widths[0]}}", *cells]).rstrip())
    return lines


def _looked_at(found: Mapping[str, Any]) -> str:
    at = found["looked_at"]
    drawn = f"drew {at['samples_drawn']:,} of their samples"
    if not at["all_articles"]:
        return (
            f"read {at['articles']:,} articles at {at['places']} places, {drawn};\n"
            "in parentheses: between what the truth lies with 95% confidence\n"
        )
    if at["samples_drawn"] == found["samples"]["estimate"]:
        return "read all articles, drew all their samples: the numbers are exact\n"
    return f"read all articles, {drawn}: counts are exact\n"


def _counts(found: Mapping[str, Any]) -> list[str]:
    kept, articles = found["kept"], max(found["articles"], 1)
    share = percent(kept["estimate"] / articles)
    if kept["low"] != kept["high"]:
        share += f" ({percent(kept['low'] / articles)} to {percent(kept['high'] / articles)})"
    rows = [
        ("articles in", f"{found['articles']:,}"),
        ("kept", f"{about(kept)}: {share}"),
        *((f"dropped, {reason}", about(values)) for reason, values in found["dropped"].items()),
        *([("failed", about(found["failed"]))] if found["failed"]["estimate"] else []),
        ("samples", about(found["samples"])),
        ("pages", about(found["pages"])),
        ("train, val", f"at most {found['train']:,}, {found['val']:,}"),
    ]
    width = max(len(name) for name, _ in rows)
    return [f"{name:<{width}}  {value}" for name, value in rows]


def _modes(found: Mapping[str, Any]) -> list[str]:
    rows = [("mode", "px", "vision tokens", "ratio", "font size", "truncated", "kB a page", "all")]
    for mode in found["modes"]:
        shown = ("", "", "")
        if mode["median_font_size"] is not None:
            size = f"{mode['bytes_a_page'] / 1000:.1f}"
            shown = f"{mode['median_font_size']:g}", percent(mode["truncated"]), size
        tokens, ratio = str(mode["vision_tokens"] or "none"), str(mode["ratio"] or "")
        every = readable(mode["bytes"]["estimate"])
        rows.append((mode["mode"], str(mode["px"]), tokens, ratio, *shown, every))
    lacking = percent(found["missing_glyphs"]["share"])
    return [*columns(rows), f"characters on pages that the font lacks: {lacking}"]


def _styles(found: Mapping[str, Any]) -> list[str]:
    """Return the styles with their median font sizes, where there are several."""
    if not found["styles"]:
        return []
    names = [mode["mode"] for mode in found["modes"]]
    rows = [("style", "share", *(f"font size, {name}" for name in names))]
    for style in found["styles"]:
        sizes = style["median_font_size"]
        shown = (f"{sizes[name]:g}" if name in sizes else "" for name in names)
        rows.append((style["name"], percent(style["share"]), *shown))
    return [*columns(rows), ""]


def _files(found: Mapping[str, Any]) -> list[str]:
    rows = [("in brackets: not asked for", "files", "on the disk")]

    def add(label: str, files: Mapping[str, Any]) -> None:
        rows.append((label, about(files["files"]).split(" ")[0], amount(files["disk"])))

    for name, files in {**found["pictures"], **found["outputs"]}.items():
        label = LABELS.get(name, name)
        add(label if name in found["asked_for"] else f"[{label}]", files)
    most, end = found["most_at_any_time"], found["all_asked_for"]
    add("all that is asked for", end)
    if most["disk"]["estimate"] > 1.01 * end["disk"]["estimate"]:
        add("at most, while merging", most)
    return columns(rows)


def _time(found: Mapping[str, Any]) -> str:
    estimate, low, high = map(lasting, found["seconds"].values())
    workers, cores = (
        f"{found[what]} {what.removesuffix('s')}{'s' * (found[what] != 1)}"
        for what in ("workers", "cores")
    )
    return f"time on this machine with {workers} ({cores}): {estimate} ({low} to {high})"


def _disk(found: Mapping[str, Any]) -> list[str]:
    disk = found["disk"]
    if disk is None:
        return ["no --output_dir on a disk was given, so none was asked for its room"]
    has = "enough" if disk["has_room"] else "it may fit" if disk["may_have_room"] else "TOO LITTLE"
    free = "no limit" if disk["free"] is None else readable(disk["free"])
    if disk["free_files"] is not None and disk["needed_files"]["estimate"] > disk["free_files"]:
        free += f" and {disk['free_files']:,} files"
    return [
        f"still to be written: {amount(disk['needed'])}",
        one_line(f"free on the disk of {disk['path']}: {free}: {has}"),
    ]
