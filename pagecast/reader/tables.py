"""Samples and pages in Parquet files: as `publish` has them on the hub, or as they are copied.

A row group is read at a time, of it only the columns that are asked for: all but the images for a
sample, one for a page. The last ones stay in memory, so reading in order reads each once. Needs
pyarrow.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pagecast import storage
from pagecast.dataset.layout import IMAGES, PARQUET, parse_parquet_name
from pagecast.dataset.sample import parse_sample_id
from pagecast.dataset.tables.arrow import sample_schema
from pagecast.dataset.tables.parquet import with_bytes
from pagecast.reader.errors import CHUNK_BITS, DAMAGE, ReaderError, parsed
from pagecast.reader.manifest import Manifest

AGAIN = "copy or download the dataset again"
AT_ONCE = 16  # files of a store whose footers are read together
KEPT_BYTES = 48 << 20  # of row groups; one has 32 MB at most
MOST_OPEN = 32
MOST_NOTED = 1 << 16  # samples whose places are remembered, for their pages
SORTED_ROWS = 256  # that are read together, so that a row group is read once for all of them


class Row(NamedTuple):
    """Where a sample is."""

    path: str
    group: int
    row: int


@dataclass(frozen=True)
class RowGroups:
    """The row groups of a split's files in their order; it may be pickled and shared.

    files, numbers: each one's file among `paths`, and its number there. ends: in rows, counted over
    all files.
    """

    paths: tuple[str, ...]
    files: npt.NDArray[np.int32]
    numbers: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def place(self, row: int) -> Row:
        """Return where a row of the split is."""
        at = int(np.searchsorted(self.ends, row, side="right"))
        start = int(self.ends[at - 1]) if at else 0
        return Row(self.paths[self.files[at]], int(self.numbers[at]), row - start)

    def end_of_group(self, row: int) -> int:
        """Return the number of the row after those of a row's group."""
        return int(self.ends[np.searchsorted(self.ends, row, side="right")])


class Tables:
    """The Parquet files of a dataset: where its samples are, found when it is first asked for.

    It may be pickled and shared with other threads and with forked processes.
    """

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self._groups: dict[str, RowGroups] = {}
        self._ids: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None = None

    def groups(self, split: str) -> RowGroups:
        """Return the row groups of a split.

        Raises:
          ReaderError: a file is missing, or is not what the manifest says.
          OSError: a file cannot be read.
        """
        if split not in self._groups:
            self._groups[split] = self._find_groups(split)
        return self._groups[split]

    def find(self, name: str) -> Row:
        """Return where a sample is, by its id: the first time after a look at all ids.

        Raises:
          ReaderError: it is not there.
        """
        row, chunk = parsed(name)
        key = (row << CHUNK_BITS) + chunk
        if self._ids is None:
            self._ids = self._all_ids()
        keys, numbers = self._ids
        at = int(np.searchsorted(keys, key))
        if at == len(keys) or keys[at] != key:
            raise ReaderError(f"{name} is not in the dataset")
        number = int(numbers[at])
        for groups in map(self.groups, self.manifest.splits):
            if number < len(groups):
                return groups.place(number)
            number -= len(groups)
        raise AssertionError(name)

    def _find_groups(self, split: str) -> RowGroups:
        directory, wanted = self.manifest.tables, _schema(self.manifest)
        assert directory is not None
        found, of = [], 0
        for path in storage.files_in(directory):
            name = parse_parquet_name(f"{PARQUET}/{path.rsplit('/', 1)[-1]}")
            if name and name.split == split:
                found.append((name.of, name.number, path))
                of = max(of, name.of)
        paths = [path for _, _, path in sorted(found)]
        if len(paths) != of:
            raise ReaderError(
                f"{directory} has {len(paths)} of the {of} Parquet files of {split}; {AGAIN}"
            )
        with ThreadPoolExecutor(AT_ONCE) as pool:
            each = map if storage.is_local(directory) else pool.map
            rows = list(each(lambda path: _rows_of_groups(path, wanted), paths))
        counts = [len(groups) for groups in rows]
        found_groups = RowGroups(
            tuple(paths),
            np.repeat(np.arange(len(paths), dtype=np.int32), counts),
            np.array([number for count in counts for number in range(count)], np.int32),
            np.cumsum([count for groups in rows for count in groups], dtype=np.int64),
        )
        if len(found_groups) != self.manifest.splits[split]:
            raise ReaderError(
                f"{directory}: {len(found_groups)} samples in {split}, not the "
                f"{self.manifest.splits[split]} of the manifest; {AGAIN}"
            )
        return found_groups

    def _all_ids(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the keys of all samples in order, and the number of each over all splits."""
        paths = [path for split in self.manifest.splits for path in self.groups(split).paths]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            each = map if not paths or storage.is_local(paths[0]) else pool.map
            keys = np.concatenate([np.zeros(0, np.int64), *each(_keys, paths)])
        order = np.argsort(keys, kind="stable")
        return keys[order], order


def _schema(manifest: Manifest) -> pa.Schema:
    stored, sheet = manifest.form == PARQUET, manifest.made.sheet
    return with_bytes(sample_schema(list(manifest.modes), stored, sheet.is_varied, sheet.is_paged))


def _keys(path: str) -> npt.NDArray[np.int64]:
    with _naming(path), _open(path) as table:
        ids = map(parse_sample_id, table.read(["id"], use_threads=False)["id"].to_pylist())
        return np.array([(row << CHUNK_BITS) + chunk for row, chunk in ids], np.int64)


def _open(path: str) -> pq.ParquetFile:
    # From a store columns that lie together come by one request.
    return pq.ParquetFile(storage.open_ranges(path), pre_buffer=not storage.is_local(path))


def _rows_of_groups(path: str, wanted: pa.Schema) -> list[int]:
    with _naming(path), _open(path) as table:
        if not table.schema_arrow.equals(wanted):
            raise ValueError(f"its columns are not {', '.join(wanted.names)} as they were written")
        return [table.metadata.row_group(n).num_rows for n in range(table.num_row_groups)]


@contextlib.contextmanager
def _naming(path: str) -> Iterator[None]:
    """Name the file that is damaged, on one line."""
    try:
        yield
    except FileNotFoundError as error:
        raise ReaderError(f"{path} is not there; {AGAIN}") from error
    except (*DAMAGE, pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        what = " ".join(str(error).split())
        raise ReaderError(
            f"{path} is damaged, or another tool wrote it ({type(error).__name__}: {what}); {AGAIN}"
        ) from error


class OpenTables:
    """Parquet files as one thread of one process has them open."""

    def __init__(self, tables: Tables) -> None:
        self._tables, manifest = tables, tables.manifest
        self._files: OrderedDict[str, pq.ParquetFile] = OrderedDict()
        self._kept: OrderedDict[tuple[str, int, str], pa.Table] = OrderedDict()
        self._noted: OrderedDict[str, Row] = OrderedDict()
        self._columns = [name for name in _schema(manifest).names if name != IMAGES]
        if manifest.form == PARQUET:
            inside = ".list.element" if manifest.is_paged else ""
            self._columns += [f"{IMAGES}.{mode}{inside}.path" for mode in manifest.modes]

    def rows(self, split: str) -> TableRows:
        """Return what reads the samples of a split."""
        return TableRows(self._tables.groups(split), self)

    def samples(self, place: Row, count: int = 1) -> list[dict[str, Any]]:
        """Return samples that follow one another in a row group, as their JSON lines have them.

        Raises:
          ReaderError: the file is damaged.
        """
        path, group, row = place
        with _naming(path):
            rows = self._read(path, group, "", self._columns).slice(row, count).to_pylist()
            found = list(map(_as_in_lines, rows))
        for number, sample in enumerate(found, row):
            self._noted[sample["id"]] = Row(path, group, number)
        while len(self._noted) > MOST_NOTED:
            self._noted.popitem(last=False)
        return found

    def sample(self, name: str) -> dict[str, Any]:
        """Return a sample by its id."""
        return self.samples(self._place(name))[0]

    def png(self, name: str, mode: str, page: int | None) -> bytes:
        """Return the image of a sample by its id; of a list of them that of a page."""
        path, group, row = self._place(name)
        with _naming(path):
            inside = "" if page is None else ".list.element"
            column = self._read(path, group, mode, [f"{IMAGES}.{mode}{inside}.bytes"])[IMAGES]
            found = column[row].as_py()[mode]
            images = [found] if page is None else found
            if not all(image["bytes"] for image in images):
                raise ValueError(f"no image of {name} in mode {mode}")
        if page is not None and page >= len(images):
            raise ReaderError(f"{name} has no page {page} in mode {mode}")
        return images[page or 0]["bytes"]

    def _place(self, name: str) -> Row:
        """Return where a sample is; that of one which was read here lately is known."""
        return self._noted.get(name) or self._tables.find(name)

    def _read(self, path: str, group: int, mode: str, columns: Sequence[str]) -> pa.Table:
        """Return columns of a row group; `mode` is whose images they are, "" for all the rest."""
        found = self._kept.pop((path, group, mode), None)
        if found is None:
            found = self._file(path).read_row_group(group, columns, use_threads=False)
        self._kept[path, group, mode] = found
        held = sum(table.nbytes for table in self._kept.values())
        while held > KEPT_BYTES and len(self._kept) > 1:
            held -= self._kept.popitem(last=False)[1].nbytes
        return found

    def _file(self, path: str) -> pq.ParquetFile:
        if path not in self._files:
            if len(self._files) >= MOST_OPEN:
                self._files.popitem(last=False)[1].close(force=True)
            self._files[path] = _open(path)
        self._files.move_to_end(path)
        return self._files[path]


class TableRows(NamedTuple):
    """The samples of a split by number, as `splits.Rows` has them."""

    groups: RowGroups
    opened: OpenTables

    def one(self, number: int) -> dict[str, Any]:
        """Return a sample."""
        return self.opened.samples(self.groups.place(number))[0]

    def run(self, start: int, stop: int) -> Iterator[dict[str, Any]]:
        """Yield the samples from one on, before another."""
        while start < stop:
            count = min(stop, self.groups.end_of_group(start)) - start
            yield from self.opened.samples(self.groups.place(start), count)
            start += count

    def some(self, numbers: Sequence[int]) -> Iterator[dict[str, Any]]:
        """Yield samples by number, in that order."""
        for at in range(0, len(numbers), SORTED_ROWS):
            wanted = numbers[at : at + SORTED_ROWS]
            found = {number: self.one(number) for number in sorted(set(wanted))}
            yield from (found[number] for number in wanted)


def _as_in_lines(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with the paths of its images alone."""
    if row["id"] is None or row["context_text"] is None:
        raise ValueError("a row is not a sample")
    images = {
        mode: [i["path"] for i in image] if isinstance(image, list) else image["path"]
        for mode, image in row.get(IMAGES, {}).items()
    }
    pages = row.pop("font_metadata")  # comes after them
    return {**row, IMAGES: images, "font_metadata": pages}
