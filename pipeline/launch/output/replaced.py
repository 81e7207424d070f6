"""Input files that failed in an earlier run and were replaced or left out: what of its work stays.

Rows are numbered over all input, so such a file moves the rows behind it. What was made of rows
that have moved is removed, images first and receipts last, before the new input is written down:
a run that is stopped meanwhile finds all that is left to remove.
"""

from __future__ import annotations

import json
import os
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pagecast import storage
from pagecast.dataset.layout import (
    ERRORS,
    FILTERED_WHOLE,
    IMAGES,
    PLAN,
    SPLIT,
    filtered_path,
    filtered_receipt_path,
    image_name,
    receipt_path,
    shard_path,
    tar_name,
)
from pagecast.dataset.receipts import read_images
from pagecast.dataset.sample import SAMPLE_ID
from pagecast.dataset.shard import Failure, Shard, read_plan
from pipeline.launch.output import ours

FAILED_INPUTS = "failed_inputs"  # in the configuration: names of files that the run before met
CONTINUES = "continues"  # in the configuration: the input before, of which the plan may still be
UNKNOWN = (OSError, ValueError, TypeError, KeyError, RecursionError)  # it is not there, or damaged
MODE = re.compile(r"[a-z][a-z0-9_]*")
Config = Mapping[str, Any]


def failed_inputs(output_dir: str, earlier: Config) -> set[str]:
    """Return the names of the input files that an earlier run could not read, or not all of.

    A run that was stopped has left no list of errors: then those count that it had been told of.
    """
    marked = set(earlier.get(FAILED_INPUTS, ()))
    try:
        plan = list(read_plan(storage.private(output_dir, PLAN)))
        names = _names({entry.path for entry in plan}, _paths(earlier))
        failed = {names[entry.path] for entry in plan if isinstance(entry, Failure)}
    except UNKNOWN:  # if it was stopped before it had a plan, nothing has been done
        begun = any(storage.files_in(storage.private(output_dir, "shards")))
        return set() if begun else marked
    try:
        errors = storage.private(output_dir, ERRORS)
        if not storage.exists(errors):
            return marked | failed
        records = map(json.loads, storage.read_bytes(errors).splitlines())
        return failed | {names[r["path"]] for r in records if r["kind"] == "input"}
    except UNKNOWN:
        return marked | failed


def as_planned(output_dir: str, earlier: Config | None) -> Config | None:
    """Return an earlier configuration, if there is one, with the input that the plan is of.

    A run that was stopped between the two had done nothing yet with the input that it was to have.
    """
    if earlier is None or CONTINUES not in earlier:
        return earlier
    before = dict(earlier[CONTINUES])
    return {**earlier, **before} if before.pop("plan_sha256") == _plan(output_dir) else earlier


def _plan(output_dir: str) -> str | None:
    path = storage.private(output_dir, PLAN)
    return storage.sha256_of(path) if storage.exists(path) else None


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
    same = unchanged(output_dir, earlier, config)
    if same is None:
        return earlier
    new: dict[str, Any] = {"inputs": config["inputs"]}
    files = {file["path"]: file for file in earlier["inputs"]}
    known = all("footer_sha256" in files[before] for before in same.values())
    if len(same) < len(files) and known and "source" in config:
        new["source"] = config["source"]  # what failed was mended by another commit
    return {**earlier, **new}


def go_on(
    output_dir: str, earlier: Config, config: Config, shards: Iterable[Shard | Failure]
) -> dict[str, Any]:
    """Remove what is of other rows than `shards`; return the configuration to go on with."""
    same = unchanged(output_dir, earlier, config) or {}
    failed = failed_inputs(output_dir, earlier)
    new = list(shards)
    still = {name for name, before in same.items() if before in failed}
    if _paths(earlier) == [same.get(name) for name in _paths(config)]:
        return marked(config, new, still)
    try:
        planned = list(read_plan(storage.private(output_dir, PLAN)))
    except FileNotFoundError:  # and nothing has been done either
        planned = []
    old_names = _names({entry.path for entry in planned}, _paths(earlier))
    old = [entry for entry in planned if isinstance(entry, Shard)]
    new_names = _names({entry.path for entry in new}, _paths(config))
    kept = {
        shard.number: (shard, same.get(new_names[shard.path]))
        for shard in new
        if isinstance(shard, Shard)
    }
    gone = []
    for entry in old:
        shard, name = kept.get(entry.number, (None, None))
        if not (shard and shard.has_rows_of(entry) and name == old_names[entry.path]):
            gone.append(entry)
    # What was merged or split is of all input, and known as ours by what is there of shards.
    storage.remove([storage.join(output_dir, name) for name in ours.whole_files(output_dir)])
    ours.remove_split(output_dir)
    storage.remove(storage.private(output_dir, name) for name in (SPLIT, FILTERED_WHOLE))
    forget_shards(output_dir, gone, list(earlier.get("vision_modes", ())))
    before: dict[str, Any] = {"inputs": earlier["inputs"], FAILED_INPUTS: sorted(failed)}
    before |= {"source": earlier["source"]} if "source" in earlier else {}
    return {**marked(config, new, still), CONTINUES: {**before, "plan_sha256": _plan(output_dir)}}


def marked(
    config: Config, entries: Iterable[Shard | Failure], also: Iterable[str] = ()
) -> dict[str, Any]:
    """Return a configuration that names the files which are known to fail."""
    entries = list(entries)
    failed = {entry.path for entry in entries if isinstance(entry, Failure)}
    if not failed and not also:
        return dict(config)
    names = _names({entry.path for entry in entries}, _paths(config))
    return {**config, FAILED_INPUTS: sorted({*also, *(names[path] for path in failed)})}


def forget_shards(output_dir: str, shards: Iterable[Shard], modes: Sequence[str]) -> None:
    """Remove all that there is of shards: what their receipts name, and last the receipts.

    A shard that a stopped run had only begun has images but no receipt: they are known by mode
    and row, or by mode and number.
    """
    begun = []
    for shard in shards:
        receipt = receipt_path(output_dir, shard.number)
        images = _images(output_dir, shard.number)
        if images is None:
            begun.append(range(shard.first_row, shard.first_row + shard.rows))
            names = [tar_name(mode, shard.number) for mode in modes]
            images = [storage.join(output_dir, name) for name in names]
        number = shard.number
        pieces = [filtered_receipt_path(output_dir, number), filtered_path(output_dir, number)]
        storage.remove([*images, shard_path(output_dir, shard.number), *pieces])
        storage.remove([receipt])
    for mode in modes if begun else ():
        storage.remove(list(_images_of(storage.join(output_dir, IMAGES, mode), begun)))


def _images_of(directory: str, begun: Sequence[range]) -> Iterator[str]:
    """Yield the images of some rows in a directory; the ranges of rows are in order."""
    firsts = [rows.start for rows in begun]
    for path in storage.files_in(directory):
        name, _, suffix = path.rsplit("/", 1)[-1].rpartition(".")
        found = SAMPLE_ID.fullmatch(name) if suffix == "png" else None
        row = int(found[1]) if found else -1
        if row in begun[max(bisect_right(firsts, row) - 1, 0)]:
            yield path


def _images(output_dir: str, number: int) -> list[str] | None:
    """Return the images that a shard's receipt names; None where it names nothing."""
    try:
        images = read_images(storage.read_bytes(receipt_path(output_dir, number)))
    except (OSError, ValueError):  # there is none, or nothing in it could be trusted
        return None
    paths = []
    for mode, stored in images.items():
        if MODE.fullmatch(mode):
            samples = filter(SAMPLE_ID.fullmatch, stored.places)
            names = (
                [tar_name(mode, number)] if stored.tar else (image_name(mode, s) for s in samples)
            )
            paths += [storage.join(output_dir, name) for name in names]
    return paths


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
