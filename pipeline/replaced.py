"""Input files that failed in an earlier run and were replaced or left out: what of its work stays.

Rows are numbered over all input, so such a file moves the rows behind it. What was made of rows
that have moved is removed, pictures first and receipts last, before the new input is written down:
a run that is stopped meanwhile finds all that is left to remove.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from transforms import storage
from transforms.filtered import piece_path
from transforms.outputs import ERRORS, FILTERED_WHOLE, PLAN, SPLIT
from transforms.pictures import tar_name
from transforms.planfile import read_plan
from transforms.receipts import read_pictures, receipt_path, shard_path
from transforms.records import SAMPLE_ID, Failure, Shard, image_name

FAILED_INPUTS = "failed_inputs"  # in the configuration: names of files that the run before met
MODE = re.compile(r"[a-z][a-z0-9_]*")
Config = Mapping[str, Any]


def failed_inputs(output_dir: str, earlier: Config) -> set[str]:
    """Return the names of the input files that an earlier run could not read, or not all of.

    A run that was stopped has left no list of errors: then those count that it had been told of.
    """
    try:
        plan = list(read_plan(storage.private(output_dir, PLAN)))
        failed = {entry.path for entry in plan if isinstance(entry, Failure)}
        names = _names({entry.path for entry in plan}, [file["path"] for file in earlier["inputs"]])
        errors = storage.private(output_dir, ERRORS)
        if not storage.exists(errors):
            return {*earlier.get(FAILED_INPUTS, ()), *(names[path] for path in failed)}
        records = map(json.loads, storage.read_bytes(errors).splitlines())
        failed |= {record["path"] for record in records if record["kind"] == "input"}
        return {names[path] for path in failed}
    except ConnectionError:
        raise
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return set()  # nothing is known, so nothing may change


def unchanged(output_dir: str, earlier: Config, config: Config) -> dict[str, str] | None:
    """Return the files that are as they were, new name to old, if all others failed before.

    Names are relative to the directory that all files have in common, which changes with them.
    None where other files are there than can have taken the place of those that failed.
    """
    failed = failed_inputs(output_dir, earlier)
    old = {file["path"]: file for file in earlier["inputs"]}
    new = {file["path"]: file for file in config["inputs"]}
    good = old.keys() - failed
    base = os.path.commonpath([os.path.dirname(n) for n in good]) if good else ""
    below = {name: os.path.relpath(name, base or ".") for name in old}
    for prefix in _prefixes(new, min((below[name] for name in good), default="")):
        moved = {os.path.normpath(prefix + below[name]): name for name in old}
        same = {n: o for n, o in moved.items() if n in new and _is_same(old[o], new[n])}
        gone = old.keys() - same.values()
        if gone <= failed and len(new.keys() - same.keys()) <= len(gone):
            return same
    return None


def forgiven(output_dir: str, earlier: Config, config: Config) -> Config:
    """Return an earlier configuration, with the new input if only files that failed are others."""
    if unchanged(output_dir, earlier, config) is None:
        return earlier
    return {**earlier, "inputs": config["inputs"]}


def go_on(
    output_dir: str, earlier: Config, config: Config, shards: Iterable[Shard | Failure]
) -> dict[str, Any]:
    """Remove what is of other rows than `shards`; return the configuration to go on with."""
    same = unchanged(output_dir, earlier, config) or {}
    failed = failed_inputs(output_dir, earlier)
    still = sorted(name for name, before in same.items() if before in failed)
    marked = {**config, FAILED_INPUTS: still} if still else dict(config)
    if [file["path"] for file in earlier["inputs"]] == [same.get(n) for n in _paths(config)]:
        return marked
    old = list(read_plan(storage.private(output_dir, PLAN)))
    new = list(shards)
    old_names = _names({entry.path for entry in old}, _paths(earlier))
    new_names = _names({entry.path for entry in new}, _paths(config))
    kept = {
        shard.number: (shard, same.get(new_names[shard.path]))
        for shard in new
        if isinstance(shard, Shard)
    }
    for entry in old:
        if isinstance(entry, Shard):
            shard, name = kept.get(entry.number, (None, None))
            if not (shard and shard.has_rows_of(entry) and name == old_names[entry.path]):
                forget_shard(output_dir, entry.number)
    # What was merged or split is of all input.
    storage.remove(storage.private(output_dir, name) for name in (SPLIT, FILTERED_WHOLE))
    return marked


def forget_shard(output_dir: str, number: int) -> None:
    """Remove all that there is of a shard: what its receipt names, and last the receipt."""
    receipt = receipt_path(output_dir, number)
    pieces = [piece_path(output_dir, number, ".json"), piece_path(output_dir, number)]
    storage.remove([*_pictures(output_dir, number), shard_path(output_dir, number), *pieces])
    storage.remove([receipt])


def _pictures(output_dir: str, number: int) -> Iterator[str]:
    try:
        pictures = read_pictures(storage.read_bytes(receipt_path(output_dir, number)))
    except ConnectionError:
        raise
    except (OSError, ValueError):  # there is none, or it names nothing that could be trusted
        return
    for mode, stored in pictures.items():
        if not MODE.fullmatch(mode):
            continue
        names = (
            image_name(mode, sample) for sample in stored.places if SAMPLE_ID.fullmatch(sample)
        )
        for name in [tar_name(mode, number)] if stored.tar else names:
            yield storage.join(output_dir, name)


def _paths(config: Config) -> list[str]:
    return [file["path"] for file in config["inputs"]]


def _names(paths: set[str], names: Iterable[str]) -> dict[str, str]:
    """Return what each path is called in a configuration.

    Raises:
      KeyError: there are paths of other files.
    """
    known = set(names)
    # As `plan.relative_names` does it, a store is taken for a directory of the root.
    rooted = {p: p if storage.is_local(p) else os.path.normpath(f"/{p}") for p in paths}
    first = min(rooted.values(), default="")
    for name in known:
        common = first.removesuffix(f"/{name}") + "/"
        found = {p: full.removeprefix(common) for p, full in rooted.items()}
        if known.issuperset(found.values()):
            return found
    if paths:
        raise KeyError(f"{min(paths)} is of another input")
    return {}


def _prefixes(names: Iterable[str], last: str) -> list[str]:
    """Return what can stand before a name that is now longer or shorter."""
    if not last:
        return [""]
    ends = (name for name in names if f"/{name}".endswith(f"/{last}"))
    return sorted(name.removesuffix(last) for name in ends)


def _is_same(before: Config, now: Config) -> bool:
    """Tell whether a file is as it was, by all that is known of it then and now."""
    return all(before[key] == now[key] for key in before.keys() & now.keys() - {"path"})
