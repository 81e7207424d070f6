"""The samples of a split as a sequence; none is in memory but what is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import index
from typing import Any, NamedTuple, Protocol, overload

from pagecast import storage
from pagecast.reader.errors import parse_line
from pagecast.reader.lines import LineIndex

READ_BYTES = 4 << 20  # at a time, of samples in a row


class Rows(Protocol):
    """The samples of a split by number, in whatever they are stored."""

    def one(self, number: int) -> dict[str, Any]:
        """Return a sample."""

    def run(self, start: int, stop: int) -> Iterator[dict[str, Any]]:
        """Yield the samples from one on, before another."""

    def some(self, numbers: Sequence[int]) -> Iterator[dict[str, Any]]:
        """Yield samples by number, in that order."""


class Source(Protocol):
    """What a split is read from: a `PageReader`."""

    def rows(self, split: str) -> Rows:
        """Return what reads a split in this thread of this process."""


class LineRows(NamedTuple):
    """The samples of JSON lines; `read` gives a range of a file."""

    lines: LineIndex
    read: Callable[[str, int, int], bytes]

    def one(self, number: int) -> dict[str, Any]:
        """Return a sample."""
        place = self.lines.place(number)
        return parse_line(self.read(*place), f"{place[0]}, line {number + 1},")

    def run(self, start: int, stop: int) -> Iterator[dict[str, Any]]:
        """Yield the samples from one on, before another: many are read at a time."""
        while start < stop:
            place = self.lines.place(start, self.lines.run(start, stop, READ_BYTES))
            for line in self.read(*place).splitlines():
                start += 1
                yield parse_line(line, f"{place[0]}, line {start},")

    def some(self, numbers: Sequence[int]) -> Iterator[dict[str, Any]]:
        """Yield samples by number, in that order; from a store many are fetched at a time."""
        places = [self.lines.place(number) for number in numbers]
        for number, place, line in zip(numbers, places, storage.read_ranges(places), strict=True):
            yield parse_line(line, f"{place[0]}, line {number + 1},")


class Split(Sequence[dict[str, Any]]):
    """The samples of a split in its order, each read when it is asked for.

    A slice is a `Split` too. Threads and processes, forked or spawned, may share one.

    >>> from pagecast import PageReader
    >>> train = PageReader("output/demo")["train"]
    >>> len(train), train[-1]["title"]
    (57, 'Alkane')
    >>> [sample["chunk_index"] for sample in train[:3]]
    [0, 3, 2]
    """

    def __init__(self, reader: Source, name: str, rows: range) -> None:
        self._reader, self._name, self._rows = reader, name, rows

    def __repr__(self) -> str:
        return f"<{len(self)} samples of {self._name}>"

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, at: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, at: slice) -> Split: ...
    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return Split(self._reader, self._name, self._rows[at])
        return self._reader.rows(self._name).one(self._rows[index(at)])

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if self._rows.step != 1:
            return self.take(range(len(self)))
        return self._reader.rows(self._name).run(self._rows.start, self._rows.stop)

    def take(self, at: Iterable[int]) -> Iterator[dict[str, Any]]:
        """Yield samples by index, in that order; from a store many are fetched at a time."""
        return self._reader.rows(self._name).some([self._rows[index(each)] for each in at])
