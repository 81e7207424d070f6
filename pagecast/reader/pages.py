"""A finished dataset in one call: its splits, and the pages of their samples."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from pagecast import storage
from pagecast.dataset.layout import merged_path, part_files
from pagecast.reader.errors import ReaderError
from pagecast.reader.lines import LineIndex, find_lines, noted_lines
from pagecast.reader.manifest import Manifest, read_manifest
from pagecast.reader.opened import OpenDataset
from pagecast.reader.splits import LineRows, Rows, Split
from pagecast.storage import local
from pagecast.style.record import pages_of

if TYPE_CHECKING:
    from pagecast.reader.tables import OpenTables, Tables

TOKENS = ("context_tokens", "continuation_tokens")


class PageReader:
    """A finished dataset: samples by index, and their pages, stored as files, in tars, or drawn.

    >>> dataset = PageReader("output/demo")
    >>> dataset.modes
    {'tiny': 512, 'small': 640, 'base': 1024, 'large': 1280}
    >>> train = dataset["train"]
    >>> dataset.image(train[0], "base").size
    (1024, 1024)
    >>> {name: getattr(column, "shape", len(column))
    ...  for name, column in dataset.collate(train[:4], "tiny").items()}
    {'id': 4, 'context_tokens': (4, 1000), 'continuation_tokens': (4, 1000), 'page': (4, 512, 512)}

    One reader serves any number of threads and of processes, forked or spawned: each opens its own
    files when it first reads. Pages that are not stored are drawn by the font and layout of the
    job; each process first draws the dataset's probe page, and refuses where that is another.

    Args:
      url: an output directory, or one of its `splits/NAME`; a path, or a place in a store such as
        "s3://bucket/out"; or what was published, "hf://datasets/owner/name@revision".
    """

    def __init__(self, url: str | os.PathLike[str]) -> None:
        self._directory = local.path_of(os.fspath(url))
        self._manifest: Manifest | None = None
        self._lines: dict[str, LineIndex] = {}
        self._tables: Tables | None = None
        self._opened: dict[tuple[int, int], OpenDataset] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": {}}

    def __repr__(self) -> str:
        return f"PageReader({self._directory!r})"

    @property
    def modes(self) -> dict[str, int]:
        """The dataset's vision modes and the side of their pages in pixels."""
        return dict(self._read_manifest().modes)

    def size_of(self, mode: str) -> int:
        """Return the side of a mode's pages in pixels.

        Raises:
          ReaderError: the dataset has no such mode.
        """
        return self._read_manifest().size_of(mode)

    @property
    def splits(self) -> dict[str, int]:
        """The dataset's splits and how many samples each has."""
        return dict(self._read_manifest().splits)

    def __getitem__(self, split: str) -> Split:
        """Return the samples of "train" or "val" as a sequence.

        Raises:
          ReaderError: there is no such split, or its file is not as it was written.
          OSError: a file cannot be read.
        """
        splits = self._read_manifest().splits
        if split not in splits:
            raise ReaderError(f"{split!r} is not a split, only {', '.join(splits)}")
        self.rows(split)
        return Split(self, split, range(splits[split]))

    @property
    def is_paged(self) -> bool:
        """Whether a sample may have several pages in a mode, so that its images are lists."""
        return self._read_manifest().is_paged

    def image(self, sample: Mapping[str, Any] | str, mode: str, page: int = 0) -> Image.Image:
        """Return a sample's page, of mode "L", or "RGB" where the dataset's style has colours.

        Args:
          sample: one of a split, or a row of its Arrow table; or its id alone.
          page: which one, where the dataset is paged.

        Raises:
          ReaderError: the page cannot be had; the text says why.
          OSError: a file cannot be read.
        """
        if isinstance(sample, str):
            return self._dataset().image(sample, mode, {}, page)
        return self._dataset().image(sample["id"], mode, sample, page)

    def images(self, sample: Mapping[str, Any] | str, mode: str) -> list[Image.Image]:
        """Return all pages of a sample in their order; see `image`."""
        if not self.is_paged:
            return [self.image(sample, mode)]
        record = self._dataset().sample(sample) if isinstance(sample, str) else sample
        self.size_of(mode)
        pages = pages_of(record["font_metadata"][mode]) or 1
        return [self.image(record, mode, page) for page in range(pages)]

    def collate(
        self, samples: Sequence[Mapping[str, Any]], mode: str, rgb: bool = False
    ) -> dict[str, Any]:
        """Return samples and their pages as a batch.

        `id` is a list, `context_tokens` and `continuation_tokens` are int32 of [samples, tokens],
        `page` is uint8 of [samples, height, width], 0 black and 255 white, pages in colour as gray;
        with `rgb` of [samples, 3, height, width]. Where the dataset is paged, `page` has the pages
        of all samples, one after the other, and `pages` (int32) how many are of each.

        Raises:
          ReaderError, OSError: as `image`; or the pages of these samples have several shapes.
        """
        samples = list(samples)
        images = [self.images(sample, mode) for sample in samples]
        flat = [image for pages in images for image in pages]
        if len(sizes := {image.size for image in flat}) > 1:
            shown = " and ".join(f"{width} by {height}" for width, height in sorted(sizes))
            raise ReaderError(
                f"pages of {shown} pixels cannot be one batch: make it of samples of one shape"
            )
        if any(image.mode == "RGB" for image in flat):
            flat = [image.convert("RGB" if rgb else "L") for image in flat]
        page = np.stack([np.asarray(image) for image in flat])
        if page.ndim == 4:
            page = np.ascontiguousarray(np.moveaxis(page, 3, 1))
        elif rgb:
            page = np.repeat(page[:, None], 3, axis=1)
        tokens = {name: np.array([s[name] for s in samples], np.int32) for name in TOKENS}
        batch = {"id": [sample["id"] for sample in samples], **tokens, "page": page}
        if self.is_paged:
            batch["pages"] = np.array(list(map(len, images)), np.int32)
        return batch

    def png(self, sample: str, mode: str, page: int = 0) -> bytes:
        """Return a stored image, by the id of its sample, as the bytes of its PNG file.

        Raises:
          ReaderError: there is no such image.
          OSError: a file cannot be read.
        """
        return self._dataset().png(sample, mode, page)

    def checked_png(self, sample: str, mode: str, page: int = 0) -> bytes:
        """Return a stored image that is known to be the one that was written.

        Raises:
          ReaderError: there is none, or what has its name is something else.
          OSError: a file cannot be read.
        """
        return self._dataset().checked_png(sample, mode, page)

    def rows(self, split: str) -> Rows:
        """Return what reads the samples of a split here; where they are is found out once."""
        opened = self._dataset()
        if opened.tables is not None:
            return opened.tables.rows(split)
        if split not in self._lines:
            self._lines[split] = self._find_lines(split)
        return LineRows(self._lines[split], opened.read)

    def _find_lines(self, split: str) -> LineIndex:
        manifest = self._read_manifest()
        merged = merged_path(self._directory, split)
        parts = [] if manifest.merged else part_files(self._directory, split)
        paths = [storage.join(self._directory, name) for name in parts] or [merged]
        try:
            found = noted_lines(self._directory, split, paths) or find_lines(paths)
        except ValueError as error:
            raise ReaderError(f"{error}; {self._again}") from error
        except FileNotFoundError as error:
            raise ReaderError(f"{paths[0]} is not there; {self._again}") from error
        if len(found) != manifest.splits[split]:
            raise ReaderError(
                f"{paths[0]}{' and those beside it' * (len(paths) > 1)}: {len(found)} samples, not "
                f"the {manifest.splits[split]} of the manifest; {self._again}"
            )
        return found

    _again = "the `run` command that made the dataset writes it again"

    def _read_manifest(self) -> Manifest:
        if self._manifest is None:
            try:
                self._directory = storage.pinned(self._directory)
            except ValueError as error:
                raise ReaderError(f"{self._directory}: {error}") from error
            self._manifest = read_manifest(self._directory)
        return self._manifest

    def _dataset(self) -> OpenDataset:
        mine = os.getpid(), threading.get_ident()
        if mine not in self._opened:
            self._opened[mine] = OpenDataset(self._read_manifest(), self._open_tables())
        return self._opened[mine]

    def _open_tables(self) -> OpenTables | None:
        manifest = self._read_manifest()
        if manifest.tables is None:
            return None
        try:
            from pagecast.reader.tables import OpenTables, Tables
        except ImportError as error:
            raise ReaderError(
                f"{manifest.tables} is read with pyarrow: pip install pyarrow ({error})"
            ) from error
        self._tables = self._tables or Tables(manifest)
        return OpenTables(self._tables)
