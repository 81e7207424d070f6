"""The manifest, which vouches for everything else: what went in, by which rules, what came out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import apache_beam as beam

from pagecast import storage
from pagecast.dataset.filtered import FilteredPiece
from pagecast.dataset.layout import CONFIG, ERRORS, MANIFEST, receipt_path
from pagecast.dataset.manifest import fonts_of, fonts_record
from pagecast.dataset.receipts import Accounts, InconsistentError, Part, Receipt
from pagecast.dataset.shard import Failure
from pagecast.dataset.split import TRAIN, VAL, SplitPlan, SplitSettings, targets
from pagecast.probe import PROBE
from transforms import metrics
from transforms.finish import merge
from transforms.finish.accounts import CountRows
from transforms.split.assign import ALL, USED
from transforms.split.parts import PartSettings

FORMAT = 1  # of the outputs, as docs/format.md describes them


class Results(NamedTuple):
    """Everything that the graph found out about the job.

    filtered: the pieces of kept articles that were written, None where they were not asked for.
    """

    accounts: Accounts
    plan: SplitPlan
    article_counts: Mapping[str, int]
    parts: list[Part]
    failures: list[Failure]
    filtered: list[FilteredPiece]


class FinishSettings(NamedTuple):
    """What the end of a job has to know."""

    split: SplitSettings
    parts: PartSettings
    filtered: bool


def finish(results: Results, settings: FinishSettings) -> bool:
    """Write errors.jsonl and, where all shards are done, the data files and the manifest.

    The manifest is written last: where it is, everything is. Returns whether it was written.

    Raises:
      InconsistentError: counts that must agree do not; no manifest is written.
    """
    out = settings.parts.output_dir
    storage.protect(out)
    storage.commit(storage.private(out, ERRORS), _error_lines(results, out))
    if results.failures:
        return False
    results.accounts.check()
    for split in (VAL, TRAIN):
        merge.finish_split(results.parts, results.plan, split, settings.parts)
    if settings.parts.merge:
        merge.merge_samples(out, results.accounts.totals["jsonl_bytes"])
    filtered = merge.merge_filtered(out) if settings.filtered else None
    write_manifest(results, settings, _read_config(out), filtered)
    return True


def write_manifest(
    results: Results,
    settings: FinishSettings,
    config: Mapping[str, Any],
    filtered: Mapping[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Write the manifest of what is there, with fields of its own if there are any; return it."""
    out, parts = settings.parts.output_dir, settings.parts
    outputs = {
        "images": None,
        "merged": parts.merge,
        "arrow": parts.schema is not None,
        "filtered": filtered,
        **({"parquet": True} if parts.parquet is not None else {}),
    }
    manifest = {**manifest_of(results, config, settings.split, outputs), **more}
    content = json.dumps(manifest, indent=2).encode("ascii") + b"\n"
    storage.flush(out)
    storage.commit(storage.join(out, MANIFEST), [content], durable=True)
    return manifest


def manifest_of(
    results: Results,
    config: Mapping[str, Any],
    settings: SplitSettings,
    outputs: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the manifest: what went in, by which rules, and what came out.

    Raises:
      InconsistentError: an article is in both splits.
    """
    accounts, plan, articles = results.accounts, results.plan, results.article_counts
    val, train = articles.get(VAL, 0), articles.get(TRAIN, 0)
    wanted, _ = targets(plan.val + plan.train + plan.unused, settings, articles.get(ALL, 0) > 1)
    if val + train != articles.get(USED, 0):
        raise InconsistentError(f"{val} val and {train} train articles, {articles[USED]} together")
    return {
        "format": FORMAT,
        "options": {**config["options"], **settings.asked()},
        "outputs": {**outputs, "images": config["options"]["images"]},
        "counts": {
            "rows_read": accounts.totals["rows"],
            "kept": accounts.totals["kept"],
            "dropped": dict(sorted(accounts.dropped.items())),
            "failed": accounts.totals["failed"],
            "samples": accounts.totals["samples"],
            "pages": accounts.totals["pages"],
            **accounts.losses,
        },
        "split": {
            "val": {
                "samples": plan.val,
                "articles": val,
                **({"wanted": wanted} if wanted > plan.val else {}),
            },
            "train": {"samples": plan.train, "articles": train},
            "unused": {"samples": plan.unused, "articles": articles.get(ALL, 0) - val - train},
        },
        "disjoint": {
            "val_articles": val,
            "train_articles": train,
            "sum": val + train,
            "articles_in_either": articles.get(USED, 0),
        },
        **{key: config[key] for key in ("vision_modes", "tokenizer")},
        **fonts_record(fonts_of(config)),
        **{key: config[key] for key in (PROBE,) if key in config},
        "versions": config["versions"],
        "source": config["source"],
        "inputs": config["inputs"],
    }


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

    def __init__(self, settings: FinishSettings) -> None:
        super().__init__()
        self.settings = settings

    def expand(self, inputs: Mapping[str, beam.PCollection]) -> beam.PCollection:
        """Take receipts, plan, article_counts, parts, failures and filtered; say if all is done."""
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
                beam.pvalue.AsList(inputs["filtered"]),
            )
        )

    def _finish(self, _: None, *results: Any) -> bool:
        with metrics.timed("finish"):
            return finish(Results(*results), self.settings)
