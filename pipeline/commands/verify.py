"""The command `verify`: check a whole dataset in parallel, print each fault, make mending easy."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from pagecast import storage
from pagecast.dataset.layout import (
    CONFIG,
    MANIFEST,
    in_named_split,
    named_splits,
    parse_named_split,
)
from pagecast.dataset.shard import Shard
from pagecast.storage.paths import PRIVATE
from pagecast.verify.check import Check
from pagecast.verify.dataset import Dataset, DatasetError, Fault, open_dataset
from pagecast.verify.named import NamedCheck
from pipeline.cli.asked import SplitOptions, VerifyOptions
from pipeline.launch import stores
from pipeline.launch.output import directory, lock, ours
from pipeline.options import UsageError
from pipeline.progress.streams import tell
from pipeline.progress.terminal import be_quiet, one_line, say
from pipeline.runners.pool import workers

DONE, FAULTY = 0, 1


def find_dataset(
    options: VerifyOptions | SplitOptions,
) -> tuple[Dataset, dict[str, Any], list[Shard]]:
    """Return the dataset that a command is asked to read, its configuration and its shards.

    Raises:
      UsageError: there is none.
    """
    try:
        return open_dataset(_place(options))
    except DatasetError as error:
        raise UsageError(str(error)) from error


def _place(options: VerifyOptions | SplitOptions) -> str:
    place = [("--output_dir", options.output_dir)]
    stores.use(place, options.store_args, alone=options.workers == 1)
    local = storage.is_local(options.output_dir)
    return os.path.abspath(options.output_dir) if local else options.output_dir.rstrip("/")


def _find_named(options: VerifyOptions) -> tuple[VerifyOptions, str | None]:
    """Return the options for the dataset that a named split is of, and its name, if it is one.

    Raises:
      UsageError: there is no split of that name.
    """
    place = _place(options)
    found = parse_named_split(place)
    if found is None or storage.exists(storage.private(place, CONFIG)):
        return options, None
    out, name = found
    if storage.exists(storage.private(out, CONFIG)) and name not in (names := named_splits(out)):
        there = f"; there is {', '.join(names)}" if names else ""
        raise UsageError(f"{out} has no split {name!r}{there}")
    return replace(options, output_dir=out), name


def verify(options: VerifyOptions) -> int:
    """Check a dataset, and return the exit code.

    Raises:
      UsageError: there is no dataset.
    """
    be_quiet(options.quiet)
    options, name = _find_named(options)
    dataset, config, shards = find_dataset(options)
    out = dataset.output_dir
    with ExitStack() as stack:
        if options.repair:  # what a run is writing may look damaged
            directory.refuse_links(out)
            stack.enter_context(lock.hold(out, options.force_unlock))
        elif owner := lock.owner_of(out):
            say(f"warning: {owner} is at work in {out}: what it has not finished is a fault here")
        each = stack.enter_context(workers(options.workers, options.store_args))
        given = dataset, config, shards, each, options.sample, options.seed, options.redraw
        check = Check(*given) if name is None else NamedCheck(*given, name=name)
        check.run()
        for fault in check.faults:
            tell(one_line(str(fault)))
        tell(one_line(check.summary()))
        if not check.faults:
            return DONE
        if options.repair:
            tell(one_line(repair(dataset, check.faults)))
        else:
            tell("`pagecast verify --repair` removes what is damaged, for `run` to make again")
    return FAULTY


def repair(dataset: Dataset, faults: Iterable[Fault]) -> str:
    """Remove what the faults say, and the manifest; return a line that says what was done.

    Of a split of `pagecast split` its own manifest goes, and the dataset's only for its own faults.
    """
    faults = list(faults)
    names = sorted({name for fault in faults for name in fault.remove})
    bases = {in_named_split(name)[0] for name in (*names, *(fault.file for fault in faults))}
    manifests = {f"{base}{MANIFEST}" for base in bases}
    names = [name for name in names if name not in manifests]
    shards = sum(name.startswith(f"{PRIVATE}/shards/") for name in names)
    parts = [in_named_split(name) for name in names if f"{PRIVATE}/parts/" in name]
    # Without its receipt nobody could tell whose a part's file is.
    of_parts = []
    for base, part in parts:
        there = dataset.path(base.rstrip("/")) if base else dataset.output_dir
        merged = ours.was_merged(there) or False
        of_parts += [base + name for name in ours.part_files(there, Path(part).stem, merged)]
    storage.remove(dataset.path(name) for name in [*sorted(manifests), *of_parts, *names])
    named = " and, for splits with names, `split`" if any(bases) else ""
    return (
        f"removed the receipts of {shards} shards and {len(parts)} parts, "
        f"{len(names) - shards - len(parts)} other files and the manifest; "
        f"give the same `run`{named} command as before to make them again"
    )
