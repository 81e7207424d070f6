"""Finishing a job: the accounts, the merged files, and the manifest that vouches for them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import apache_beam as beam

from transforms import storage
from transforms.parts import ALL, USED, Part, part_names, part_path
from transforms.records import Failure, Shard
from transforms.samples import Receipt, receipt_path, shard_path
from transforms.shards import read_plan
from transforms.split import TRAIN, VAL, SplitPlan, SplitSettings

MANIFEST = "split_manifest.json"
# Private files:
ERRORS = "errors.jsonl"
CONFIG = "config.json"
PLAN = "plan.jsonl"


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
        return cls(totals, Counter(receipt.dropped), with_errors)

    def add(self, other: Accounts) -> Accounts:
        """Add other accounts to these, and return these."""
        self.totals.update(other.totals)
        self.dropped.update(other.dropped)
        self.shards_with_errors.extend(other.shards_with_errors)
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


class Results(NamedTuple):
    """Everything that the graph found out about the job."""

    accounts: Accounts
    plan: SplitPlan
    article_counts: Mapping[str, int]
    parts: list[Part]
    failures: list[Failure]


def finish(results: Results, output_dir: str, settings: SplitSettings, merge: bool) -> bool:
    """Write errors.jsonl and, where all shards are done, the data files and the manifest.

    The manifest is written last: where it is, everything is. Returns whether it was written.

    Raises:
      InconsistentError: counts that must agree do not; no manifest is written.
    """
    storage.commit(storage.private(output_dir, ERRORS), _error_lines(results, output_dir))
    if results.failures:
        return False
    results.accounts.check()
    _check_parts(results)
    for split in (VAL, TRAIN):
        _write_split(results, output_dir, split, merge)
    if merge:
        _merge_samples(results, output_dir)
    manifest = manifest_of(results, _read_config(output_dir), settings)
    content = json.dumps(manifest, indent=2).encode("ascii") + b"\n"
    storage.commit(storage.join(output_dir, MANIFEST), [content])
    return True


def manifest_of(
    results: Results, config: Mapping[str, Any], settings: SplitSettings
) -> dict[str, Any]:
    """Return the manifest: what went in, by which rules, and what came out.

    Raises:
      InconsistentError: an article is in both splits.
    """
    accounts, plan, articles = results.accounts, results.plan, results.article_counts
    val, train = articles.get(VAL, 0), articles.get(TRAIN, 0)
    if val + train != articles.get(USED, 0):
        raise InconsistentError(f"{val} val and {train} train articles, {articles[USED]} together")
    return {
        "options": {**config["options"], **settings._asdict()},
        "counts": {
            "rows_read": accounts.totals["rows"],
            "kept": accounts.totals["kept"],
            "dropped": dict(sorted(accounts.dropped.items())),
            "failed": accounts.totals["failed"],
            "samples": accounts.totals["samples"],
            "pages": accounts.totals["pages"],
        },
        "split": {
            "val": {"samples": plan.val, "articles": val},
            "train": {"samples": plan.train, "articles": train},
            "unused": {"samples": plan.unused, "articles": articles.get(ALL, 0) - val - train},
        },
        "disjoint": {
            "val_articles": val,
            "train_articles": train,
            "sum": val + train,
            "articles_in_either": articles.get(USED, 0),
        },
        **{key: config[key] for key in ("vision_modes", "tokenizer", "font", "versions", "inputs")},
    }


def _check_parts(results: Results) -> None:
    for split in (VAL, TRAIN):
        written = sum(part.samples for part in results.parts if part.name.startswith(split))
        if written != results.plan.size(split):
            raise InconsistentError(
                f"{split} has {written} samples, {results.plan.size(split)} planned"
            )


def _write_split(results: Results, output_dir: str, split: str, merge: bool) -> None:
    """Put a split's parts together, or see that its empty parts exist too."""
    written = {part.name for part in results.parts}
    names = part_names(split, results.plan.size(split))
    if merge:
        paths = [part_path(output_dir, name, merge) for name in names if name in written]
        storage.commit(storage.join(output_dir, f"{split}.jsonl"), storage.copy_pieces(paths))
        storage.remove(paths)
        return
    for name in names:
        if name not in written:
            storage.commit(part_path(output_dir, name, merge), [])


def _merge_samples(results: Results, output_dir: str) -> None:
    plan = read_plan(storage.private(output_dir, PLAN))
    shards = (shard_path(output_dir, shard.number) for shard in plan if isinstance(shard, Shard))
    merged = storage.commit(storage.join(output_dir, "samples.jsonl"), storage.copy_pieces(shards))
    planned = results.accounts.totals["jsonl_bytes"]
    if merged != planned:
        raise InconsistentError(f"samples.jsonl has {merged} bytes, its shards have {planned}")


def _error_lines(results: Results, output_dir: str) -> Iterator[bytes]:
    """Yield unreadable input first, then the articles that failed, in input order."""
    for failure in sorted(results.failures):
        yield _json_line({"kind": "input", **failure._asdict()})
    for shard in sorted(results.accounts.shards_with_errors):
        receipt = Receipt.from_json(storage.read_bytes(receipt_path(output_dir, shard)))
        for error in receipt.errors:
            yield _json_line({"kind": "article", **error._asdict()})


def _json_line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record).encode("ascii") + b"\n"


def _read_config(output_dir: str) -> dict[str, Any]:
    return json.loads(storage.read_bytes(storage.private(output_dir, CONFIG)))


class Finish(beam.PTransform):
    """Write what comes after all parts: merged files, errors and the manifest."""

    def __init__(self, output_dir: str, settings: SplitSettings, merge: bool) -> None:
        super().__init__()
        self.output_dir = output_dir
        self.settings = settings
        self.merge = merge

    def expand(self, inputs: Mapping[str, beam.PCollection]) -> beam.PCollection:
        """Take receipts, plan, article_counts, parts and failures; return whether all is done."""
        accounts = inputs["receipts"] | "CountRows" >> beam.CombineGlobally(CountRows())
        return (
            inputs["receipts"].pipeline
            | "Once" >> beam.Create([None], reshuffle=False)
            | "WriteManifest"
            >> beam.Map(
                self._finish,
                beam.pvalue.AsSingleton(accounts),
                beam.pvalue.AsSingleton(inputs["plan"]),
                beam.pvalue.AsDict(inputs["article_counts"]),
                beam.pvalue.AsList(inputs["parts"]),
                beam.pvalue.AsList(inputs["failures"]),
            )
        )

    def _finish(self, _: None, *results: Any) -> bool:
        return finish(Results(*results), self.output_dir, self.settings, self.merge)
