"""Which files of an output directory are Pagecast's: no other one is ever removed."""

from __future__ import annotations

import json
import os
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from pagecast import storage
from pagecast.dataset.layout import (
    ARROW_INFO,
    ARROW_STATE,
    CONFIG,
    FILES,
    FILTERED,
    FILTERED_WHOLE,
    IMAGES,
    LOCK,
    PARQUET,
    PLAN,
    SAMPLES,
    SHARDS,
    SPLIT,
    ImageName,
    arrow_directory,
    arrow_path,
    files_of_splits,
    image_name,
    in_named_split,
    is_known,
    is_of_split,
    is_parquet_of,
    merged_path,
    named_split,
    named_splits,
    parquet_paths,
    parse_image_name,
    parse_part_receipt,
    part_path,
    receipt_path,
)
from pagecast.dataset.manifest import EMPTYING
from pagecast.dataset.receipts import find_part, read_images
from pagecast.dataset.shard import Shard, read_plan
from pagecast.dataset.split import TRAIN, VAL
from pipeline.options import UsageError

ARROW_DIRECTORIES = (arrow_directory(TRAIN), arrow_directory(VAL))


class Stored(NamedTuple):
    """The modes and the form of the images in a directory, None where they are not known."""

    modes: list[str] | None = None
    form: str | None = None


def stored_in(output_dir: str) -> Stored:
    """Return what the configuration says of the images that are there."""
    try:
        config = json.loads(storage.read_bytes(storage.private(output_dir, CONFIG)))
        if EMPTYING in config:  # the images are still those of the job before
            return Stored(**config[EMPTYING])
        return Stored(list(config["vision_modes"]), config["options"].get("images"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Stored()


def sweep(output_dir: str, form: str) -> None:
    """Remove the files that a stopped run was still writing.

    Single images are written in place, so only tars leave such files beside the images.
    """
    if not storage.is_local(output_dir):
        return  # an object that was not closed was never there
    tables = (os.path.join(output_dir, below) for below in (*ARROW_DIRECTORIES, PARQUET))
    places = [output_dir, *tables]
    deep = [storage.private(output_dir)]
    if form == SHARDS:
        deep.append(os.path.join(output_dir, IMAGES))
    places += [directory for top in deep for directory, _, _ in os.walk(top)]
    for directory in places:
        found = list(storage.files_in(directory))
        storage.remove(
            path
            for path in found
            if storage.UNCOMMITTED.fullmatch(os.path.basename(path))
            and is_known(os.path.relpath(path, output_dir))
        )


def files_to_remove(output_dir: str) -> list[str]:
    """Return the paths of all that Pagecast wrote into a directory, the lock excepted.

    Images of finished shards are known by their receipts, others by their names and by the plan,
    which says which rows and shards there are. The files of a split are known by its receipts.

    Raises:
      UsageError: there is something that Pagecast did not write; or no way to tell.
    """
    stored, shards = stored_in(output_dir), _planned(output_dir)
    samples = {*split_files(output_dir), *whole_files(output_dir)}
    for split in named_splits(output_dir):
        below = named_split("", split)
        samples.update(f"{below}/{n}" for n in split_files(named_split(output_dir, split)))
    found, images = [], []
    for path, name in _everything(output_dir):
        if name == f"{storage.PRIVATE}/{LOCK}":
            continue
        if image := parse_image_name(name):
            images.append((_shard_of(image, stored, shards), name, path))
        elif not is_known(name) or (
            _is_of_samples(in_named_split(name)[1]) and name not in samples
        ):
            _refuse(path)
        found.append(path)
    named: tuple[int, frozenset[str] | None] = (-1, None)
    for number, name, path in sorted(images):
        if number != named[0]:
            named = number, _named(output_dir, number)
        if number < 0 or (named[1] is not None and name not in named[1]):
            _refuse(path)
    return found


def split_files(output_dir: str) -> list[str]:
    """Return the names of the files of a split that an earlier run wrote, or was about to.

    They are those that the parts' receipts name.
    """
    merged = was_merged(output_dir)
    found = [merged_path("", split) for split in (TRAIN, VAL)] if merged is not False else []
    for name in filter(parse_part_receipt, _names_of_parts(output_dir)):
        found += part_files(output_dir, name.removesuffix(".json"), merged or False)
    described = {name.split("/")[0] for name in found if name.startswith(ARROW_DIRECTORIES)}
    return found + [
        f"{below}/{file}" for below in sorted(described) for file in (ARROW_INFO, ARROW_STATE)
    ]


def part_files(output_dir: str, part: str, merged: bool) -> list[str]:
    """Return the names of a part's own files; a receipt that is damaged names all there may be."""
    receipt = find_part(output_dir, part)
    found = [] if merged else [part_path("", part, merge=False)]
    if receipt is None or receipt.arrow is not None:
        found.append(arrow_path("", part))
    if receipt is None:
        return found + [n for n in files_of_splits(output_dir) if is_parquet_of(n, part)]
    return found + parquet_paths("", part, len(receipt.parquet or ()))


def remove_split(output_dir: str) -> None:
    """Remove the split that is there: its files, what is left of its parts, last their receipts."""
    storage.remove(storage.join(output_dir, name) for name in split_files(output_dir))
    below = [f"{storage.PRIVATE}/parts/{name}" for name in _names_of_parts(output_dir)]
    own = filter(is_known, sorted(below, key=lambda name: name.endswith(".json")))
    storage.remove([storage.join(output_dir, name) for name in own])


def remove_tables(output_dir: str, arrow: bool, parquet: bool) -> None:
    """Remove those files of the split that is there of which it is to have none from now on."""
    going = (*ARROW_DIRECTORIES,) * (not arrow) + (PARQUET,) * (not parquet)
    names = [name for name in split_files(output_dir) if name.startswith(going)]
    storage.remove(storage.join(output_dir, name) for name in names)


def _names_of_parts(output_dir: str) -> list[str]:
    paths = storage.files_in(storage.private(output_dir, "parts"))
    return [path.rsplit("/", 1)[-1] for path in paths]


def was_merged(output_dir: str) -> bool | None:
    """Tell whether the parts of the split that is there are, or were to be, merged.

    None where there is no split, or its record is damaged.
    """
    try:
        return bool(json.loads(storage.read_bytes(storage.private(output_dir, SPLIT)))["merge"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def whole_files(output_dir: str) -> Iterator[str]:
    """Yield the names of the files of all samples and of all kept articles, where they are ours."""
    if was_merged(output_dir) is not False:
        yield SAMPLES
    whole = storage.private(output_dir, FILTERED_WHOLE)
    if storage.exists(whole) or any(storage.files_in(storage.private(output_dir, "filtered"))):
        yield FILTERED


def _is_of_samples(name: str) -> bool:
    return name in (SAMPLES, FILTERED) or is_of_split(name)


def _refuse(path: str) -> None:
    raise UsageError(f"--overwrite: {path} is not Pagecast's; move it away, nothing was removed")


def _shard_of(image: ImageName, stored: Stored, shards: list[Shard]) -> int:
    """Return the number of the shard that an image is of by its name, or -1."""
    form = SHARDS if image.row is None else FILES
    if stored.form not in (None, form):
        return -1
    if stored.modes is not None and image.mode not in stored.modes:
        return -1
    if image.shard is not None:
        return image.shard if image.shard < len(shards) else -1
    row = image.row or 0
    place = bisect_right(shards, row, key=lambda shard: shard.first_row) - 1
    last = shards[-1].first_row + shards[-1].rows if shards else 0
    return shards[max(place, 0)].number if row < last else -1


def _named(output_dir: str, shard: int) -> frozenset[str] | None:
    """Return the images that a shard's receipt names, or None where there is no receipt."""
    try:
        images = read_images(storage.read_bytes(receipt_path(output_dir, shard)))
    except (OSError, ValueError):
        return None
    return frozenset(
        name
        for mode, stored in images.items()
        for name in ([stored.tar] if stored.tar else (image_name(mode, s) for s in stored.places))
    )


def _everything(output_dir: str) -> Iterator[tuple[str, str]]:
    """Yield the path of every file below a directory, and its name relative to it."""
    if not storage.is_local(output_dir):
        for path in storage.files_below(output_dir):
            yield path, path.removeprefix(f"{output_dir}/")
        return
    for directory, below, names in os.walk(output_dir):
        links = (name for name in below if os.path.islink(os.path.join(directory, name)))
        for file in (*names, *links):
            path = os.path.join(directory, file)
            yield path, os.path.relpath(path, output_dir).replace(os.sep, "/")


def _planned(output_dir: str) -> list[Shard]:
    """Return the shards of the plan of an earlier run, in order."""
    try:
        entries = read_plan(storage.private(output_dir, PLAN))
        return [entry for entry in entries if isinstance(entry, Shard)]
    except (OSError, ValueError, TypeError, KeyError):  # then nothing can be known for ours
        return []
