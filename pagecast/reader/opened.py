"""A dataset as one thread of one process has it open: its manifest, its files, its renderer."""

from __future__ import annotations

import io
import json
from bisect import bisect_right
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from pagecast import storage
from pagecast.dataset.assets import DamagedAssetError, read_fonts
from pagecast.dataset.layout import (
    FILES,
    MANIFEST,
    NONE,
    PLAN,
    SHARDS,
    dataset_of,
    image_name,
    receipt_path,
    shard_path,
    tar_name,
)
from pagecast.dataset.receipts import Receipt, read_images
from pagecast.dataset.sample import ModeImages, digest_of, parse_sample_id
from pagecast.dataset.shard import Shard, read_plan
from pagecast.probe import Made, made_by, remedy, unlike
from pagecast.style.drawing import SheetRenderer

MOST_RECEIPTS = 256  # kept in memory as they are; some tens of kilobytes each
CHUNK_BITS = 20  # of the key of a sample within its shard
# What a file that another tool wrote, or half of one, leads to.
DAMAGE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


class ReaderError(Exception):
    """The dataset is not finished, or its pages cannot be had here as they were made."""


class Manifest(NamedTuple):
    """What a reader needs of a manifest: sizes in samples, sides of pages in pixels.

    output_dir: where the pages are; for a named split two above its own directory.
    """

    output_dir: str
    form: str
    merged: bool
    modes: dict[str, int]
    splits: dict[str, int]
    made: Made

    def size_of(self, mode: str) -> int:
        """Return the side of a mode's pages in pixels.

        Raises:
          ReaderError: the dataset has no such mode.
        """
        if mode not in self.modes:
            raise ReaderError(f"mode {mode!r} is not in the dataset, only {', '.join(self.modes)}")
        return self.modes[mode]


class Places(NamedTuple):
    """Where the images of one mode lie in a shard's tar, by the sorted keys of their samples."""

    keys: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]


def read_manifest(directory: str) -> Manifest:
    """Return what the manifest in a directory says.

    Raises:
      ReaderError: there is none, or it is not one of Pagecast's.
    """
    path = storage.join(directory, MANIFEST)
    if not storage.exists(path):
        raise ReaderError(f"{path} is not there: the job is not finished, or this is not a dataset")
    try:
        record = json.loads(storage.read_bytes(path))
        found = Manifest(
            dataset_of(directory, record),
            record["outputs"]["images"],
            bool(record["outputs"].get("merged", True)),
            {name: int(table["px"]) for name, table in record["vision_modes"].items()},
            {name: int(record["split"][name]["samples"]) for name in ("train", "val")},
            made_by(record),
        )
        if found.form not in (FILES, SHARDS, NONE):
            raise ValueError(f"images are {found.form!r}")
    except DAMAGE as error:
        raise ReaderError(
            f"{path} is not a manifest of Pagecast's ({type(error).__name__}: {error}): "
            "another tool may have written it, or it is damaged; the `run` command that made "
            "the dataset writes it again"
        ) from error
    return found


class OpenDataset:
    """A dataset as one thread of one process has it open."""

    def __init__(self, manifest: Manifest) -> None:
        self._output_dir = manifest.output_dir
        self._manifest = manifest
        self._files = storage.RangeReader()
        self._shards: list[Shard] | None = None
        self._renderer: SheetRenderer | None = None
        self._probed: set[str] = set()
        self._places: dict[tuple[int, str], Places] = {}
        self._images = lru_cache(MOST_RECEIPTS)(self._read_images)
        self._lines = lru_cache(MOST_RECEIPTS)(self._read_lines)

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Return a range of a file that stays open."""
        return self._files.read(path, offset, length)

    def image(self, sample: str, mode: str, record: Mapping[str, Any]) -> Image.Image:
        """Return a sample's page; the sample is looked up where its `record` has no context."""
        px = self._manifest.size_of(mode)
        if self._manifest.form == NONE:
            if not record.keys() >= {"context_text", "wiki_id"}:
                record = self._sample(sample)
            size = (record.get("font_metadata") or {}).get(mode, {}).get("font_size")
            _, renderer = self._drawing(mode).of(sample, record["wiki_id"])
            return renderer.draw(record["context_text"], px, size)
        png = self.png(sample, mode)
        try:
            image = Image.open(io.BytesIO(png), formats=("PNG",))
            if image.size not in self._manifest.made.sheet.page_sizes(px):
                raise ValueError(f"it has {image.width} by {image.height} pixels, not {px}")
            image.load()
        except (OSError, ValueError, SyntaxError) as error:
            raise ReaderError(
                f"the image of {sample} in mode {mode} is damaged ({error}); "
                f"`pagecast verify --output_dir {self._output_dir}` names all that is"
            ) from error
        return image

    def png(self, sample: str, mode: str) -> bytes:
        """Return a stored image."""
        self._manifest.size_of(mode)
        if self._manifest.form == NONE:
            raise ReaderError("the dataset stores no images; `image` draws them")
        row, chunk = _parsed(sample)
        if self._manifest.form == FILES:
            return storage.read_bytes(storage.join(self._output_dir, image_name(mode, sample)))
        shard = self._shard_of(sample, row)
        key = (row << CHUNK_BITS) + chunk
        places = self._places_in(shard, mode)
        at = int(np.searchsorted(places.keys, key))
        if at == len(places.keys) or places.keys[at] != key:
            raise ReaderError(f"{sample} is not in the dataset")
        tar = storage.join(self._output_dir, tar_name(mode, shard))
        return self.read(tar, int(places.offsets[at]), int(places.lengths[at]))

    def checked_png(self, sample: str, mode: str) -> bytes:
        """Return a stored image that has the digest of its shard's receipt."""
        png = self.png(sample, mode)
        row, _ = _parsed(sample)
        stored = self._images(self._shard_of(sample, row)).get(mode)
        place = stored and stored.places.get(sample)
        if not place or place.digest != digest_of(png):
            raise ReaderError(
                f"the image of {sample} in mode {mode} is not the one that was written; "
                f"`pagecast verify --output_dir {self._output_dir}` says more"
            )
        return png

    def _drawing(self, mode: str) -> SheetRenderer:
        """Return what draws the pages of a mode as the job did."""
        manifest = self._manifest
        if mode in self._probed and self._renderer is not None:
            return self._renderer
        try:
            if self._renderer is None:
                sheet = manifest.made.sheet
                self._renderer = SheetRenderer(sheet, read_fonts(self._output_dir, sheet))
            renderer = self._renderer
            why = unlike(manifest.made, lambda: renderer, {mode: manifest.modes[mode]})
        except DamagedAssetError as error:
            raise ReaderError(str(error)) from error
        except (ValueError, ImportError) as error:  # a layout, or its library, is not there
            why = str(error)
        if why:
            raise ReaderError(
                f"pages drawn here would not be those of the dataset: {why}; "
                f"{remedy(manifest.made)}"
            )
        self._probed.add(mode)
        return renderer

    def _sample(self, sample: str) -> dict[str, Any]:
        """Return a sample from its shard's file."""
        row, chunk = _parsed(sample)
        shard = self._shard_of(sample, row)
        place = self._lines(shard).get((row, chunk))
        if place is None:
            raise ReaderError(f"{sample} is not in the dataset")
        path = shard_path(self._output_dir, shard)
        return parse_line(self.read(path, *place), path)

    def _shard_of(self, sample: str, row: int) -> int:
        if self._shards is None:
            path = storage.private(self._output_dir, PLAN)
            try:
                self._shards = [each for each in read_plan(path) if isinstance(each, Shard)]
            except DAMAGE as error:
                raise _damaged(path, error) from error
        at = bisect_right(self._shards, row, key=lambda shard: shard.first_row) - 1
        if at < 0:
            raise ReaderError(f"{sample} is not in the dataset")
        return self._shards[at].number

    def _places_in(self, shard: int, mode: str) -> Places:
        if (shard, mode) not in self._places:
            stored = self._images(shard).get(mode)
            found = sorted(
                (((row << CHUNK_BITS) + chunk), place.offset, place.length)
                for sample, place in (stored.places if stored else {}).items()
                for row, chunk in [parse_sample_id(sample)]
            )
            columns = np.array(found, np.int64).reshape(-1, 3).T.copy()
            self._places[shard, mode] = Places(*columns)
        return self._places[shard, mode]

    def _read_images(self, shard: int) -> dict[str, ModeImages]:
        path = receipt_path(self._output_dir, shard)
        try:
            return read_images(storage.read_bytes(path))
        except DAMAGE as error:
            raise _damaged(path, error) from error

    def _read_lines(self, shard: int) -> dict[tuple[int, int], tuple[int, int]]:
        """Return the ranges of a shard's lines by row and chunk."""
        path = receipt_path(self._output_dir, shard)
        try:
            articles = Receipt.from_json(storage.read_bytes(path)).articles
        except DAMAGE as error:
            raise _damaged(path, error) from error
        places, offset = {}, 0
        for article in articles:
            for chunk, length in enumerate(article.lengths):
                places[article.row, chunk] = offset, length
                offset += length
        return places


def parse_line(line: bytes, where: str) -> dict[str, Any]:
    """Return the sample of a line.

    Raises:
      ReaderError: it is something else; `where` says which line.
    """
    try:
        sample = json.loads(line)
        _ = sample["id"], sample["context_text"]
    except DAMAGE as error:
        raise ReaderError(
            f"{where} is not a sample ({type(error).__name__}: {error}): the file was damaged or "
            "changed; `pagecast verify` names all that is"
        ) from error
    return sample


def _parsed(sample: str) -> tuple[int, int]:
    try:
        return parse_sample_id(sample)
    except ValueError as error:
        raise ReaderError(str(error)) from error


def _damaged(path: str, error: Exception) -> ReaderError:
    return ReaderError(
        f"{path} is damaged ({type(error).__name__}: {error}); the `run` command that made the "
        "dataset writes it again"
    )
