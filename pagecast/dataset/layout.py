"""The names of files in an output directory: all are made here, and read back here.

What lies below `_pagecast` is private. Functions whose names end in `_path` take the output
directory; with "" for it they return the name relative to it.
"""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pagecast import storage
from pagecast.dataset.sample import page_names
from pagecast.dataset.split import TRAIN, VAL, SplitPlan, part_count

SAMPLES = "samples.jsonl"  # every sample, in input order
FILTERED = "filtered.jsonl"  # every kept article with its tokens, in input order
MANIFEST = "split_manifest.json"
REPORT = "report.html"
IMAGES = "images"
PARQUET = "parquet"
DATA = "data"  # instead of it where the hub has a dataset: there it looks for Parquet files
SPLITS = "splits"  # below it is a directory for each split of `pagecast split`, by its name
ROOT = "../.."  # the dataset, from such a directory
ARROW_INFO, ARROW_STATE = "dataset_info.json", "state.json"  # beside the Arrow files of a split
# Private:
CONFIG = "config.json"  # what decides the bytes of samples and pages
OPTIONS = "options.yaml"  # what the latest run was asked to do
PLAN = "plan.jsonl"  # the shards and the files that cannot be used, in input order
SPLIT = "split.json"  # what decided the split that the latest run began to write
ERRORS = "errors.jsonl"  # input and articles that failed
TRACE = "failure.log"  # why the latest run stopped
CARD = "dataset_card.md"  # what `publish` says of the dataset
FILTERED_WHOLE = "filtered.json"  # size and hash of filtered.jsonl
LOCK = "lock"  # it stays, and is empty while nobody holds it
ASSETS = "assets"  # tokenizer and fonts, under their SHA-256

FILES, SHARDS, NONE = "files", "shards", "none"  # the forms in which images are stored
END_OF_TAR = bytes(2 * tarfile.BLOCKSIZE)

SPLIT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_SPLITS = f"(?P<split>{TRAIN}|{VAL})"
_PART = rf"{_SPLITS}-\d{{5,}}-of-(?P<of>\d{{5,}})"
_MODE = "[a-z][a-z0-9_]*"
_IMAGE = re.compile(
    rf"{IMAGES}/(?P<mode>{_MODE})/(?:sample_(?P<row>\d{{6,}})_chunk_\d+(?:_p\d+)?\.png|(?P<shard>\d{{5,}})\.tar)"
)
_SPLIT_FILE = re.compile(
    rf"{_SPLITS}(?:-\d{{5,}}-of-\d{{5,}})?\.jsonl"
    rf"|(?:{TRAIN}|{VAL})_arrow/(?:data-\d{{5,}}-of-\d{{5,}}\.arrow|{ARROW_INFO}|{ARROW_STATE})"
    rf"|{PARQUET}/(?:{TRAIN}|{VAL})-\d{{5,}}-of-\d{{5,}}\.parquet"
)
_NAMED = re.compile(rf"({SPLITS}/{SPLIT_NAME.pattern}/)(.+)")
_SHARD_RECEIPT = re.compile(r"(\d{5,})\.json")
_PART_RECEIPT = re.compile(rf"{_PART}\.json")
_PART_FILE = re.compile(rf"{_PART}\.jsonl")
_PARQUET_FILE = re.compile(
    rf"{PARQUET}/{_SPLITS}-(?P<number>\d{{5,}})-of-(?P<of>\d{{5,}})\.parquet"
)
_PART_LENGTHS = re.compile(rf"{_PART}\.lengths")
_WHOLE_FILES = (SAMPLES, FILTERED, MANIFEST, REPORT)
_PRIVATE_FILES = (CONFIG, OPTIONS, PLAN, SPLIT, ERRORS, TRACE, CARD, FILTERED_WHOLE, LOCK)
_PRIVATE_FILE = re.compile(
    rf"{storage.PRIVATE}/(?:{'|'.join(map(re.escape, _PRIVATE_FILES))}"
    rf"|(?:shards|filtered)/\d{{5,}}\.jsonl?|parts/(?:{TRAIN}|{VAL})-\d{{5,}}-of-\d{{5,}}\.(?:jsonl?|lengths)"
    rf"|{ASSETS}/[0-9a-f]{{64}}\.(?:json|ttf))"
)
_DIRECTORY = re.compile(
    rf"{IMAGES}(?:/{_MODE})?|(?:{TRAIN}|{VAL})_arrow|{PARQUET}"
    rf"|{storage.PRIVATE}(?:/(?:shards|filtered|parts|{ASSETS}))?"
)


def image_name(mode: str, page: str) -> str:
    """Return the path of an image, by its name, relative to the output directory."""
    return f"{IMAGES}/{mode}/{page}.png"


def image_names(mode: str, sample: str, pages: int | None) -> str | list[str]:
    """Return what a sample says of its images in a mode: a path, or those of so many pages."""
    names = [image_name(mode, page) for page in page_names(sample, pages)]
    return names[0] if pages is None else names


def tar_name(mode: str, shard: int) -> str:
    """Return the path of a shard's tar relative to the output directory."""
    return f"{IMAGES}/{mode}/{shard:05d}.tar"


def member_name(page: str) -> str:
    """Return what an image is called in a tar: what follows the first dot tells pages apart.

    >>> member_name("sample_000001_chunk_0"), member_name("sample_000001_chunk_0_p1")
    ('sample_000001_chunk_0.png', 'sample_000001_chunk_0.p1.png')
    """
    return f"{page.replace('_p', '.p')}.png"


class ImageName(NamedTuple):
    """What the name of an image, or of a tar of images, says: the row of an image, or a shard."""

    mode: str
    row: int | None
    shard: int | None


def parse_image_name(name: str) -> ImageName | None:
    """Return what `image_name` or `tar_name` was made from, None for any other name."""
    match = _IMAGE.fullmatch(name)
    return match and ImageName(
        match["mode"],
        None if match["row"] is None else int(match["row"]),
        None if match["shard"] is None else int(match["shard"]),
    )


def asset_path(output_dir: str, sha256: str, suffix: str) -> str:
    """Return where the tokenizer (suffix ".json") or a font (".ttf") with this SHA-256 is."""
    return storage.private(output_dir, ASSETS, f"{sha256}{suffix}")


def shard_path(output_dir: str, shard: int) -> str:
    """Return where a shard's samples are."""
    return storage.private(output_dir, "shards", f"{shard:05d}.jsonl")


def receipt_path(output_dir: str, shard: int) -> str:
    """Return where a shard's receipt is."""
    return storage.private(output_dir, "shards", f"{shard:05d}.json")


def parse_receipt_name(file: str) -> int | None:
    """Return the shard of a receipt by the receipt's name in its directory."""
    match = _SHARD_RECEIPT.fullmatch(file)
    return match and int(match[1])


def filtered_path(output_dir: str, shard: int) -> str:
    """Return where a shard's kept articles are until they are merged."""
    return storage.private(output_dir, "filtered", f"{shard:05d}.jsonl")


def filtered_receipt_path(output_dir: str, shard: int) -> str:
    """Return where the receipt of a shard's kept articles is."""
    return storage.private(output_dir, "filtered", f"{shard:05d}.json")


def part_name(split: str, number: int, of: int) -> str:
    """Return the name of a part of a split; `number` counts from 0."""
    return f"{split}-{number:05d}-of-{of:05d}"


def part_path(output_dir: str, name: str, merge: bool) -> str:
    """Return where a part lies: among the private files if it is to be merged, else in the open."""
    file = f"{name}.jsonl"
    return storage.private(output_dir, "parts", file) if merge else storage.join(output_dir, file)


def part_receipt_path(output_dir: str, name: str) -> str:
    """Return where a part's receipt is."""
    return storage.private(output_dir, "parts", f"{name}.json")


def parse_part_receipt(file: str) -> tuple[str, int] | None:
    """Return a part's split, and how many parts that has, by the name of the part's receipt."""
    match = _PART_RECEIPT.fullmatch(file)
    return match and (match["split"], int(match["of"]))


def part_lengths_path(output_dir: str, name: str) -> str:
    """Return where the lengths of a part's lines are."""
    return storage.private(output_dir, "parts", f"{name}.lengths")


def part_lengths_files(output_dir: str, split: str) -> list[str]:
    """Return where the lengths of the lines of a split's parts are, in order; all or none."""
    found, of = [], 0
    for path in storage.files_in(storage.private(output_dir, "parts")):
        match = _PART_LENGTHS.fullmatch(path.rsplit("/", 1)[-1])
        if match and match["split"] == split:
            found.append(path)
            of = max(of, int(match["of"]))
    return sorted(found) if len(found) == of else []


def merged_path(output_dir: str, split: str) -> str:
    """Return where a split's lines are in the end."""
    return storage.join(output_dir, f"{split}.jsonl")


def arrow_directory(split: str) -> str:
    """Return the directory of a split's Arrow files, relative to the output directory."""
    return f"{split}_arrow"


def arrow_path(output_dir: str, part: str) -> str:
    """Return where a part's Arrow file is."""
    split, number, _, of = part.split("-")
    return storage.join(output_dir, arrow_directory(split), f"data-{number}-of-{of}.arrow")


def parquet_path(output_dir: str, split: str, number: int, of: int) -> str:
    """Return where a Parquet file of a split is; `number` counts from 0."""
    return storage.join(output_dir, PARQUET, f"{part_name(split, number, of)}.parquet")


def parquet_paths(output_dir: str, part: str, files: int) -> list[str]:
    """Return where a part's Parquet files are: its range of keys, cut into so many `files`."""
    split, part_number, _, parts = part.split("-")
    first, of = int(part_number) * files, int(parts) * files
    return [parquet_path(output_dir, split, first + number, of) for number in range(files)]


class ParquetName(NamedTuple):
    """What the name of a Parquet file says: which one it is, from 0, of how many of its split."""

    split: str
    number: int
    of: int


def parse_parquet_name(name: str) -> ParquetName | None:
    """Return what `parquet_path` was made from, None for any other relative name."""
    match = _PARQUET_FILE.fullmatch(name)
    return match and ParquetName(match["split"], int(match["number"]), int(match["of"]))


def is_parquet_of(name: str, part: str) -> bool:
    """Tell whether a relative name is that of a Parquet file of a part, however many it has."""
    found = parse_parquet_name(name)
    split, number, _, of = part.split("-")
    if found is None or found.split != split or found.of % int(of):
        return False
    return found.number * int(of) // found.of == int(number)


def files_of_splits(output_dir: str) -> Iterator[str]:
    """Yield the names, relative to `output_dir`, of files beside which those of a split may be."""
    for below in ("", arrow_directory(VAL), arrow_directory(TRAIN), PARQUET):
        directory = storage.join(output_dir, below) if below else output_dir
        for path in storage.files_in(directory):
            name = path.rsplit("/", 1)[-1]
            yield f"{below}/{name}" if below else name


def part_files(output_dir: str, split: str) -> list[str]:
    """Return the names of the parts of a split that lie in the open, in order."""
    found = (path.rsplit("/", 1)[-1] for path in storage.files_in(output_dir))
    return sorted(
        n for n in found if (match := _PART_FILE.fullmatch(n)) and match["split"] == split
    )


def is_of_split(name: str) -> bool:
    """Tell whether a relative name is that of a file of a split."""
    return _SPLIT_FILE.fullmatch(name) is not None


def is_arrow_description(name: str) -> bool:
    """Tell whether a relative name is that of a file that describes Arrow files."""
    return name.endswith((f"_arrow/{ARROW_INFO}", f"_arrow/{ARROW_STATE}"))


def named_split(output_dir: str, name: str) -> str:
    """Return the directory of a split with a name; in it stands what an output directory has."""
    return storage.join(output_dir, SPLITS, name)


def named_splits(output_dir: str) -> list[str]:
    """Return the names of such splits that are there, or were begun."""
    top = storage.join(output_dir, SPLITS)
    if storage.is_local(top):
        found = set(os.listdir(top)) if os.path.isdir(top) else set()
    else:
        found = {path.removeprefix(f"{top}/").split("/")[0] for path in storage.files_below(top)}
    return sorted(filter(SPLIT_NAME.fullmatch, found))


def dataset_of(output_dir: str, manifest: Mapping[str, Any]) -> str:
    """Return the dataset that a split is of: its own directory, or two above if it has a name."""
    if "root" not in manifest:
        return output_dir
    if storage.is_local(output_dir):
        return storage.join(output_dir, ROOT)
    return output_dir.rstrip("/").rsplit("/", 2)[0]


def parse_named_split(directory: str) -> tuple[str, str] | None:
    """Return what `named_split` was made from, None for any other directory."""
    match = re.fullmatch(rf"(.+)/{SPLITS}/({SPLIT_NAME.pattern})/*", directory)
    return match and (match[1], match[2])


def in_named_split(name: str) -> tuple[str, str]:
    """Return the directory that a relative name is in, "" or a split's with a "/", and the rest."""
    match = _NAMED.fullmatch(name)
    return (match[1], match[2]) if match else ("", name)


def is_known(name: str) -> bool:
    """Tell whether a relative name is given here, also to a file that is not committed yet."""
    below, name = in_named_split(name)
    if below and name == IMAGES:
        return True  # a link to them
    if storage.UNCOMMITTED.fullmatch(name.rsplit("/", 1)[-1]):
        name = name[: name.rindex(storage.TEMPORARY)]
    patterns = (_IMAGE, _SPLIT_FILE, _PRIVATE_FILE)
    return name in _WHOLE_FILES or any(pattern.fullmatch(name) for pattern in patterns)


def is_known_directory(name: str) -> bool:
    """Tell whether a relative name is that of a directory with such files."""
    if name == SPLITS or _NAMED.fullmatch(f"{name}/-"):
        return True
    name = in_named_split(name)[1]
    return _DIRECTORY.fullmatch(name) is not None


def part_names(split: str, plan: SplitPlan) -> list[str]:
    """Return the parts of a split in the order of their keys."""
    of = part_count(plan.size(split), plan.sample_bytes)
    return [part_name(split, number, of) for number in range(of)]
