"""A finished dataset in one call: its splits, and the pages of their samples."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from pagecast import storage
from pagecast.dataset.layout import merged_path, part_files
from pagecast.reader.lines import LineIndex, find_lines, noted_lines
from pagecast.reader.opened import Manifest, OpenDataset, ReaderError, read_manifest
from pagecast.reader.splits import Split
from pagecast.storage import local

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
        "s3://bucket/out" or "hf://datasets/owner/name".
    """

    def __init__(self, url: str | os.PathLike[str]) -> None:
        self._directory = local.path_of(os.fspath(url))
        self._manifest: Manifest | None = None
        self._lines: dict[str, LineIndex] = {}
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
        return Split(self, split, range(len(self.lines(split))))

    def image(self, sample: Mapping[str, Any] | str, mode: str) -> Image.Image:
        """Return a sample's page: a square image of mode "L", black on white, or as its style says.

        Args:
          sample: one of a split, or a row of its Arrow table; or its id alone.

        Raises:
          ReaderError: the page cannot be had; the text says why.
          OSError: a file cannot be read.
        """
        if isinstance(sample, str):
            return self._dataset().image(sample, mode, {})
        return self._dataset().image(sample["id"], mode, sample)

    def collate(
        self, samples: Sequence[Mapping[str, Any]], mode: str, rgb: bool = False
    ) -> dict[str, Any]:
        """Return samples and their pages as a batch.

        `id` is a list, `context_tokens` and `continuation_tokens` are int32 of [samples, tokens],
        `page` is uint8 of [samples, px, px], 0 black and 255 white; with `rgb` of
        [samples, 3, px, px]. Pages in colour are gray without `rgb`; of another shape than a square
        they have its height and width.

        Raises:
          ReaderError, OSError: as `image`; or the pages of these samples have several shapes.
        """
        samples = list(samples)
        images = [self.image(sample, mode) for sample in samples]
        if len(sizes := {image.size for image in images}) > 1:
            shown = " and ".join(f"{width} by {height}" for width, height in sorted(sizes))
            raise ReaderError(
                f"pages of {shown} pixels cannot be one batch: make it of samples of one shape"
            )
        if any(image.mode == "RGB" for image in images):
            images = [image.convert("RGB" if rgb else "L") for image in images]
        page = np.stack([np.asarray(image) for image in images])
        tokens = {name: np.array([s[name] for s in samples], np.int32) for name in TOKENS}
        if page.ndim == 4:
            page = np.ascontiguousarray(np.moveaxis(page, 3, 1))
        elif rgb:
            page = np.repeat(page[:, None], 3, axis=1)
        return {"id": [sample["id"] for sample in samples], **tokens, "page": page}

    def png(self, sample: str, mode: str) -> bytes:
        """Return a stored image, by the id of its sample, as the bytes of its PNG file.

        Raises:
          ReaderError: there is no such image.
          OSError: a file cannot be read.
        """
        return self._dataset().png(sample, mode)

    def checked_png(self, sample: str, mode: str) -> bytes:
        """Return a stored image that is known to be the one that was written.

        Raises:
          ReaderError: there is none, or what has its name is something else.
          OSError: a file cannot be read.
        """
        return self._dataset().checked_png(sample, mode)

    def lines(self, split: str) -> LineIndex:
        """Return where the lines of a split are: found once, by whoever asks first."""
        if split not in self._lines:
            self._lines[split] = self._find_lines(split)
        return self._lines[split]

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Return a range of one of the dataset's files."""
        return self._dataset().read(path, offset, length)

    def _find_lines(self, split: str) -> LineIndex:
        manifest = self._read_manifest()
        if split not in manifest.splits:
            raise ReaderError(f"{split!r} is not a split, only {', '.join(manifest.splits)}")
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
            self._directory = storage.pinned(self._directory)
            self._manifest = read_manifest(self._directory)
        return self._manifest

    def _dataset(self) -> OpenDataset:
        mine = os.getpid(), threading.get_ident()
        if mine not in self._opened:
            self._opened[mine] = OpenDataset(self._read_manifest())
        return self._opened[mine]
