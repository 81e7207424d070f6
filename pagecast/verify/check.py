"""Checking a whole dataset: shards first, then everything that is made of them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from pagecast import storage
from pagecast.dataset.layout import MANIFEST, SAMPLES, named_split, named_splits, shard_path
from pagecast.dataset.receipts import Receipt
from pagecast.dataset.shard import Shard
from pagecast.dataset.split import ASKED, TRAIN, VAL, SplitSettings
from pagecast.verify.dataset import Dataset, Fault
from pagecast.verify.expected import expected_samples
from pagecast.verify.files import SampleFile, sample_files, stray_files, stray_images
from pagecast.verify.images import why_not_redrawn
from pagecast.verify.lines import (
    NO_SAMPLE,
    Found,
    Numbers,
    compare,
    differing_fields,
    scan_arrow,
    scan_lines,
    scan_parquet,
)
from pagecast.verify.manifest import (
    asset_faults,
    description_faults,
    filtered_faults,
    leaks,
    manifest_faults,
)
from pagecast.verify.shard import Digests, Redraw, ShardReport, check_shard, digest
from pagecast.verify.split import Samples, split_by_the_rule

BLOCK_BYTES = 64 << 20  # of a file of JSON lines, read by one worker at a time
ENDS: dict[str, type] = {"first": int, "last": int}
SWITCHES: dict[str, type] = dict.fromkeys(
    ("merged", "arrow", "parquet"), bool
)  # of `outputs` in the manifest
MOST_COMPARED = 100  # differing lines of a file whose fields are compared

# Maps a function over items, in order: (what they are called, the function, the items).
Each = Callable[[str, Callable[[Any], Any], Sequence[Any]], Iterator[Any]]


class Block(NamedTuple):
    """A part of a file to be read by one worker; `end` is None for the whole of a table's file."""

    path: str
    start: int
    end: int | None


def scan(block: Block) -> Found | str:
    """Read a block of a file of samples, or say why it cannot be read."""
    try:
        if block.end is None:
            scan_table = scan_parquet if block.path.endswith(".parquet") else scan_arrow
            return scan_table(block.path)
        return scan_lines(block.path, block.start, block.end)
    except (OSError, pa.ArrowException, ValueError) as error:
        return f"cannot be read ({' '.join(str(error).split())})"


class Lines(NamedTuple):
    """The lines of all samples in the shards' files: where each is, and its digest if known.

    rows: the digest of each with its images.
    """

    output_dir: str
    shards: Numbers
    offsets: Numbers
    sizes: Numbers
    digests: Digests
    rows: Digests

    @classmethod
    def of(cls, output_dir: str, reports: Sequence[ShardReport]) -> Lines:
        """Return the lines that the receipts of shards name."""
        places = [
            (receipt.shard.number, sample.offset, sample.length)
            for report in reports
            if (receipt := report.receipt) is not None
            for sample in expected_samples(receipt)
        ]
        shards, offsets, sizes = np.array(places, np.int64).reshape(-1, 3).T
        nothing = np.zeros(0, np.uint64)
        digests, rows = (
            np.concatenate([nothing, *column])
            for column in ([r.digests for r in reports], [r.rows for r in reports])
        )
        return cls(output_dir, shards, offsets, sizes, digests, rows)

    def read(self, sample: int, reader: storage.RangeReader) -> bytes:
        """Return a sample's line."""
        path = shard_path(self.output_dir, int(self.shards[sample]))
        return reader.read(path, int(self.offsets[sample]), int(self.sizes[sample]))


def shards_of(manifest: Mapping[str, Any]) -> set[int]:
    """Return the numbers of the shards that a named split is of."""
    return {n for a, b in manifest["shards"]["numbers"] for n in range(a, b + 1)}


def _require(record: Any, types: dict[str, type]) -> None:
    for name, wanted in types.items():
        if type(record[name]) is not wanted:
            raise ValueError(f"its {name} is {record[name]!r}")


@dataclass
class Check:
    """One verification and what it found."""

    dataset: Dataset
    config: dict[str, Any]
    shards: list[Shard]
    each: Each
    chosen_count: int | None = None
    seed: int = 0
    redraw_all: bool = False
    faults: list[Fault] = field(default_factory=list)
    samples_checked: int = 0
    pages_checked: int = 0
    files_checked: int = 0

    def run(self) -> None:
        """Check everything that can be checked."""
        self.faults += asset_faults(self.dataset)
        if self.faults:
            return  # without tokenizer or font nothing else can be told
        chosen = None if self.chosen_count is None else self.choose(self.chosen_count)
        redraw = Redraw(self.redraw_all, self.seed)
        work = partial(check_shard, dataset=self.dataset, chosen=chosen, redraw=redraw)
        reports: list[ShardReport] = list(self.each("shards", work, self.shards))
        for report in reports:
            self.faults += report.faults
            self.pages_checked += report.pages
        _, samples, _ = self.contents(reports)
        self.samples_checked = samples.count if chosen is None else len(chosen)
        unknown = [report.shard for report in reports if report.receipt is None]
        self.faults += stray_images(self.dataset, self.shards, samples, unknown)
        manifest = self.read_manifest()
        if manifest is not None and not unknown:
            self.check_split(manifest, *self.contents(reports))
        for name in named_splits(self.dataset.output_dir):
            self.check_named(name, reports)

    def contents(self, reports: Sequence[ShardReport]) -> tuple[list[Receipt], Samples, Lines]:
        """Return what there is in shards, as far as they have receipts."""
        receipts = [report.receipt for report in reports if report.receipt is not None]
        articles = [article for receipt in receipts for article in receipt.articles]
        samples = Samples([(a.row, a.wiki_id, len(a.lengths)) for a in articles])
        return receipts, samples, Lines.of(self.dataset.output_dir, reports)

    def of_named(self, name: str) -> Dataset:
        """Return the dataset as a named split of it, by the directory of that."""
        return self.dataset._replace(output_dir=self.dataset.path(named_split("", name)))

    def check_named(self, name: str, reports: Sequence[ShardReport]) -> None:
        """Check a split of `pagecast split`, as the split of those shards that it is of."""
        below, there = named_split("", name), self.of_named(name)
        check = replace(self, dataset=there, faults=[], samples_checked=0, files_checked=0)
        manifest = check.read_manifest(name)
        if manifest is not None:
            numbers = shards_of(manifest)
            used = [report for report in reports if report.shard.number in numbers]
            if len(used) == len(numbers) and all(report.receipt for report in used):
                check.check_split(manifest, *self.contents(used))
            else:
                check.faults.append(Fault(MANIFEST, "", "shards that it is of are not there"))
        self.files_checked += check.files_checked
        for fault in check.faults:
            names = (f"{below}/{name}" for name in fault.remove)
            self.faults.append(fault._replace(file=f"{below}/{fault.file}", remove=tuple(names)))

    def choose(self, count: int) -> frozenset[str]:
        """Return the ids of some samples, the same whenever the seed is."""
        ids: list[str] = []
        for report in self.each(
            "receipts", partial(check_shard, dataset=self.dataset, chosen=frozenset()), self.shards
        ):
            if report.receipt is not None:
                ids += [sample.id for sample in expected_samples(report.receipt)]
        return frozenset(random.Random(self.seed).sample(ids, min(count, len(ids))))

    def read_manifest(self, name: str | None = None) -> dict[str, Any] | None:
        """Return the manifest, or None and note why.

        Args:
          name: of the split, where it is not that of the dataset.
        """
        try:
            content = storage.read_bytes(self.dataset.path(MANIFEST))
            manifest = json.loads(content)
            _require(manifest["options"], dict.fromkeys(ASKED, int))
            _require({"parquet": False, **manifest["outputs"]}, SWITCHES)
            if manifest["outputs"]["filtered"] is not None:
                _require(manifest["outputs"]["filtered"], {"articles": int, "sha256": str})
            if name is not None:
                _require(manifest, {"complete": bool})
                for run in manifest["shards"]["numbers"]:
                    _require(dict(zip(("first", "last"), run, strict=True)), ENDS)
        except FileNotFoundError:
            self.faults.append(Fault(MANIFEST, "", "is missing: the job is not finished"))
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            self.faults.append(Fault(MANIFEST, "", f"is damaged ({error})", (MANIFEST,)))
        else:
            return manifest
        return None

    def settings_of(self, manifest: dict[str, Any]) -> SplitSettings:
        """Return what decided the split that a manifest is of."""
        asked = {name: manifest["options"][name] for name in ASKED}
        return SplitSettings(**asked, candidates=self.dataset.sheet.candidates)

    def check_split(
        self,
        manifest: dict[str, Any],
        receipts: list[Receipt],
        samples: Samples,
        lines: Lines,
    ) -> None:
        """Check the manifest and all files that are made of the shards'."""
        outputs, settings = manifest["outputs"], self.settings_of(manifest)
        split = split_by_the_rule(samples, settings)
        complete = manifest.get("complete", True)
        self.faults += manifest_faults(
            manifest, self.config, receipts, samples, split, complete=complete
        )
        sizes = int(lines.sizes.sum()), sum(receipt.image_bytes for receipt in receipts)
        means = (-(-size // max(samples.count, 1)) for size in sizes)
        files = list(sample_files(outputs, samples, split, *means))
        if "name" in manifest:  # it has the split's files alone
            files = [file for file in files if file.name != SAMPLES]
        self.faults += stray_files(self.dataset, files)
        if outputs["arrow"]:
            self.faults += description_faults(self.dataset, files)
        if self.chosen_count is not None:
            for file in files:
                self.faults += self.chosen_faults(file, samples, lines)
            return
        self.faults += filtered_faults(self.dataset, outputs)
        found = self.check_files(files, samples, lines)
        self.faults += leaks(samples, found)

    def check_files(
        self, files: Sequence[SampleFile], samples: Samples, lines: Lines
    ) -> dict[str, list[int]]:
        """Read all files of samples; return what stands in the JSON lines of each split."""
        blocks, owners = [], []
        for number, file in enumerate(files):
            for block in self.blocks(file):
                blocks.append(block)
                owners.append(number)
        pieces: list[list[Found | str]] = [[] for _ in files]
        found: dict[str, list[int]] = {VAL: [], TRAIN: []}
        for owner, piece in zip(owners, self.each("files", scan, blocks), strict=True):
            pieces[owner].append(piece)
        for file, read in zip(files, pieces, strict=True):
            self.files_checked += 1
            if unreadable := [piece for piece in read if isinstance(piece, str)]:
                self.faults.append(Fault(file.name, "", unreadable[0], file.receipts))
                continue
            whole = Found.joined([piece for piece in read if isinstance(piece, Found)])
            ids = zip(whole.rows.tolist(), whole.chunks.tolist(), strict=True)
            numbers = np.array([samples.number(*at) for at in ids], np.int64)
            self.faults += self.line_faults(file, numbers, whole, samples, lines)
            for split in (VAL, TRAIN):
                if file.name.startswith((f"{split}.", f"{split}-")):
                    found[split] += numbers[numbers != NO_SAMPLE].tolist()
        return found

    def blocks(self, file: SampleFile) -> list[Block]:
        """Return the pieces in which a file is read; at least one, which tells if it is there."""
        path = self.dataset.path(file.name)
        if not file.is_lines:
            return [Block(path, 0, None)]
        size = storage.size_of(path) if storage.exists(path) else 1
        return [
            Block(path, start, min(start + BLOCK_BYTES, size))
            for start in range(0, max(size, 1), BLOCK_BYTES)
        ]

    def line_faults(
        self,
        file: SampleFile,
        numbers: Numbers,
        found: Found,
        samples: Samples,
        lines: Lines,
    ) -> Iterator[Fault]:
        """Yield what is wrong with the lines of a file."""
        starts = np.cumsum(found.sizes) - found.sizes
        known = lines.rows if file.is_parquet else lines.digests
        with storage.RangeReader() as reader:
            for shown, (sample, line, what) in enumerate(
                compare(numbers, found.digests, file.expected, known)
            ):
                fields = ", or its images do" * (file.is_parquet and line is not None)
                compared = shown < MOST_COMPARED and file.is_lines
                if compared and line is not None and sample is not None:
                    place = int(starts[line]), int(found.sizes[line])
                    was = reader.read(self.dataset.path(file.name), *place)
                    fields = differing_fields(was, lines.read(sample, reader))
                name = "" if sample is None else samples.id(sample)
                yield Fault(file.name, name, what + fields, file.receipts_of(sample))

    def chosen_faults(self, file: SampleFile, samples: Samples, lines: Lines) -> Iterator[Fault]:
        """Look for the chosen samples where they should stand in a file of JSON lines."""
        if not file.is_lines:
            return
        path, sizes = self.dataset.path(file.name), lines.sizes[file.expected]
        ends, wanted = np.cumsum(sizes), int(sizes.sum())
        if not storage.exists(path) or storage.size_of(path) != wanted:
            what = f"is missing or does not have its {wanted} bytes"
            yield Fault(file.name, "", what, file.receipts)
            return
        self.files_checked += 1
        with storage.RangeReader() as reader:
            for place in np.flatnonzero(lines.digests[file.expected]):
                number, size = int(file.expected[place]), int(sizes[place])
                line = reader.read(path, int(ends[place]) - size, size)
                if digest(line) != lines.digests[number]:
                    what = f"line {place + 1} differs from its shard"
                    yield Fault(file.name, samples.id(number), what, file.receipts_of(number))

    def summary(self) -> str:
        """Return the closing line."""
        checked = (
            f"{len(self.shards):,} shards, {self.samples_checked:,} samples, "
            f"{self.pages_checked:,} images, {self.files_checked:,} files"
        )
        if why := why_not_redrawn(self.dataset):
            checked += f"; no page was redrawn ({why})"
        return f"checked {checked}: {len(self.faults) or 'no'} faults"
