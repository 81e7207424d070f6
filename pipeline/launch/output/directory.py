"""The output directory: whose it is, and for which configuration."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pagecast import storage
from pagecast.dataset.layout import (
    CONFIG,
    ERRORS,
    MANIFEST,
    PLAN,
    REPORT,
    SPLIT,
    TRACE,
    is_known_directory,
)
from pagecast.dataset.manifest import EMPTYING, fonts_of, sheet_of
from pagecast.dataset.shard import Failure, Shard
from pagecast.dataset.versions import names_in_bytes
from pagecast.storage import local
from pagecast.storage.errors import AccessDeniedError
from pipeline.launch import source
from pipeline.launch.output import ours, replaced
from pipeline.launch.output.ours import files_to_remove
from pipeline.options import UsageError

MOST_SHOWN = 12  # differences of two configurations
CONTENT = "content (SHA-256 of the footer) of input"  # tells apart files of one name and size


def check(output_dir: str, overwrite: bool) -> list[str]:
    """Make sure that `output_dir` is new, or Pagecast's; return the files that are to go first.

    Raises:
      UsageError: it holds something else, or is none, or may not be read.
    """
    refuse_links(output_dir)
    try:
        if overwrite and storage.exists(storage.private(output_dir, CONFIG)):
            return files_to_remove(output_dir)  # whatever the configuration was
        if (earlier := _earlier_config(output_dir)) is None:
            _refuse_foreign(output_dir)
        return files_to_remove(output_dir) if EMPTYING in (earlier or {}) else []
    except (PermissionError, AccessDeniedError) as error:
        raise UsageError(f"--output_dir {output_dir} cannot be used: {error}") from error


def refuse_links(output_dir: str) -> None:
    """Make sure that all directories of an output directory are its own, also from now on.

    Raises:
      UsageError: one is a link, or there is a pipe where a file would be.
    """
    if not storage.is_local(output_dir):
        return
    storage.protect(output_dir)
    for path in local.misplaced(output_dir, ("images", storage.PRIVATE)):
        what = "a link" if os.path.islink(path) else "a pipe, a socket or a device"
        raise UsageError(
            f"{path} is {what}: Pagecast removes and writes nothing that is not its own; "
            "move it away (--output_dir itself may be a link)"
        )


def claim(
    output_dir: str,
    config: Mapping[str, Any],
    overwrite: bool,
    shards: Iterable[Shard | Failure] = (),
) -> None:
    """Make `output_dir` this job's: new, continued, or with `overwrite` emptied of an earlier one.

    Args:
      shards: of the input as it is now, if files that failed were replaced or left out.

    Raises:
      UsageError: it holds something else, or the work of another configuration.
    """
    entries = list(shards)
    config = replaced.marked(config, entries)
    if overwrite and storage.exists(storage.private(output_dir, CONFIG)):
        _empty(output_dir, config)
    elif (earlier := replaced.as_planned(output_dir, _earlier_config(output_dir))) is None:
        _refuse_foreign(output_dir)
    elif different := list(differences(replaced.forgiven(output_dir, earlier, config), config)):
        back = "install those versions again, or " * any(" version was " in d for d in different)
        more = f"; and {len(different) - MOST_SHOWN} more" * (len(different) > MOST_SHOWN)
        raise UsageError(
            f"{output_dir} was made with another configuration: "
            f"{'; '.join(different[:MOST_SHOWN])}{more}; "
            f"{back}use another --output_dir, or --overwrite to remove what is there"
        )
    elif EMPTYING in earlier:  # a run with --overwrite was stopped before it had done so
        _empty(output_dir, config)
    else:
        config = replaced.go_on(output_dir, earlier, config, entries)
    _record(output_dir, config)


def planned(output_dir: str) -> None:
    """Note that the plan is of the input that the configuration names."""
    config = json.loads(storage.read_bytes(storage.private(output_dir, CONFIG)))
    if config.pop(replaced.CONTINUES, None):
        _record(output_dir, config)


def _empty(output_dir: str, config: Mapping[str, Any]) -> None:
    """Remove what an earlier job left, so that this one goes on with that whenever it is stopped.

    Its configuration is there first and says so: what is left then is not the work of this job.
    """
    found = files_to_remove(output_dir)
    was = ours.stored_in(output_dir)
    _record(output_dir, {**config, EMPTYING: was._asdict()})
    remove_output(output_dir, found)


def _record(output_dir: str, config: Mapping[str, Any]) -> None:
    content = json.dumps(config, indent=2).encode("ascii") + b"\n"
    storage.commit(storage.private(output_dir, CONFIG), [content], durable=True)


def differences(earlier: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what differs between two configurations in the things that decide samples and pages."""
    before, now = _fingerprint(earlier), _fingerprint(config)
    gone = set(before["--modes"]) - set(now["--modes"])
    if not gone:  # more modes are not another configuration: the pages that are there stay
        del before["--modes"], now["--modes"]
    for name in _fingerprint_versions(earlier) - earlier["versions"].keys():
        now.pop(f"{name} version", None)  # not known, since older code did not write it down
    known = before.keys() & now.keys()  # older code did not write hashes of input down
    for flat in before, now:
        for name in [name for name in flat if name.startswith(CONTENT) and name not in known]:
            del flat[name]
    for repo, commits in source.differences(earlier, config).items():
        before[f"commit of {repo}"], now[f"commit of {repo}"] = commits
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            yield f"{name} was {_brief(before.get(name))}, now {_brief(now.get(name))}"


def invalidate(
    output_dir: str, split: Mapping[str, Any], arrow: bool, parquet: bool = False
) -> None:
    """Take back manifest and report, and what is of another split than the one to be written.

    So what is there is never half of two splits. `split` is everything that decides the split and
    its parts; without `arrow` the Arrow files go too, since this run will not keep them up, and
    without `parquet` the Parquet files.
    """
    storage.remove(storage.join(output_dir, name) for name in (MANIFEST, REPORT))
    storage.remove(storage.private(output_dir, name) for name in (ERRORS, TRACE))
    record = storage.private(output_dir, SPLIT)
    content = json.dumps(split, indent=2).encode("ascii") + b"\n"
    if not storage.exists(record) or storage.read_bytes(record) != content:
        ours.remove_split(output_dir)
    else:
        ours.remove_tables(output_dir, arrow, parquet)
    storage.commit(record, [content])


def remove_output(output_dir: str, found: Iterable[str]) -> None:
    """Remove what Pagecast wrote into a directory, `files_to_remove`, but for the configuration.

    Receipts go late, and the plan last: they tell what is ours.
    """
    last = [storage.private(output_dir, PLAN)]
    kept = {*last, storage.private(output_dir, CONFIG)}
    going = [path for path in found if path not in kept]
    private = {path for path in going if f"/{storage.PRIVATE}/" in path.removeprefix(output_dir)}
    storage.remove(path for path in going if path not in private)
    storage.remove(path for path in going if path in private)
    if storage.is_local(output_dir):
        for directory, _, _ in os.walk(output_dir, topdown=False):
            name = os.path.relpath(directory, output_dir)
            if is_known_directory(name) and not os.listdir(directory):
                os.rmdir(directory)
    storage.remove(last)


def _earlier_config(output_dir: str) -> dict[str, Any] | None:
    path = storage.private(output_dir, CONFIG)
    if not storage.exists(path):
        return None
    try:
        config = json.loads(storage.read_bytes(path))
        _fingerprint(config)
        source.differences(config, config)
    # JSON, but not as a run writes it, fails in many ways.
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        why = f"{type(error).__name__}: {error}"
        raise UsageError(
            f"{path} is damaged ({why}); use another --output_dir, or --overwrite to remove "
            "what is there"
        ) from error
    return config


def _refuse_foreign(output_dir: str) -> None:
    if not storage.is_local(output_dir):
        _refuse_foreign_objects(output_dir)
        return
    if os.path.exists(output_dir) and not os.path.isdir(output_dir):
        raise UsageError(f"--output_dir {output_dir} is a file, not a directory")
    others = (
        sorted(set(os.listdir(output_dir)) - {storage.PRIVATE}) if os.path.isdir(output_dir) else []
    )
    if others:
        raise UsageError(
            f"--output_dir {output_dir} already holds something else ({others[0]}); "
            "choose an empty or new directory"
        )


def _refuse_foreign_objects(output_dir: str) -> None:
    ours = storage.private(output_dir, "")
    try:
        if storage.exists(output_dir):
            raise UsageError(f"--output_dir {output_dir} is an object, not a directory")
        for path in storage.files_below(output_dir):
            if not path.startswith(ours):
                raise UsageError(
                    f"--output_dir {output_dir} already holds something else "
                    f"({path.removeprefix(output_dir + '/')}); choose an empty or new directory"
                )
    except FileNotFoundError as error:
        raise UsageError(f"--output_dir {output_dir} cannot be used: {error}") from error


def _fingerprint(config: Mapping[str, Any]) -> dict[str, Any]:
    flat = {f"--{name}": value for name, value in config["options"].items()}
    for name, value in flat.pop("--style", {}).items():
        flat[f"--style, {name}"] = value
    if styles := flat.pop("--styles", None):
        for entry in styles["entries"]:
            for name, value in entry.items():
                flat[f"--style, {entry['name']}: {name}"] = value
        flat["order of styles"] = [entry["name"] for entry in styles["entries"]]
        flat["--seed (which the styles vary by)"] = styles["seed"]
        flat["--vary"] = styles["vary"]
        flat["candidates of val"] = styles.get("candidates_of_val")
    flat["images (--no_images, --image_shards)"] = flat.pop("--images", None)
    flat["--modes"] = [f"{name}={mode['px']}" for name, mode in config["vision_modes"].items()]
    flat["--shard_rows"] = config["shard_rows"]
    flat["--tokenizer (SHA-256)"] = config["tokenizer"]["sha256"]
    for number, font in enumerate(fonts_of(config), 1):
        flat[f"--font{f' {number}' * (number > 1)} (SHA-256)"] = font["sha256"]
    for name in _fingerprint_versions(config) & config["versions"].keys():
        flat[f"{name} version"] = config["versions"][name]
    for file in config["inputs"]:
        flat[f"input {file['path']}"] = f"{file['bytes']} bytes, {file['rows']} rows"
        if "footer_sha256" in file:
            flat[f"{CONTENT} {file['path']}"] = file["footer_sha256"]
    return flat


def _fingerprint_versions(config: Mapping[str, Any]) -> set[str]:
    """Return the names of what has a hand in the bytes; other versions are only a record."""
    return names_in_bytes(sheet_of(config))


def _brief(value: Any) -> str:
    if value is None:
        return "not given"
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
