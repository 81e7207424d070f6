"""What became of all rows read: every one is kept, dropped for a reason, or failed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pagecast.dataset.receipts import Receipt


class InconsistentError(Exception):
    """Pagecast counted the same thing in two ways and got two numbers: a defect, not bad input."""


@dataclass
class Accounts:
    """What became of all rows read; `shards_with_errors` have failed articles in their receipts.

    totals: rows, kept, failed (articles), samples, pages, jsonl_bytes.
    """

    totals: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    shards_with_errors: list[int] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)
    shards_counted: int = 0  # of whose losses it is known
    shards: int = 0

    @property
    def losses(self) -> dict[str, dict[str, int] | None]:
        """What the manifest says of losses: nothing, null if it is known of some shards only."""
        if not self.shards_counted:
            return {}
        whole = self.shards_counted == self.shards
        return {"losses": dict(sorted(self.lost.items())) if whole else None}

    @classmethod
    def of(cls, receipt: Receipt) -> Accounts:
        """Return the accounts of one shard."""
        totals = Counter(
            rows=receipt.shard.rows,
            kept=receipt.kept,
            failed=len(receipt.errors),
            samples=receipt.samples,
            pages=receipt.pages,
            jsonl_bytes=receipt.jsonl_bytes,
        )
        with_errors = [receipt.shard.number] if receipt.errors else []
        return cls(
            totals,
            Counter(receipt.dropped),
            with_errors,
            Counter(receipt.losses or {}),
            int(receipt.losses is not None),
            1,
        )

    def add(self, other: Accounts) -> Accounts:
        """Add other accounts to these, and return these."""
        self.totals.update(other.totals)
        self.dropped.update(other.dropped)
        self.shards_with_errors.extend(other.shards_with_errors)
        self.lost.update(other.lost)
        self.shards_counted += other.shards_counted
        self.shards += other.shards
        return self

    def check(self) -> None:
        """Make sure that every row is kept, dropped or failed.

        Raises:
          InconsistentError: rows are missing or counted twice.
        """
        rows, kept = self.totals["rows"], self.totals["kept"]
        found = kept + self.dropped.total() + self.totals["failed"]
        if rows != found or kept < 0:
            raise InconsistentError(f"{rows} rows read, but {found} kept, dropped or failed")
