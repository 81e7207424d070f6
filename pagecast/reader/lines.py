"""Where the lines of a split lie: millions of them, by one array of positions."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pagecast import storage
from pagecast.dataset.layout import part_lengths_files, part_lengths_path

NEWLINE = b"\n"
LENGTH = "<u4"  # of a line, in bytes; a file of them has no head


class LineIndex:
    """The lines of files that follow one another, by number: each line's file, offset and length.

    Eight bytes a line. What it holds may be pickled and shared with forked processes.

    ends: where each line ends, its newline included, counted over all the files.
    bases: where each file begins and the last one ends, counted alike.
    """

    def __init__(
        self, paths: Sequence[str], bases: Sequence[int], ends: npt.NDArray[np.int64]
    ) -> None:
        self.paths, self.bases, self.ends = tuple(paths), tuple(bases), ends

    def __len__(self) -> int:
        return len(self.ends)

    def place(self, number: int, count: int = 1) -> tuple[str, int, int]:
        """Return the path, the offset and the length of a line, or of some in one file."""
        start = int(self.ends[number - 1]) if number else 0
        file = bisect_right(self.bases, start) - 1
        return (
            self.paths[file],
            start - self.bases[file],
            int(self.ends[number + count - 1]) - start,
        )

    def run(self, number: int, stop: int, size: int) -> int:
        """Return how many lines from one on, before `stop`, are in its file and take `size` bytes.

        At least one.
        """
        start = int(self.ends[number - 1]) if number else 0
        most = min(start + size, self.bases[bisect_right(self.bases, start)])
        last = int(np.searchsorted(self.ends, most, side="right"))
        return max(1, min(last, stop) - number)


def note_lengths(directory: str, part: str, lengths: Sequence[int]) -> None:
    """Write down how long the lines of a part are, so that readers need not look."""
    path, content = part_lengths_path(directory, part), np.array(lengths, LENGTH).tobytes()
    try:
        is_known = storage.read_bytes(path) == content
    except OSError:
        is_known = False
    if not is_known:
        storage.commit(path, [content])


def noted_lines(directory: str, split: str, paths: Sequence[str]) -> LineIndex | None:
    """Return where the lines of a split are, if that is written down and fits its files."""
    try:
        noted = list(storage.read_each(part_lengths_files(directory, split)))
    except OSError:
        return None
    lengths = [np.frombuffer(each, LENGTH) for each in noted if each is not None]
    if not lengths or len(lengths) != len(noted) or len(paths) not in (1, len(lengths)):
        return None
    ends = np.cumsum(np.concatenate(lengths), dtype=np.int64)
    sizes = [sum(len(each) for each in lengths)] if len(paths) == 1 else [len(x) for x in lengths]
    bases = [0, *(int(ends[n - 1]) if n else 0 for n in np.cumsum(sizes))]
    for path, start, end in zip(paths, bases[:-1], bases[1:], strict=True):
        if storage.size_of(path) != end - start:
            return None
    return LineIndex(paths, bases, ends)


def find_lines(paths: Sequence[str]) -> LineIndex:
    """Read files once and return where their lines are.

    Raises:
      ValueError: a file ends within a line, and the text says which.
      OSError: a file cannot be read.
    """
    ends, bases = array("q"), [0]
    for path in paths:
        base = position = bases[-1]
        for piece in storage.read_pieces(path):
            at = piece.find(NEWLINE)
            while at >= 0:
                ends.append(position + at + 1)
                at = piece.find(NEWLINE, at + 1)
            position += len(piece)
        if position > base and (not ends or ends[-1] != position):
            raise ValueError(f"{path} ends within a line: it was cut short")
        bases.append(position)
    return LineIndex(paths, bases, np.frombuffer(ends, np.int64))
