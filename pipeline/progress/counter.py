"""How far a job is, by the receipts of its shards and parts: each is read and counted once."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pagecast.dataset.layout import parse_part_receipt, parse_receipt_name
from pagecast.dataset.receipts import ReceiptCounts, read_counts
from pagecast.dataset.shard import Failure, Shard
from pagecast.dataset.split import TRAIN, VAL

SHARDS, CHECKING, SPLITTING, PARTS, MERGING = "shards", "checking", "splitting", "parts", "merging"


@dataclass(frozen=True)
class State:
    """How far a job is. `new_` is what this run did itself.

    of: shards planned. size: bytes of samples and images. errors: articles that failed and files
    that cannot be read. parts_of: parts of the split, at least; their receipts tell how many.
    """

    shards: int
    of: int
    samples: int = 0
    pages: int = 0
    size: int = 0
    errors: int = 0
    new_shards: int = 0
    new_samples: int = 0
    parts: int = 0
    parts_of: int = 2
    new_parts: int = 0

    @property
    def phase(self) -> str:
        """What is being done now, as far as receipts tell.

        Where all was there before, a run looks at what there is until it writes something.
        """
        if self.shards < self.of:
            return SHARDS
        if not self.new_shards and not self.new_parts:
            return CHECKING
        if not self.parts:
            return SPLITTING
        return PARTS if self.parts < self.parts_of else MERGING


class ReceiptCounter:
    """Counts receipts as they come; one that is replaced or removed is counted again or not at all.

    Args:
      plan: what the job is to do. modes: the vision modes without which a shard is not done.
    """

    def __init__(self, plan: Iterable[Shard | Failure], modes: Sequence[str]) -> None:
        entries = list(plan)
        self._shards = {entry.number: entry for entry in entries if isinstance(entry, Shard)}
        self._unreadable = len(entries) - len(self._shards)
        self._modes = tuple(modes)
        self._versions: dict[str, Hashable] = {}  # of the receipts that were read
        self._counts: dict[str, ReceiptCounts] = {}  # of those that count
        self._parts: dict[str, Hashable] = {}
        self._earlier: dict[str, Hashable] | None = None  # what was there before this run
        self._earlier_parts: dict[str, Hashable] | None = None

    @property
    def idle(self) -> set[str]:
        """The names of receipts that were read and do not count, so that others are awaited."""
        return self._versions.keys() - self._counts.keys()

    def to_read(self, listed: Mapping[str, Hashable]) -> list[str]:
        """Return which receipts are new or other ones, of those there are, names to versions."""
        receipts = {name: of for name, of in listed.items() if parse_receipt_name(name) is not None}
        if self._earlier is None:
            self._earlier = receipts
        for name in self._versions.keys() - receipts.keys():
            del self._versions[name]
            self._counts.pop(name, None)
        return [name for name, version in receipts.items() if self._versions.get(name) != version]

    def take(self, name: str, version: Hashable, content: bytes) -> None:
        """Count a receipt if it is a whole one of the planned rows at the wanted modes."""
        self._versions[name] = version
        self._counts.pop(name, None)
        try:
            counts = read_counts(content)
        except ValueError:
            return
        number = parse_receipt_name(name)
        planned = None if number is None else self._shards.get(number)
        if planned and counts.shard.has_rows_of(planned) and counts.modes == self._modes:
            self._counts[name] = counts

    def take_parts(self, listed: Mapping[str, Hashable]) -> None:
        """Take note of all receipts of parts that there are, names to versions."""
        self._parts = {name: of for name, of in listed.items() if parse_part_receipt(name)}
        if self._earlier_parts is None:
            self._earlier_parts = self._parts

    def state(self) -> State:
        """Return how far the job is by the receipts seen so far."""
        counted = self._counts.values()
        earlier, earlier_parts = self._earlier or {}, self._earlier_parts or {}
        new = [
            each for name, each in self._counts.items() if earlier.get(name) != self._versions[name]
        ]
        # Each split has a part at least, though one without samples is written in the end.
        of = {VAL: 1, TRAIN: 1}
        of.update(filter(None, map(parse_part_receipt, self._parts)))
        return State(
            shards=len(counted),
            of=len(self._shards),
            samples=sum(each.samples for each in counted),
            pages=sum(each.pages for each in counted),
            size=sum(each.size for each in counted),
            errors=self._unreadable + sum(each.failed for each in counted),
            new_shards=len(new),
            new_samples=sum(each.samples for each in new),
            parts=len(self._parts),
            parts_of=sum(of.values()),
            new_parts=sum(earlier_parts.get(name) != of for name, of in self._parts.items()),
        )
