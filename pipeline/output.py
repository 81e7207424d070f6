"""The output directory: whose it is, and for which configuration."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.options import UsageError
from transforms import storage
from transforms.arrow import INFO, STATE
from transforms.outputs import CONFIG, ERRORS, FILTERED, MANIFEST, SAMPLES, SPLIT, TRACE
from transforms.split import TRAIN, VAL

PICTURE = re.compile(r"sample_\d{6,}_chunk_\d+\.png|\d{5,}\.tar")
SPLIT_FILE = re.compile(
    rf"({TRAIN}|{VAL})(-\d{{5,}}-of-\d{{5,}})?\.jsonl"
    rf"|({TRAIN}|{VAL})_arrow/(data-\d{{5,}}-of-\d{{5,}}\.arrow|{INFO}|{STATE})"
)
WHOLE_FILES = (SAMPLES, FILTERED, MANIFEST)
# What two runs into one directory must have in common; the rest of the configuration is a record.
DECIDING_VERSIONS = ("pillow", "freetype", "zlib_ng")


def claim(output_dir: str, config: Mapping[str, Any], overwrite: bool) -> None:
    """Make `output_dir` this job's: new, continued, or with `overwrite` emptied of an earlier one.

    Raises:
      UsageError: it holds something else, or the work of another configuration.
    """
    if overwrite and storage.exists(storage.private(output_dir, CONFIG)):
        remove_output(output_dir)  # whatever is in it
    elif (earlier := _earlier_config(output_dir)) is None:
        _refuse_foreign(output_dir)
    elif different := list(differences(earlier, config)):
        raise UsageError(
            f"{output_dir} was made with another configuration: {'; '.join(different)}; "
            "use another --output_dir, or --overwrite to remove what is there"
        )
    content = json.dumps(config, indent=2).encode("ascii") + b"\n"
    try:
        storage.commit(storage.private(output_dir, CONFIG), [content])
    except (FileNotFoundError, FileExistsError, NotADirectoryError) as error:
        raise UsageError(f"--output_dir {output_dir} cannot be made: {error}") from error


def differences(earlier: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what differs between two configurations in the things that decide samples and pages."""
    before, now = _deciding(earlier), _deciding(config)
    gone = set(before["--modes"]) - set(now["--modes"])
    if not gone:  # more modes are no other configuration: the pages that are there stay
        del before["--modes"], now["--modes"]
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            yield f"{name} was {_brief(before.get(name))}, now {_brief(now.get(name))}"


def retract(output_dir: str, split: Mapping[str, Any], arrow: bool) -> None:
    """Take back the manifest, and what is of another split than the one that is to be written.

    So what is there is never half of two splits. `split` is everything that decides the split and
    its parts; without `arrow` the Arrow files go too, since this run will not keep them up.
    """
    storage.remove([storage.join(output_dir, MANIFEST)])
    storage.remove(storage.private(output_dir, name) for name in (ERRORS, TRACE))
    record = storage.private(output_dir, SPLIT)
    content = json.dumps(split, indent=2).encode("ascii") + b"\n"
    same = storage.exists(record) and storage.read_bytes(record) == content
    for name in list(_files(output_dir)):
        kept = same and (arrow or "_arrow/" not in name)
        if SPLIT_FILE.fullmatch(name) and not kept:
            storage.remove([storage.join(output_dir, name)])
    if not same:
        storage.remove(list(storage.files_in(storage.private(output_dir, "parts"))))
    storage.commit(record, [content])


def _files(output_dir: str) -> Iterator[str]:
    """Yield the relative names of the files in which a split may lie."""
    for below in ("", *(f"{split}_arrow" for split in (TRAIN, VAL))):
        directory = storage.join(output_dir, below) if below else output_dir
        for path in storage.files_in(directory):
            name = path.rsplit("/", 1)[-1]
            yield f"{below}/{name}" if below else name


def remove_output(output_dir: str) -> None:
    """Remove what Pagecast wrote into a directory, and nothing else."""
    if not storage.is_local(output_dir):
        raise UsageError(f"--overwrite works on a local directory, not on {output_dir}")
    for name in list(_files(output_dir)):
        if name in WHOLE_FILES or SPLIT_FILE.fullmatch(name):
            os.remove(os.path.join(output_dir, name))
    images = os.path.join(output_dir, "images")
    for directory, _, names in os.walk(images, topdown=False):
        for name in names:
            if PICTURE.fullmatch(name):
                os.remove(os.path.join(directory, name))
    below = [f"{split}_arrow" for split in (TRAIN, VAL)]
    for directory in (*(os.path.join(output_dir, name) for name in below), images):
        for path, _, _ in os.walk(directory, topdown=False):
            if not os.listdir(path):
                os.rmdir(path)
    shutil.rmtree(storage.private(output_dir))


def _earlier_config(output_dir: str) -> dict[str, Any] | None:
    path = storage.private(output_dir, CONFIG)
    if not storage.exists(path):
        return None
    try:
        config = json.loads(storage.read_bytes(path))
        _deciding(config)
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


def _deciding(config: Mapping[str, Any]) -> dict[str, Any]:
    flat = {f"--{name}": value for name, value in config["options"].items()}
    flat["pictures (--no_images, --image_shards)"] = flat.pop("--images", None)
    flat["--modes"] = [f"{name}={mode['px']}" for name, mode in config["vision_modes"].items()]
    flat["--shard_rows"] = config["shard_rows"]
    flat["--tokenizer (SHA-256)"] = config["tokenizer"]["sha256"]
    flat["--font (SHA-256)"] = config["font"]["sha256"]
    for name in DECIDING_VERSIONS:
        flat[f"{name} version"] = config["versions"][name]
    for file in config["inputs"]:
        flat[f"input {file['path']}"] = f"{file['bytes']} bytes, {file['rows']} rows"
    return flat


def _brief(value: Any) -> str:
    if value is None:
        return "not given"
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
