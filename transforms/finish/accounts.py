"""The accounts of the whole job, from those of its shards."""

from __future__ import annotations

from collections.abc import Iterable

import apache_beam as beam

from pagecast.dataset.receipts import Accounts, Receipt


class CountRows(beam.CombineFn):
    """Combine receipts into the accounts of the whole job."""

    def create_accumulator(self) -> Accounts:
        """Return accounts of nothing."""
        return Accounts()

    def add_input(self, accounts: Accounts, receipt: Receipt) -> Accounts:
        """Add one shard."""
        return accounts.add(Accounts.of(receipt))

    def merge_accumulators(self, accumulators: Iterable[Accounts]) -> Accounts:
        """Add accounts."""
        merged = Accounts()
        for accounts in accumulators:
            merged.add(accounts)
        return merged

    def extract_output(self, accounts: Accounts) -> Accounts:
        """Return the accounts."""
        return accounts
