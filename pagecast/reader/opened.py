"""A dataset as one thread of one process has it open: its files, its renderer."""

from __future__ import annotations

import hashlib
import io
from bisect import bisect_right
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from pagecast import storage
from pagecast.dataset.assets import DamagedAssetError, read_asset
from pagecast.dataset.layout import (
    FILES,
    NONE,
    PARQUET,
    PLAN,
    asset_path,
    image_name,
    receipt_path,
    shard_path,
    tar_name,
)
from pagecast.dataset.receipts import Receipt, read_images
from pagecast.dataset.sample import ModeImages, digest_of, page_names, parse_page_name
from pagecast.dataset.shard import Shard, read_plan
from pagecast.probe import remedy, unlike
from pagecast.reader.errors import (
    CHUNK_BITS,
    DAMAGE,
    PAGE_BITS,
    ReaderError,
    damaged,
    parse_line,
    parsed,
)
from pagecast.reader.manifest import Manifest
from pagecast.render.fonts import default_font
from pagecast.style.drawing import SheetRenderer

if TYPE_CHECKING:
    from pagecast.reader.tables import OpenTables

MOST_RECEIPTS = 256  # kept in memory as they are; some tens of kilobytes each


class Places(NamedTuple):
    """Where the images of one mode lie in a shard's tar, by the sorted keys of their samples."""

    keys: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]


def key_of(row: int, chunk: int, page: int) -> int:
    """Return the place of an image among all others."""
    return (((row << CHUNK_BITS) + chunk) << PAGE_BITS) + page


class OpenDataset:
    """A dataset as one thread of one process has it open.

    tables: what reads its Parquet files, where that is how it is read.
    """

    def __init__(self, manifest: Manifest, tables: OpenTables | None) -> None:
        self.tables = tables
        self._output_dir = manifest.output_dir
        self._manifest = manifest
        self._files = storage.RangeReader()
        self._shards: list[Shard] | None = None
        self._renderer: SheetRenderer | None = None
        self._probed: set[str] = set()
        self._places: dict[tuple[int, str], Places] = {}
        self._images = lru_cache(MOST_RECEIPTS)(self._read_images)
        self._lines = lru_cache(MOST_RECEIPTS)(self._read_lines)
        self._page_sizes = cache(manifest.made.sheet.page_sizes)

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Return a range of a file that stays open."""
        return self._files.read(path, offset, length)

    def image(self, sample: str, mode: str, record: Mapping[str, Any], page: int) -> Image.Image:
        """Return a page of a sample, which is looked up where its `record` has no context."""
        px = self._manifest.size_of(mode)
        if self._manifest.form == NONE:
            if not record.keys() >= {"context_text", "wiki_id"}:
                record = self.sample(sample)
            size = (record.get("font_metadata") or {}).get(mode, {}).get("font_size")
            _, renderer = self._drawing(mode).of(sample, record["wiki_id"])
            try:
                return renderer.draw(record["context_text"], px, size, page)
            except IndexError as error:
                raise ReaderError(f"{sample} has no page {page} in mode {mode}") from error
        png = self.png(sample, mode, page)
        try:
            image = Image.open(io.BytesIO(png), formats=("PNG",))
            if image.size not in self._page_sizes(px):
                raise ValueError(f"it has {image.width} by {image.height} pixels, not {px}")
            image.load()
        except (OSError, ValueError, SyntaxError) as error:
            raise ReaderError(
                f"the image of {sample} in mode {mode} is damaged ({error}); "
                f"`pagecast verify --output_dir {self._output_dir}` names all that is"
            ) from error
        return image

    def png(self, sample: str, mode: str, page: int) -> bytes:
        """Return a stored image."""
        self._manifest.size_of(mode)
        if self._manifest.form == NONE:
            raise ReaderError("the dataset stores no images; `image` draws them")
        row, chunk = parsed(sample)
        name = self._name(sample, page)
        if self._manifest.form == PARQUET and self.tables is not None:
            return self.tables.png(sample, mode, page if self._manifest.is_paged else None)
        if self._manifest.form == FILES:
            return storage.read_bytes(storage.join(self._output_dir, image_name(mode, name)))
        shard = self._shard_of(sample, row)
        key = key_of(row, chunk, page)
        places = self._places_in(shard, mode)
        at = int(np.searchsorted(places.keys, key))
        if at == len(places.keys) or places.keys[at] != key:
            raise ReaderError(f"{name} is not in the dataset")
        tar = storage.join(self._output_dir, tar_name(mode, shard))
        return self.read(tar, int(places.offsets[at]), int(places.lengths[at]))

    def checked_png(self, sample: str, mode: str, page: int) -> bytes:
        """Return a stored image that has the digest of its shard's receipt."""
        png = self.png(sample, mode, page)
        row, _ = parsed(sample)
        if self.tables is not None:
            raise ReaderError("an image in a Parquet file has no receipts to check it by")
        stored = self._images(self._shard_of(sample, row)).get(mode)
        place = stored and stored.places.get(self._name(sample, page))
        if not place or place.digest != digest_of(png):
            raise ReaderError(
                f"the image of {sample} in mode {mode} is not the one that was written; "
                f"`pagecast verify --output_dir {self._output_dir}` says more"
            )
        return png

    def _name(self, sample: str, page: int) -> str:
        """Return what an image is called."""
        if page < 0 or (page and not self._manifest.is_paged):
            raise ReaderError(f"{sample} has no page {page}")
        return page_names(sample, page + 1 if self._manifest.is_paged else None)[-1]

    def _drawing(self, mode: str) -> SheetRenderer:
        """Return what draws the pages of a mode as the job did."""
        manifest = self._manifest
        if mode in self._probed and self._renderer is not None:
            return self._renderer
        try:
            if self._renderer is None:
                sheet = manifest.made.sheet
                fonts = {name: self._font(name) for name in sheet.fonts}
                self._renderer = SheetRenderer(sheet, fonts)
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

    def _font(self, sha256: str) -> bytes:
        path = asset_path(self._output_dir, sha256, ".ttf")
        try:
            return read_asset(path)
        except FileNotFoundError as error:
            if hashlib.sha256(default_font()).hexdigest() == sha256:
                return default_font()  # a published dataset comes without
            raise ReaderError(
                f"{path} is not there: pages are drawn with a font that this dataset came without; "
                "give its file to PageRenderer, which draws them from the samples' texts"
            ) from error

    def sample(self, sample: str) -> dict[str, Any]:
        """Return a sample from its shard's file, or its table."""
        row, chunk = parsed(sample)
        if self.tables is not None:
            return self.tables.sample(sample)
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
            except FileNotFoundError as error:
                raise ReaderError(
                    f"{path} is not there, which says where images and samples are: the dataset "
                    "came without; one with Parquet (`run --parquet`) can be read so"
                ) from error
            except DAMAGE as error:
                raise damaged(path, error) from error
        at = bisect_right(self._shards, row, key=lambda shard: shard.first_row) - 1
        if at < 0:
            raise ReaderError(f"{sample} is not in the dataset")
        return self._shards[at].number

    def _places_in(self, shard: int, mode: str) -> Places:
        if (shard, mode) not in self._places:
            stored = self._images(shard).get(mode)
            found = sorted(
                (key_of(*parse_page_name(name)), place.offset, place.length)
                for name, place in (stored.places if stored else {}).items()
            )
            columns = np.array(found, np.int64).reshape(-1, 3).T.copy()
            self._places[shard, mode] = Places(*columns)
        return self._places[shard, mode]

    def _read_images(self, shard: int) -> dict[str, ModeImages]:
        path = receipt_path(self._output_dir, shard)
        try:
            return read_images(storage.read_bytes(path))
        except DAMAGE as error:
            raise damaged(path, error) from error

    def _read_lines(self, shard: int) -> dict[tuple[int, int], tuple[int, int]]:
        """Return the ranges of a shard's lines by row and chunk."""
        path = receipt_path(self._output_dir, shard)
        try:
            articles = Receipt.from_json(storage.read_bytes(path)).articles
        except DAMAGE as error:
            raise damaged(path, error) from error
        places, offset = {}, 0
        for article in articles:
            for chunk, length in enumerate(article.lengths):
                places[article.row, chunk] = offset, length
                offset += length
        return places
