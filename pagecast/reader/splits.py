"""The samples of a split as a sequence; none is in memory but what is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import index
from typing import Any, Protocol, overload

from pagecast import storage
from pagecast.reader.lines import LineIndex
from pagecast.reader.opened import parse_line

READ_BYTES = 4 << 20  # at a time, of samples in a row


class Files(Protocol):
    """What a split is read from: a `PageReader`."""

    def lines(self, split: str) -> LineIndex:
        """Return where the lines of a split are."""

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Return a range of a file."""


class Split(Sequence[dict[str, Any]]):
    """The samples of a split in its order, each read when it is asked for: a line of its file.

    A slice is a `Split` too. Threads and processes, forked or spawned, may share one.

    >>> from pagecast import PageReader
    >>> train = PageReader("output/demo")["train"]
    >>> len(train), train[-1]["title"]
    (57, 'Alkane')
    >>> [sample["chunk_index"] for sample in train[:3]]
    [0, 3, 2]
    """

    def __init__(self, reader: Files, name: str, rows: range) -> None:
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
        number = self._rows[index(at)]
        place = self._reader.lines(self._name).place(number)
        return parse_line(self._reader.read(*place), f"{place[0]}, line {number + 1},")

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if self._rows.step != 1:
            yield from self.take(range(len(self)))
            return
        lines, number = self._reader.lines(self._name), self._rows.start
        while number < self._rows.stop:
            count = lines.run(number, self._rows.stop, READ_BYTES)
            place = lines.place(number, count)
            for line in self._reader.read(*place).splitlines():
                number += 1
                yield parse_line(line, f"{place[0]}, line {number},")

    def take(self, at: Iterable[int]) -> Iterator[dict[str, Any]]:
        """Yield samples by index, in that order; from a store many are fetched at a time."""
        lines = self._reader.lines(self._name)
        numbers = [self._rows[index(each)] for each in at]
        places = [lines.place(number) for number in numbers]
        for number, place, line in zip(numbers, places, storage.read_ranges(places), strict=True):
            yield parse_line(line, f"{place[0]}, line {number + 1},")
