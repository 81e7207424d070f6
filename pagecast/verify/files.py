"""Which files a finished dataset consists of, and what should stand in each."""

from __future__ import annotations

import os
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from pagecast import storage
from pagecast.dataset.layout import (
    END_OF_TAR,
    FILES,
    IMAGES,
    SAMPLES,
    SHARDS,
    arrow_path,
    files_of_splits,
    is_arrow_description,
    is_of_split,
    merged_path,
    parquet_paths,
    part_name,
    part_path,
    part_receipt_path,
    tar_name,
)
from pagecast.dataset.sample import parse_sample_id, sample_of
from pagecast.dataset.shard import Shard
from pagecast.dataset.split import KEY_BITS, TRAIN, VAL, parquet_count, part_count
from pagecast.storage.paths import TEMPORARY, UNCOMMITTED
from pagecast.verify.dataset import Dataset, Fault
from pagecast.verify.lines import NO_SAMPLE, Numbers
from pagecast.verify.split import Samples, Split

IMAGE = re.compile(r".*\.(png|tar)")


class SampleFile(NamedTuple):
    """A file of samples, by its name, and the samples it should have, in order.

    keys: of those samples, where the file is made of parts. receipts: of these parts; without them
    the next run writes the file again.
    """

    name: str
    expected: Numbers
    keys: Sequence[int] = ()
    receipts: tuple[str, ...] = ()

    @property
    def is_lines(self) -> bool:
        """Whether it is of JSON lines, else of a table."""
        return self.name.endswith(".jsonl")

    @property
    def is_parquet(self) -> bool:
        """Whether it has images in it."""
        return self.name.endswith(".parquet")

    def receipts_of(self, sample: int | None) -> tuple[str, ...]:
        """Return the receipt of the part that a sample is in, or all where it is in none."""
        places = np.flatnonzero(self.expected == (NO_SAMPLE if sample is None else sample))
        if len(self.receipts) < 2 or not len(places):
            return self.receipts
        part = self.keys[int(places[0])] * len(self.receipts) >> KEY_BITS
        return (self.receipts[part],)


def sample_files(
    outputs: dict[str, Any], samples: Samples, split: Split, sample_bytes: int, image_bytes: int
) -> Iterator[SampleFile]:
    """Yield the files that repeat the samples.

    Args:
      outputs: what the manifest says was written.
      sample_bytes, image_bytes: mean length of a sample's line and images, by which the numbers of
        files are decided.
    """
    if outputs["merged"]:
        yield SampleFile(SAMPLES, np.arange(samples.count))
    for name in (VAL, TRAIN):
        of = part_count(len(split.numbers[name]), sample_bytes)
        stems = [part_name(name, number, of) for number in range(of)]
        receipts = [part_receipt_path("", stem) for stem in stems]
        if outputs["merged"]:
            numbers, keys = split.numbers[name], split.keys[name]
            yield SampleFile(merged_path("", name), numbers, keys, tuple(receipts))
        for number, (stem, receipt) in enumerate(zip(stems, receipts, strict=True)):
            part = split.of_part(name, number, of)
            if not outputs["merged"]:
                file = part_path("", stem, merge=False)
                yield SampleFile(file, part, receipts=(receipt,))
            if outputs["arrow"]:
                yield SampleFile(arrow_path("", stem), part, receipts=(receipt,))
            if not outputs.get("parquet"):
                continue
            files = parquet_count(len(split.numbers[name]), sample_bytes, image_bytes)
            for place, file in enumerate(parquet_paths("", stem, files), number * files):
                part = split.of_part(name, place, of * files)
                yield SampleFile(file, part, receipts=(receipt,))


def stray_files(dataset: Dataset, files: Sequence[SampleFile]) -> Iterator[Fault]:
    """Yield files of another split, which a loader might take for this one's.

    No receipt names them, so whose they are is not certain: a person has to say.
    """
    wanted = {file.name for file in files}
    for name in files_of_splits(dataset.output_dir):
        if is_of_split(name) and not is_arrow_description(name) and name not in wanted:
            yield Fault(name, "", "is not of this split; if it is of no use, remove it by hand")


def stray_images(
    dataset: Dataset, shards: Sequence[Shard], samples: Samples, unknown: Sequence[Shard]
) -> Iterator[Fault]:
    """Yield images without a sample, and what a killed run left beside the images.

    Only what has a temporary name is surely a run's own: nothing else is removed that no receipt
    names, since a person may have put it there.

    Args:
      unknown: shards whose samples are not known; images of their rows are not looked at.
    """
    rows = [range(shard.first_row, shard.first_row + shard.rows) for shard in unknown]
    article_rows = [row for row, _, _ in samples.articles]
    tars = {
        tar_name(mode, shard.number): bool(
            shard in unknown or articles_in(article_rows, shard.first_row, shard.rows)
        )
        for mode in dataset.modes
        for shard in shards
    }
    for directory in _mode_directories(dataset):
        mode = os.path.basename(directory)
        for path in storage.files_in(directory):
            file = os.path.basename(path)
            name = f"{IMAGES}/{mode}/{file}"
            if TEMPORARY in file:
                ours = UNCOMMITTED.fullmatch(file) is not None
                yield Fault(name, "", "is what a stopped run left", (name,) * ours)
                continue
            if not IMAGE.fullmatch(file):
                continue
            if dataset.pages.form == SHARDS and name in tars:
                if not tars[name] and storage.size_of(path) != len(END_OF_TAR):
                    yield Fault(name, "", "is a tar of a shard without samples; remove it by hand")
                continue
            try:
                row, chunk = parse_sample_id(sample_of(file.removesuffix(".png")))
            except ValueError:
                yield Fault(name, "", "is not Pagecast's, remove it by hand")
                continue
            known = mode in dataset.modes and dataset.pages.form == FILES
            if known and (samples.number(row, chunk) >= 0 or any(row in r for r in rows)):
                continue
            yield Fault(name, "", "is an image without a sample; remove it by hand")


def articles_in(article_rows: Sequence[int], first: int, rows: int) -> int:
    """Return how many of the articles with samples, given by their rows, are among some rows."""
    return bisect_left(article_rows, first + rows) - bisect_left(article_rows, first)


def _mode_directories(dataset: Dataset) -> Iterator[str]:
    images = dataset.path(IMAGES)
    if not storage.is_local(images):
        yield from (storage.join(images, mode) for mode in dataset.modes)
    elif os.path.isdir(images):
        with os.scandir(images) as entries:
            found = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        yield from sorted(found)
