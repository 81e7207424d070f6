"""What a reader needs of a manifest, and in which of its files a dataset is read."""

from __future__ import annotations

import contextlib
import json
from typing import Any, NamedTuple

from pagecast import storage
from pagecast.dataset.layout import (
    DATA,
    FILES,
    MANIFEST,
    NONE,
    PARQUET,
    SHARDS,
    dataset_of,
    merged_path,
    part_files,
)
from pagecast.dataset.split import TRAIN
from pagecast.probe import Made, made_by
from pagecast.reader.errors import DAMAGE, ReaderError


class Manifest(NamedTuple):
    """What a reader needs of a manifest: sizes in samples, sides of pages in pixels.

    output_dir: where the pages are; for a named split two above its own directory. form: how images
    are stored, `layout.PARQUET` where they are taken from there. tables: the directory of the
    Parquet files that are read because there are no JSON lines, or None.
    """

    output_dir: str
    form: str
    tables: str | None
    merged: bool
    modes: dict[str, int]
    splits: dict[str, int]
    made: Made

    @property
    def is_paged(self) -> bool:
        """Whether a sample has a list of pages in each mode."""
        return self.made.sheet.is_paged

    def size_of(self, mode: str) -> int:
        """Return the side of a mode's pages in pixels.

        Raises:
          ReaderError: the dataset has no such mode.
        """
        if mode not in self.modes:
            raise ReaderError(f"mode {mode!r} is not in the dataset, only {', '.join(self.modes)}")
        return self.modes[mode]


def read_manifest(directory: str) -> Manifest:
    """Return what a reader needs of the manifest in a directory.

    Raises:
      ReaderError: there is none, or it is not one of Pagecast's.
    """
    return read_record(directory)[0]


def read_record(directory: str) -> tuple[Manifest, dict[str, Any]]:
    """Return what a reader needs of the manifest in a directory, and all that it says.

    Raises:
      ReaderError: there is none, or it is not one of Pagecast's.
    """
    path = storage.join(directory, MANIFEST)
    if not storage.exists(path):
        raise ReaderError(f"{path} is not there: the job is not finished, or this is not a dataset")
    try:
        record = json.loads(storage.read_bytes(path))
        outputs = record["outputs"]
        form, merged = outputs["images"], bool(outputs.get("merged", True))
        if form not in (FILES, SHARDS, NONE):
            raise ValueError(f"images are {form!r}")
        tables = _tables_of(directory, merged) if outputs.get("parquet") else None
        found = Manifest(
            dataset_of(directory, record),
            PARQUET if tables and form != NONE else form,
            tables,
            merged,
            {name: int(table["px"]) for name, table in record["vision_modes"].items()},
            {name: int(record["split"][name]["samples"]) for name in ("train", "val")},
            made_by(record),
        )
    except DAMAGE as error:
        raise ReaderError(
            f"{path} is not a manifest of Pagecast's ({type(error).__name__}: {error}): "
            "another tool may have written it, or it is damaged; the `run` command that made "
            "the dataset writes it again"
        ) from error
    return found, record


def _tables_of(directory: str, merged: bool) -> str | None:
    """Return where Parquet files are, if these are all that there is of the split."""
    if storage.exists(merged_path(directory, TRAIN)) or (
        not merged and part_files(directory, TRAIN)
    ):
        return None
    for name in (DATA, PARQUET):
        with contextlib.suppress(FileNotFoundError):  # on the hub
            if any(storage.files_in(storage.join(directory, name))):
                return storage.join(directory, name)
    return None
