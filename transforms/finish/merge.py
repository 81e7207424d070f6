"""Putting pieces together: the parts of a split, the samples of all shards, the kept articles.

Where no part has changed since an earlier run, a split's merged file is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pagecast import storage
from pagecast.dataset import filtered
from pagecast.dataset.layout import (
    PLAN,
    SAMPLES,
    arrow_path,
    merged_path,
    part_names,
    part_path,
    part_receipt_path,
    shard_path,
)
from pagecast.dataset.receipts import InconsistentError, Part
from pagecast.dataset.shard import Shard, read_plan
from pagecast.dataset.split import SplitPlan
from pagecast.dataset.tables import arrow
from transforms.split.parts import PartSettings, write_part


def finish_split(
    parts: Iterable[Part], plan: SplitPlan, split: str, settings: PartSettings
) -> None:
    """Make a split's parts a whole: those without samples too, merged, and described for Arrow.

    Raises:
      InconsistentError: the parts do not have the samples that were planned.
    """
    written = {part.name: part for part in parts if part.split == split}
    found = sum(part.samples for part in written.values())
    if found != plan.size(split):
        raise InconsistentError(f"{split} has {found} samples, {plan.size(split)} planned")
    ordered = [
        written.get(name) or write_part(name, [], settings, plan.files_of(split))
        for name in part_names(split, plan)
    ]
    if settings.merge:
        _merge_parts(ordered, split, settings.output_dir)
    if settings.schema is not None:
        files = {
            arrow_path(settings.output_dir, part.name).rsplit("/", 1)[-1]: part.arrow.sha256
            for part in ordered
            if part.arrow is not None
        }
        arrow.commit_description(settings.output_dir, split, settings.schema, files)


def _merge_parts(parts: list[Part], split: str, output_dir: str) -> None:
    path = merged_path(output_dir, split)
    offset, merged = 0, []
    for part in parts:
        merged.append(part._replace(offset=offset))
        offset += part.lines.size
    if merged == parts and storage.exists(path) and storage.size_of(path) == offset:
        return

    def pieces() -> Iterator[bytes]:
        for part in parts:
            if part.offset is None:
                yield from storage.read_pieces(part_path(output_dir, part.name, merge=True))
            else:
                yield from storage.read_pieces(path, part.offset, part.lines.size)

    storage.commit(path, pieces())
    storage.flush(output_dir)
    for part in merged:
        # In this order: until its receipt says that they are in the merged file, a part's lines
        # are in its own.
        receipt = part_receipt_path(output_dir, part.name)
        storage.commit(receipt, [part.to_json()], durable=True)
        storage.remove([part_path(output_dir, part.name, merge=True)])


def merge_samples(output_dir: str, planned: int) -> None:
    """Write samples.jsonl from the shards' files, `planned` bytes in all.

    Raises:
      InconsistentError: the shards' files are not as large as their receipts said.
    """
    pieces = (
        piece
        for shard in _shards(output_dir)
        for piece in storage.read_pieces(shard_path(output_dir, shard.number))
    )
    merged = storage.commit(storage.join(output_dir, SAMPLES), pieces)
    if merged != planned:
        raise InconsistentError(f"{SAMPLES} has {merged} bytes, its shards have {planned}")


def merge_filtered(output_dir: str) -> dict[str, Any]:
    """Write filtered.jsonl from the shards' pieces and return its articles, bytes and SHA-256."""
    if whole := filtered.find_whole(output_dir):
        return whole
    whole = filtered.merge_pieces(output_dir, _shards(output_dir))
    filtered.remove_pieces(output_dir, _shards(output_dir))
    return whole


def _shards(output_dir: str) -> Iterator[Shard]:
    plan = read_plan(storage.private(output_dir, PLAN))
    return (shard for shard in plan if isinstance(shard, Shard))
