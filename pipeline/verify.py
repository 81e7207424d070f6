"""The command `verify`: check a whole dataset in parallel, print each fault, make mending easy."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from pipeline import lock, ours, output, stores
from pipeline.options import UsageError, usable_cpus
from pipeline.parser import Parser
from pipeline.pool import workers
from pipeline.progress import be_quiet, one_line, say
from pipeline.streams import tell
from transforms import storage
from transforms.outputs import MANIFEST
from transforms.storage import PRIVATE
from transforms.verify.check import Check
from transforms.verify.dataset import Dataset, DatasetError, Fault, open_dataset

DONE, FAULTY = 0, 1
STORES = "For a dataset in a store, Beam's --s3_endpoint_url and the like are taken too."


def parser() -> Parser:
    """Return the parser of `verify`."""
    it = Parser(
        "pagecast verify",
        "--output_dir DIR",
        "Check a dataset: samples, pictures, split, manifest; name every fault.",
        "pagecast verify --output_dir output/demo",
        STORES,
    )
    what = it.group("what is checked")
    what.add("output_dir", "the dataset", required=True, metavar="DIR")
    what.number("sample", "only N samples chosen at random, wherever they stand")
    what.number("seed", "seed of these choices", 0)
    what.switch("redraw", "draw all pages anew and compare; else those of a sample a shard")
    how = it.group("how")
    how.switch("repair", "remove what is damaged, for a run to make it anew")
    how.switch("force_unlock", "with --repair: though a run may hold DIR")
    how.number("workers", "local processes", usable_cpus())
    how.switch("quiet", "no progress")
    return it


def verify(argv: Sequence[str]) -> int:
    """Carry out a `verify` command line and return its exit code.

    Raises:
      UsageError: wrong use, or there is no dataset.
    """
    it = parser()
    options, others = it.parse_known_args(argv)
    store_args = stores.store_options(others, it)
    it.require(options)
    be_quiet(options.quiet)
    stores.use([("--output_dir", options.output_dir)], store_args)
    for name in ("sample", "workers"):
        if (value := getattr(options, name)) is not None and value < 1:
            raise UsageError(f"--{name} is {value}; it must be at least 1")
    local = storage.is_local(options.output_dir)
    out = os.path.abspath(options.output_dir) if local else options.output_dir.rstrip("/")
    try:
        dataset, config, shards = open_dataset(out)
    except DatasetError as error:
        raise UsageError(str(error)) from error
    with ExitStack() as stack:
        if options.repair:  # what a run is writing may look damaged
            output.refuse_links(out)
            stack.enter_context(lock.hold(out, options.force_unlock))
        elif owner := lock.owner_of(out):
            say(f"warning: {owner} is at work in {out}: what it has not finished is a fault here")
        each = stack.enter_context(workers(options.workers, store_args))
        chosen = options.sample, options.seed
        check = Check(dataset, config, shards, each, *chosen, redraw_all=options.redraw)
        check.run()
        for fault in check.faults:
            tell(one_line(str(fault)))
        tell(one_line(check.summary()))
        if not check.faults:
            return DONE
        if options.repair:
            tell(one_line(repair(dataset, check.faults)))
        else:
            tell("`pagecast verify --repair` removes what is damaged, for `run` to make it anew")
    return FAULTY


def repair(dataset: Dataset, faults: Iterable[Fault]) -> str:
    """Remove what the faults say, and the manifest; return a line that says what was done."""
    names = sorted({name for fault in faults for name in fault.remove} - {MANIFEST})
    shards = sum(name.startswith(f"{PRIVATE}/shards/") for name in names)
    parts = [name for name in names if name.startswith(f"{PRIVATE}/parts/")]
    merged = ours.was_merged(dataset.output_dir) or False
    # Without its receipt nobody could tell whose a part's file is.
    of_parts = [
        name
        for part in parts
        for name in ours.part_files(dataset.output_dir, Path(part).stem, merged)
    ]
    storage.remove(dataset.path(name) for name in [MANIFEST, *of_parts, *names])
    return (
        f"removed the receipts of {shards} shards and {len(parts)} parts, "
        f"{len(names) - shards - len(parts)} other files and the manifest; "
        "give the same `run` command as before to make them anew"
    )
