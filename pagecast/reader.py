"""Reading the pages of a dataset, whichever way it stores them: for training loaders."""

from __future__ import annotations

import io
import json
import os
import threading
from bisect import bisect_right
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from PIL import Image

from pagecast import storage
from pagecast.dataset.assets import DamagedAssetError, read_asset
from pagecast.dataset.layout import (
    FILES,
    MANIFEST,
    NONE,
    PLAN,
    asset_path,
    dataset_of,
    image_name,
    receipt_path,
)
from pagecast.dataset.manifest import fonts_of
from pagecast.dataset.receipts import read_images
from pagecast.dataset.sample import ModeImages, digest_of, parse_sample_id
from pagecast.dataset.shard import Shard, read_plan
from pagecast.dataset.versions import page_versions
from pagecast.render import PageRenderer
from pagecast.storage import local

# What to do where a version is another one than pages were laid out by.
REMEDIES = {
    "pillow": "install Pillow {pillow} from PyPI",
    "freetype": "install Pillow {pillow} from PyPI",
    "uniseg": "use the Pagecast that made them, {pagecast}",
    "fribidi": "use the Pagecast that made them, {pagecast}",
    "unicode": "use the version of Python that they were made with",
    "harfbuzz": "install uharfbuzz {harfbuzz}",
    "icu": "install PyICU-wheels {icu}",
    "raqm": "install Pillow {pillow} from PyPI",
}
MOST_RECEIPTS = 256  # kept in memory, for tars; some tens of kilobytes each


class ReaderError(Exception):
    """The dataset is not finished, or its pages cannot be had here as they were made."""


class PageReader:
    """The pages of a finished dataset: stored as files, in tars, or drawn from the samples' text.

    >>> reader = PageReader("output/demo")
    >>> reader.modes
    {'tiny': 512, 'small': 640, 'base': 1024, 'large': 1280}
    >>> sample = json.loads(next(open("output/demo/train.jsonl")))  # or a row of train_arrow
    >>> reader.image(sample, "base").size
    (1024, 1024)

    One reader serves any number of threads and of processes, forked or spawned: each opens its own
    files when it first reads. Pages that are not stored are drawn by the font and layout of the
    job; each process checks once that it has the same fonts and the same versions of Pillow and of
    what else decides where letters go.
    """

    def __init__(self, output_dir: str | os.PathLike[str]) -> None:
        self._output_dir = local.path_of(os.fspath(output_dir))
        self._opened: dict[tuple[int, int], _OpenDataset] = {}

    def __reduce__(self) -> tuple[type[PageReader], tuple[str]]:
        return PageReader, (self._output_dir,)

    @property
    def modes(self) -> dict[str, int]:
        """The dataset's vision modes and the side of their pages in pixels."""
        return dict(self._dataset().modes)

    def image(self, sample: Mapping[str, Any], mode: str) -> Image.Image:
        """Return a sample's page: a square image of mode "L", black on white.

        Args:
          sample: its `id`; where images are not stored its `context_text` too.

        Raises:
          ReaderError: the page cannot be had; the text says why.
          OSError: a file cannot be read.
        """
        dataset = self._dataset()
        px = dataset.size_of(mode)
        if dataset.form == NONE:
            return dataset.renderer.render(sample["context_text"], px).image
        image = Image.open(io.BytesIO(dataset.png(sample["id"], mode)))
        image.load()
        return image

    def png(self, sample: str, mode: str) -> bytes:
        """Return a stored image, by the id of its sample, as the bytes of its PNG file.

        Raises:
          ReaderError: there is no such image.
          OSError: a file cannot be read.
        """
        dataset = self._dataset()
        dataset.size_of(mode)
        return dataset.png(sample, mode)

    def checked_png(self, sample: str, mode: str) -> bytes:
        """Return a stored image that is known to be the one that was written.

        Raises:
          ReaderError: there is none, or what has its name is something else.
          OSError: a file cannot be read.
        """
        dataset = self._dataset()
        dataset.size_of(mode)
        return dataset.checked_png(sample, mode)

    def _dataset(self) -> _OpenDataset:
        mine = os.getpid(), threading.get_ident()
        if mine not in self._opened:
            self._opened[mine] = _OpenDataset(self._output_dir)
        return self._opened[mine]


class _OpenDataset:
    """A dataset as one thread of one process sees it, with its open files."""

    def __init__(self, output_dir: str) -> None:
        self._output_dir = output_dir
        path = storage.join(output_dir, MANIFEST)
        if not storage.exists(path):
            raise ReaderError(
                f"{path} is not there: the job is not finished, or this is not a dataset"
            )
        try:
            self._manifest = json.loads(storage.read_bytes(path))
            self._output_dir = dataset_of(output_dir, self._manifest)
            self.form = self._manifest["outputs"]["images"]
            modes = self._manifest["vision_modes"].items()
            self.modes = {name: table["px"] for name, table in modes}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ReaderError(
                f"{path} is not a manifest of Pagecast's ({type(error).__name__}: {error}): "
                "another tool may have written it, or it is damaged; the `run` command that made "
                "the dataset writes it again"
            ) from error
        self._files = storage.RangeReader()
        self._shards: list[Shard] | None = None
        self._renderer: PageRenderer | None = None
        self._images = lru_cache(MOST_RECEIPTS)(self._read_images)

    def size_of(self, mode: str) -> int:
        """Return the side of a mode's pages in pixels."""
        if mode not in self.modes:
            raise ReaderError(f"mode {mode!r} is not in the dataset, only {', '.join(self.modes)}")
        return self.modes[mode]

    def png(self, sample: str, mode: str) -> bytes:
        """Return a stored image."""
        if self.form == NONE:
            raise ReaderError("the dataset stores no images; `image` draws them")
        if self.form == FILES:
            try:
                parse_sample_id(sample)
            except ValueError as error:
                raise ReaderError(str(error)) from error
            return storage.read_bytes(storage.join(self._output_dir, image_name(mode, sample)))
        stored = self._images(self._shard_of(sample)).get(mode)
        if stored is None or sample not in stored.places:
            raise ReaderError(f"{sample} is not in the dataset")
        assert stored.tar is not None, "this form has tars"
        offset, length, _ = stored.places[sample]
        return self._files.read(storage.join(self._output_dir, stored.tar), offset, length)

    def checked_png(self, sample: str, mode: str) -> bytes:
        """Return a stored image that has the digest of its shard's receipt."""
        png = self.png(sample, mode)
        stored = self._images(self._shard_of(sample)).get(mode)
        place = stored and stored.places.get(sample)
        if not place or place.digest != digest_of(png):
            raise ReaderError(
                f"the image of {sample} in mode {mode} is not the one that was written; "
                f"`pagecast verify --output_dir {self._output_dir}` says more"
            )
        return png

    @property
    def renderer(self) -> PageRenderer:
        """What draws the pages as the job did."""
        if self._renderer is None:
            self._renderer = self._checked_renderer()
        return self._renderer

    def _checked_renderer(self) -> PageRenderer:
        made = self._manifest["versions"]
        for name, version in page_versions(made, self._manifest["options"]["layout"]).items():
            if made[name] != version:
                raise ReaderError(
                    f"the pages were laid out by {name} {made[name]}, here is {version or 'none'}: "
                    f"they might differ by pixels; {REMEDIES[name].format(**made)}"
                )
        options = self._manifest["options"]
        fonts = [self._font(font["sha256"]) for font in fonts_of(self._manifest)]
        return PageRenderer(fonts, options["layout"], options.get("line_break", "spaces"))

    def _font(self, digest: str) -> bytes:
        """Return a font of the job, unharmed."""
        try:
            return read_asset(asset_path(self._output_dir, digest, ".ttf"))
        except DamagedAssetError as error:
            raise ReaderError(str(error)) from error

    def _shard_of(self, sample: str) -> int:
        try:
            row, _ = parse_sample_id(sample)
        except ValueError as error:
            raise ReaderError(str(error)) from error
        if self._shards is None:
            entries = read_plan(storage.private(self._output_dir, PLAN))
            self._shards = [entry for entry in entries if isinstance(entry, Shard)]
        at = bisect_right(self._shards, row, key=lambda shard: shard.first_row) - 1
        if at < 0:
            raise ReaderError(f"{sample} is not in the dataset")
        return self._shards[at].number

    def _read_images(self, shard: int) -> dict[str, ModeImages]:
        return read_images(storage.read_bytes(receipt_path(self._output_dir, shard)))
