"""Checking the manifest: every number in it, counted once more."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pagecast import storage
from pagecast.dataset.filtered import measure
from pagecast.dataset.layout import (
    ARROW_INFO,
    ARROW_STATE,
    FILTERED,
    FILTERED_WHOLE,
    IMAGES,
    MANIFEST,
    NONE,
    arrow_directory,
    asset_path,
)
from pagecast.dataset.manifest import sheet_of
from pagecast.dataset.receipts import Accounts, Receipt
from pagecast.dataset.split import TRAIN, UNUSED, VAL
from pagecast.dataset.tables import arrow
from pagecast.probe import PROBE
from pagecast.style.record import costs_of_mode
from pagecast.verify.dataset import Dataset, Fault
from pagecast.verify.files import SampleFile
from pagecast.verify.split import Samples, Split

COPIED = ("vision_modes", "tokenizer", "font", "fonts", PROBE, "versions", "inputs")


def manifest_faults(
    manifest: Mapping[str, Any],
    config: Mapping[str, Any],
    receipts: Iterable[Receipt],
    samples: Samples,
    split: Split,
    complete: bool = True,
) -> Iterator[Fault]:
    """Yield every number and record of the manifest that is not what it should be.

    Args:
      complete: whether the receipts are of all input.
    """
    accounts = Accounts()
    for receipt in receipts:
        accounts.add(Accounts.of(receipt))
    totals = accounts.totals
    counts = {
        "rows_read": totals["rows"],
        "kept": totals["kept"],
        "dropped": dict(sorted(accounts.dropped.items())),
        "failed": totals["failed"],
        "samples": totals["samples"],
        "pages": totals["pages"],
        **accounts.losses,
    }
    sizes = {name: len(numbers) for name, numbers in split.numbers.items()}
    sizes[UNUSED] = samples.count - sum(sizes.values())
    val, train = split.articles[VAL], split.articles[TRAIN]
    wanted = {
        "counts": counts,
        "split": {
            name: {"samples": sizes[name], "articles": split.articles[name]}
            | ({"wanted": split.wanted} if name == VAL and split.wanted > sizes[VAL] else {})
            for name in (VAL, TRAIN, UNUSED)
        },
        "disjoint": {
            "val_articles": val,
            "train_articles": train,
            "sum": val + train,
            "articles_in_either": val + train,
        },
        **{name: config.get(name) for name in COPIED},
        "source": config.get("source"),  # earlier versions did not look for it
        "options": {**manifest["options"], **config["options"]},
    }
    for name, right in wanted.items():
        for where, was, should in _differences(name, manifest.get(name), right):
            yield Fault(MANIFEST, "", f"{where} is {was!r}, it should be {should!r}", (MANIFEST,))
    rows = sum(file["rows"] for file in config["inputs"]) if complete else totals["rows"]
    if (most := config["options"]["num_articles"]) is not None:
        rows = min(rows, most)
    balance = totals["kept"] + accounts.dropped.total() + totals["failed"]
    if not rows == totals["rows"] == balance:
        yield Fault(
            MANIFEST,
            "",
            f"the accounts do not balance: {rows} rows of input, {totals['rows']} read, "
            f"{balance} kept, dropped or failed",
        )
    for name, table in config["vision_modes"].items():
        right = costs_of_mode(sheet_of(config), table["px"], config["options"]["context_tokens"])
        if {name: table[name] for name in right} != right:
            yield Fault(MANIFEST, "", f"vision_modes.{name} should have tokens and ratio {right}")


def _differences(name: str, was: Any, right: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(was, dict) and isinstance(right, dict):
        for key in sorted(was.keys() | right.keys()):
            yield from _differences(f"{name}.{key}", was.get(key), right.get(key))
    elif was != right:
        yield name, was, right


def asset_faults(dataset: Dataset) -> Iterator[Fault]:
    """Yield the assets that are missing or not what their names say."""
    for path in (dataset.tokenizer, *dataset.fonts):
        sha256, _, suffix = path.rsplit("/", 1)[-1].partition(".")
        name = asset_path("", sha256, f".{suffix}")
        try:
            if storage.sha256_of(path) != sha256:
                yield Fault(name, "", "its SHA-256 is not its name", (name,))
        except OSError as error:
            yield Fault(name, "", f"cannot be read ({error})", (name,))


def description_faults(dataset: Dataset, files: Iterable[SampleFile]) -> Iterator[Fault]:
    """Yield what is wrong with the descriptions of the Arrow files."""
    stored = dataset.pages.form != NONE
    sheet = dataset.sheet
    schema = arrow.sample_schema(dataset.modes, stored, sheet.is_varied, sheet.is_paged)
    features = arrow.features(schema)
    earlier = features if stored else {**features, IMAGES: {}}  # there was such a column
    data = [file.name for file in files if file.name.endswith(".arrow")]
    for split in (VAL, TRAIN):
        base = arrow_directory(split)
        names = [name.split("/")[1] for name in data if name.startswith(f"{base}/")]
        for file, key, right in (
            (ARROW_INFO, "features", (features, earlier)),
            (ARROW_STATE, "_data_files", ([{"filename": name} for name in names],)),
        ):
            name = f"{base}/{file}"
            try:
                found = json.loads(storage.read_bytes(dataset.path(name)))[key]
            except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
                yield Fault(name, "", f"cannot be read ({error})")
                continue
            if found not in right:
                yield Fault(name, "", f"its {key} are not those of the data files")


def filtered_faults(dataset: Dataset, outputs: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what is wrong with filtered.jsonl, where the manifest has it."""
    written = outputs["filtered"]
    if written is None:
        return
    remove = (FILTERED, storage.private("", FILTERED_WHOLE))
    try:
        found = measure(dataset.output_dir)
    except OSError as error:
        yield Fault(FILTERED, "", f"cannot be read ({error})", remove)
        return
    if found["articles"] != written["articles"]:
        what = f"it has {found['articles']} lines, not {written['articles']}"
        yield Fault(FILTERED, "", what, remove)
    elif found["sha256"] != written["sha256"]:
        yield Fault(FILTERED, "", "its SHA-256 is not that of the manifest", remove)


def leaks(samples: Samples, found: Mapping[str, Iterable[int]]) -> Iterator[Fault]:
    """Yield the articles that have samples in both files, from what stands in them."""
    origins = {
        split: {samples.origin(number)[1] for number in numbers} for split, numbers in found.items()
    }
    for wiki_id in sorted(origins[VAL] & origins[TRAIN]):
        yield Fault(f"{VAL}.jsonl", "", f"article {wiki_id} is in both val and train")
