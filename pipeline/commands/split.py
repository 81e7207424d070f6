"""The command `split`: one more split of a dataset, beside the one it has, over the same pages."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

from pagecast import storage
from pagecast.dataset.layout import IMAGES, MANIFEST, NONE, PLAN, ROOT, SPLIT, named_split
from pagecast.dataset.receipts import Accounts, Receipt
from pagecast.dataset.shard import Failure, Shard, read_plan
from pagecast.dataset.tables.arrow import sample_schema
from pagecast.reader.errors import DAMAGE
from pagecast.storage import local
from pagecast.verify.dataset import Dataset
from pipeline.cli.asked import SplitOptions
from pipeline.commands.verify import find_dataset
from pipeline.estimate.preflight import preflight_split
from pipeline.launch.output import directory, lock, ours
from pipeline.options import UsageError
from pipeline.progress.streams import tell
from pipeline.progress.terminal import be_quiet, few_in_val, note, say, summary
from pipeline.runners.pool import workers
from transforms.commit.samples import find_receipt
from transforms.finish import merge
from transforms.finish.manifest import FinishSettings, Results, write_manifest
from transforms.split.alone import split_receipts
from transforms.split.parts import PartSettings

DONE = 0
FEW_SHARDS = 32


class Committed(NamedTuple):
    """The shards that a split is of: receipts, of so many shards; whether that is all input."""

    receipts: list[Receipt]
    of: int
    complete: bool

    def record(self) -> dict[str, Any]:
        """Return what the manifest says of them; `numbers` has the first and last of each run."""
        numbers = [receipt.shard.number for receipt in self.receipts]
        breaks = [i for i, (a, b) in enumerate(pairwise(numbers), 1) if b != a + 1]
        ends = pairwise([0, *breaks, len(numbers)])
        runs = [[numbers[a], numbers[b - 1]] for a, b in ends if a < b]
        return {
            "complete": self.complete,
            "shards": {"committed": len(numbers), "of": self.of, "numbers": runs},
        }


def split(options: SplitOptions) -> int:
    """Write a split with a name, or go on with it, and return the exit code.

    Nothing is drawn, and a run that is at work in the dataset is not disturbed: only shards with an
    intact receipt are read, which no run writes again.

    Raises:
      UsageError: wrong use; nothing was written.
    """
    started = time.monotonic()
    be_quiet(options.quiet)
    dataset, config, shards = find_dataset(options)
    source, sheet = dataset.output_dir, dataset.sheet
    if sheet.candidates is not None and options.seed != sheet.seed:
        raise UsageError(
            f"--seed {options.seed}: val would have pages of all styles, as {source} was made with "
            f"--vary train, which keeps those of val of seed {sheet.seed} in the first style; give "
            f"--seed {sheet.seed}"
        )
    out = named_split(source, options.name)
    storage.protect(source)
    _refuse_foreign(out)
    # To begin a process takes longer than to look at a few shards.
    count = options.workers if len(shards) > FEW_SHARDS else 1
    with workers(count, options.store_args) as each:
        found = each("receipts", partial(_find, dataset=dataset), shards)
        entries = list(read_plan(storage.private(source, PLAN)))
        failed = any(isinstance(entry, Failure) for entry in entries)
        receipts = [receipt for receipt in found if receipt is not None]
        committed = Committed(receipts, len(shards), not failed and len(receipts) == len(shards))
        if not receipts:
            raise UsageError(f"{source} has no shard yet: split it when its run has made some")
        if not _is_whole(out, options):
            preflight_split(out, receipts, options)
        with lock.hold(out, options.force_unlock):
            manifest = _write(options, dataset, config, committed, out, each)
    if few := few_in_val(manifest):
        say(few)
    if not committed.complete:
        note(
            f"{len(receipts):,} of {len(shards):,} shards are there: the split is of those, and "
            "its manifest says so"
        )
    tell(summary(manifest, out, time.monotonic() - started))
    return DONE


def _find(shard: Shard, dataset: Dataset) -> Receipt | None:
    """Return the receipt of a shard that is there at all modes, so that no run writes it again."""
    receipt = find_receipt(shard, dataset.output_dir)
    return receipt if receipt is not None and list(receipt.modes) == dataset.modes else None


def _write(
    options: SplitOptions,
    dataset: Dataset,
    config: Mapping[str, Any],
    committed: Committed,
    out: str,
    each: Any,
) -> dict[str, Any]:
    """Write the split and return its manifest."""
    asked = options.split._replace(candidates=dataset.sheet.candidates)
    wanted = {**options.split.asked(), "merge": True, "modes": dataset.modes}
    if options.overwrite:
        ours.remove_split(out)
        storage.remove([storage.private(out, SPLIT)])
    elif differs := list(_differences(out, wanted, committed)):
        raise UsageError(
            f"{out} is another split: {'; '.join(differs)}; use another --name, or --overwrite "
            "to make it anew"
        )
    ours.sweep(out, NONE)
    directory.invalidate(out, wanted, options.arrow, options.parquet)
    stored = dataset.pages.form != NONE
    sheet = dataset.sheet
    schema = sample_schema(dataset.modes, stored, sheet.is_varied, sheet.is_paged)
    arrow, parquet = (schema if asks else None for asks in (options.arrow, options.parquet))
    settings = PartSettings(out, True, arrow, parquet, dataset.output_dir)
    written = split_receipts(committed.receipts, asked, settings, each)
    accounts = Accounts()
    for receipt in committed.receipts:
        accounts.add(Accounts.of(receipt))
    accounts.check()
    for name in ("val", "train"):
        merge.finish_split(written.parts, written.plan, name, settings)
    if stored and storage.is_local(out):
        _link(out)
    results = Results(accounts, *written, failures=[], filtered=[])
    finishing = FinishSettings(asked, settings, False)
    more = {"name": options.name, "root": ROOT, **committed.record()}
    return write_manifest(results, finishing, config, **more)


def _differences(out: str, wanted: Mapping[str, Any], committed: Committed) -> Iterator[str]:
    """Yield what the split that is there, or was begun, has otherwise than this one is to have."""
    record = _record(storage.private(out, SPLIT))
    manifest = _record(storage.join(out, MANIFEST), "shards")
    for name, value in wanted.items():
        if name in record and record[name] != value:
            yield f"--{name} was {record[name]}, now {value}"
    now = committed.record()["shards"]
    if manifest and manifest["shards"] != now:
        was = manifest["shards"].get("committed")
        yield f"{was} shards were there, now {now['committed']:,} of {now['of']:,} are"


def _is_whole(out: str, options: SplitOptions) -> bool:
    """Tell whether a split is there with all that is asked for, so that nothing is written."""
    manifest = {} if options.overwrite else _record(storage.join(out, MANIFEST), "outputs")
    asked = (name for name in ("arrow", "parquet") if getattr(options, name))
    return bool(manifest) and all(manifest["outputs"].get(name) for name in asked)


def _record(path: str, *tables: str) -> dict[str, Any]:
    """Return what a file of the split that is there says, nothing where there is no such file.

    Raises:
      UsageError: it is damaged.
    """
    if not storage.exists(path):
        return {}
    try:
        record = json.loads(storage.read_bytes(path))
        return {**record, **{name: {**record[name]} for name in tables}}
    except DAMAGE as error:
        raise UsageError(
            f"{path} is damaged ({type(error).__name__}: {error}); --overwrite makes the split anew"
        ) from error


def _refuse_foreign(out: str) -> None:
    """Refuse a directory that something else is in, or that is none."""
    if storage.exists(storage.private(out, SPLIT)):
        return
    if storage.is_local(out):
        others: Sequence[str] = sorted(os.listdir(out)) if os.path.isdir(out) else []
        if os.path.lexists(out) and (os.path.islink(out) or not os.path.isdir(out)):
            raise UsageError(f"{out} is not a directory of its own; use another --name")
    else:
        others = [path.removeprefix(f"{out}/") for path in storage.files_below(out)]
    if others := [name for name in others if not name.startswith(storage.PRIVATE)]:
        raise UsageError(f"{out} already holds something else ({others[0]}); use another --name")


def _link(out: str) -> None:
    """Let images be found beside the split, as trainers look for them."""
    target = f"{ROOT}/{IMAGES}"
    path = storage.join(out, IMAGES)
    try:
        local.link(path, target)
    except FileExistsError as error:
        raise UsageError(f"{path} is not Pagecast's: move it away") from error
    except OSError as error:
        say(f"warning: no link {path} to {target} could be made ({error}); make a copy or a mount")
