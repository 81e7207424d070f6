"""Before a run or a split writes anything: does it fit on the disk?

Mostly the footers say so, by a bound that no text comes near. Else some articles are read. Only
what is certain counts: a run that may fit is started.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pagecast import storage
from pagecast.dataset.receipts import Receipt
from pagecast.style.sheet import StyleSheet
from pipeline.cli.asked import SplitOptions
from pipeline.estimate import estimate as estimating
from pipeline.estimate.interval import Interval, around
from pipeline.estimate.outputs import Disk, Files, disk_of, room_in
from pipeline.launch.inputs import InputFile
from pipeline.launch.prepare import Sources
from pipeline.options import BUILTIN, RunOptions, UsageError
from pipeline.progress.terminal import readable, say

# Generous: English has 4.5 bytes a token and 0.07 bytes a pixel, the densest pages 0.2.
TOKEN_BYTES = 2  # of text, at least; other tokenizers may know no longer tokens than a byte
PIXEL_BYTES = 0.25
BANDS = 3  # of a page in colour
NUMBER_BYTES = 8  # a token id in JSON, at most
COPIES = 5  # of a sample's line: its shard's, samples.jsonl, the split, Arrow and Parquet
FIXED_BYTES, FIXED_FILES, SHARD_BYTES = 30_000_000, 100, 10_000
UNLIKE = 0.1  # how far the samples of a split may be from all others, as a share of their size
# What a byte of a JSON line is in a table.
ARROW_LINES, PARQUET_LINES = Interval(0.7, 0.4, 1.4), Interval(0.4, 0.2, 0.7)
ARTICLES, DRAWN = 1500, 60  # looked at where the bound does not fit


def surely_fits(
    files: Iterable[InputFile], options: RunOptions, disk: Disk, sheet: StyleSheet
) -> bool:
    """Tell whether a generous bound from the footers alone is within what is free."""
    text = rows = groups = 0
    for file in files:
        for number, count in enumerate(file.groups):
            if options.num_articles is None or rows < options.num_articles:
                text += file.text[number] if file.text else 0
                rows += count
                groups += 1
        text += 0 if file.text or file.fault else file.size  # JSON lines
    shards = rows // options.shard_rows + groups
    stride = options.context_tokens + options.continuation_tokens
    samples = text // ((TOKEN_BYTES if options.tokenizer == BUILTIN else 1) * stride)
    stored = () if options.no_images else options.modes
    pixel = PIXEL_BYTES * (BANDS if sheet.is_coloured else 1)
    pages = sum(int(mode.px**2 * pixel) + 2 * disk.block for mode in stored) * sheet.most_pages
    # Escaped, a byte of text takes two at most: a character of three bytes is six.
    line = NUMBER_BYTES * stride + (500 + 50 * sheet.most_pages) * (1 + len(options.modes))
    pages *= 1 + options.parquet
    size = samples * (pages + COPIES * line) + COPIES * 2 * text + FIXED_BYTES
    size += (NUMBER_BYTES + 4) * text * options.filtered + shards * (SHARD_BYTES + 2 * disk.block)
    number = (shards if options.image_shards else samples * sheet.most_pages) * len(stored)
    number += 5 * shards + samples // 1000 + FIXED_FILES
    return disk.holds(size, number)


def preflight(options: RunOptions, sources: Sources) -> None:
    """Look whether the disk has room for a run; warn where it may not.

    Raises:
      UsageError: it certainly has not.
    """
    if options.no_preflight or not storage.is_local(sources.output_dir):
        return
    disk = disk_of(sources.output_dir)
    if disk is None or surely_fits(sources.files, options, disk, sources.styles.sheet):
        return
    try:
        known, _ = estimating.estimate(options, sources, disk, ARTICLES, DRAWN)
    except Exception as error:  # whatever it is, the run itself will say it better
        say(f"warning: it is not known whether the disk has room ({type(error).__name__}: {error})")
        return
    ways = f"{ways_out(options)}, or start it with --no_preflight"
    refuse(known["disk"], "this run needs about", ways)


def refuse(room: Mapping[str, Any], needs: str, ways: str) -> None:
    """Refuse what certainly does not fit, and warn of what may not.

    Raises:
      UsageError: it certainly does not.
    """
    if not room["may_have_room"]:
        raise UsageError(f"{needs} {shortage(room)}; {ways}")
    if not room["has_room"]:
        say(f"warning: {needs} {shortage(room)}; it may not fit")


def preflight_split(out: str, receipts: Sequence[Receipt], options: SplitOptions) -> None:
    """Look whether the disk has room for a split of the samples of receipts; warn where it may not.

    Raises:
      UsageError: it certainly has not.
    """
    disk = disk_of(out) if storage.is_local(out) else None
    if disk is None:
        return
    share = min(options.max_samples / max(sum(receipt.samples for receipt in receipts), 1), 1.0)
    # Which samples it has is by hash, so they are as long as others are, if not to the byte.
    unknown = UNLIKE if share < 1 else 0.0
    lines, images = (
        around(size * share, size * share * unknown)
        for size in (
            sum(receipt.jsonl_bytes for receipt in receipts),
            sum(receipt.image_bytes for receipt in receipts),
        )
    )
    size = lines * 2.0  # in parts and merged
    if options.arrow:
        size += lines * ARROW_LINES
    if options.parquet:
        size += images + lines * PARQUET_LINES
    most = Files(around(0), size)
    refuse(
        room_in(out, disk, most, options.overwrite),
        "this split needs about",
        "use a smaller --max_samples or another disk",
    )


def shortage(room: Mapping[str, Any]) -> str:
    """Return how much is needed of what a disk lacks, bytes or files, and how much it has."""
    need, free = room["needed"], room["free"]
    if free is not None and need["estimate"] > free:
        low, high = readable(need["low"]), readable(need["high"])
        between = "" if low == high else f" ({low} to {high})"
        told = f"{readable(need['estimate'])}{between}"
        return f"{told}; {readable(free)} are free on the disk of {room['path']}"
    files = f"{room['needed_files']['estimate']:,} files"
    return f"{files}; {room['free_files']:,} more can be made on the disk of {room['path']}"


def ways_out(options: RunOptions) -> str:
    """Return what needs less room than these options do."""
    stored = not options.no_images
    ways = {
        "--no_images": stored,
        "--image_shards": stored and not options.image_shards,
        "fewer --modes": stored and len(options.modes) > 1,
        "a smaller --num_articles": True,
    }
    return f"use {', '.join(way for way, helps in ways.items() if helps)} or another disk"
