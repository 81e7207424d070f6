"""Parquet files of a part: the lines in their order with the images of their receipts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pagecast import storage
from pagecast.dataset.layout import image_name
from pagecast.dataset.receipts import Part, find_part
from pagecast.dataset.sample import Sample
from pagecast.dataset.shard import Shard, ShardSamples
from pagecast.dataset.split import SplitPlan, SplitSettings
from pagecast.dataset.tables import parquet as tables
from pagecast.dataset.tables.arrow import sample_schema
from pagecast.dataset.tables.parquet import read_rows
from pagecast.render.page import PageMetadata
from transforms.commit.samples import write_samples
from transforms.render.sinks import ImageFiles, ImageTars
from transforms.split.assign import ShardReferences, assign_split
from transforms.split.parquet import ImageError
from transforms.split.parts import PartSettings, write_part

MODES = ["tiny", "base"]
PAGE = PageMetadata(8, 50, 49, True, 2, 3)._asdict()
PLAN, WANTED = SplitPlan(None, None, 0, 12, 0), SplitSettings(100, 10, 42)
NAME = "train-00000-of-00001"
TOKENS = np.arange(3, dtype=np.int32)
PAGES = dict.fromkeys(MODES, PAGE)


def page(sample: str, mode: str) -> bytes:
    return f"{mode} of {sample}".encode()


def committed(out: Path, form: str = "files", shard_rows: int = 3) -> list[ShardReferences]:
    """Commit six articles of two samples with their images; return the one part's references."""
    found = []
    for number, start in enumerate(range(0, 6, shard_rows)):
        sink = ImageFiles(str(out), {}) if form == "files" else ImageTars(str(out), number, MODES)
        samples = tuple(
            tuple(
                Sample(
                    row, f"w{row}", "t", k, 9, TOKENS, TOKENS, "x", {}, dict.fromkeys(MODES, PAGE)
                )
                for k in range(2)
            )
            for row in range(start, start + shard_rows)
        )
        for sample in (sample for article in samples for sample in article):
            sample.images.update({mode: image_name(mode, sample.id) for mode in MODES})
            sink.add(sample, {mode: {sample.id: page(sample.id, mode)} for mode in MODES})
        shard = Shard(number, "p", 0, start, shard_rows, start)
        receipt = write_samples(
            ShardSamples(shard, samples, {}, (), sink.commit()), str(out), MODES
        )
        found += [packed for _, packed in assign_split(receipt, PLAN, WANTED)]
    return found


def settings(out: Path, merge: bool = False) -> PartSettings:
    return PartSettings(str(out), merge, None, sample_schema(MODES, stored=True))


def contents(out: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((out / "parquet").iterdir())]


def nodes(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in (out / "parquet").iterdir()}


def test_rows_are_the_lines_in_order_with_their_images(tmp_path: Path) -> None:
    found: list[list[bytes]] = []
    for form, shard_rows in (("files", 3), ("tars", 3), ("files", 1), ("tars", 6)):
        out = tmp_path / f"{form}{shard_rows}"
        part = write_part(NAME, committed(out, form, shard_rows), settings(out), 3)
        paths = sorted((out / "parquet").iterdir())
        assert [path.name for path in paths] == [
            f"train-0000{n}-of-00003.parquet" for n in range(3)
        ]
        assert part.parquet is not None
        assert [storage.sha256_of(str(p)) for p in paths] == [f.sha256 for f in part.parquet]
        rows = [row for path in paths for row in read_rows(str(path))]
        lines = [json.loads(line) for line in (out / f"{NAME}.jsonl").open()]
        for row, line in zip(rows, lines, strict=True):
            for mode, image in row["images"].items():
                assert image == {"bytes": page(row["id"], mode), "path": line["images"][mode]}
            assert {**row, "images": 0} == {**line, "images": 0}
        found.append(contents(out))
    assert found[0] == found[1] == found[2] == found[3]  # whatever the form and the shards


@pytest.mark.parametrize(("rows", "size", "wanted"), [(5, 1 << 20, [5, 5, 2]), (100, 60, [2] * 6)])
def test_row_groups_are_bounded_by_rows_and_by_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, size: int, wanted: list[int]
) -> None:
    monkeypatch.setattr(tables, "GROUP_ROWS", rows)
    monkeypatch.setattr(tables, "GROUP_BYTES", size)
    write_part(NAME, committed(tmp_path), settings(tmp_path))
    found = pq.ParquetFile(tmp_path / f"parquet/{NAME}.parquet").metadata
    assert [found.row_group(n).num_rows for n in range(found.num_row_groups)] == wanted


def test_what_is_there_stays_and_what_is_not_is_written(tmp_path: Path) -> None:
    shards = committed(tmp_path)
    lines = write_part(NAME, shards, PartSettings(str(tmp_path), False))
    whole = write_part(NAME, shards, settings(tmp_path), 3)
    assert whole._replace(parquet=None) == lines
    before, was = nodes(tmp_path), contents(tmp_path)
    assert write_part(NAME, shards, settings(tmp_path), 3) == whole
    assert nodes(tmp_path) == before
    (tmp_path / "parquet/train-00001-of-00003.parquet").unlink()
    (tmp_path / "parquet/train-00002-of-00003.parquet").write_bytes(b"cut short")
    assert write_part(NAME, shards, settings(tmp_path), 3) == whole
    assert contents(tmp_path) == was
    assert nodes(tmp_path)["train-00000-of-00003.parquet"] == before["train-00000-of-00003.parquet"]
    assert len(write_part(NAME, shards, settings(tmp_path), 2).parquet or ()) == 2
    assert sorted(nodes(tmp_path)) == [f"train-0000{n}-of-00002.parquet" for n in range(2)]


def test_a_kill_between_two_files_costs_no_more_than_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = committed(tmp_path)
    commit: Callable[..., Any] = storage.commit_hashed

    def killed(path: str, pieces: Any) -> Any:
        if path.endswith("1-of-00003.parquet"):
            raise KeyboardInterrupt
        return commit(path, pieces)

    with monkeypatch.context() as patched:
        patched.setattr(storage, "commit_hashed", killed)
        with pytest.raises(KeyboardInterrupt):
            write_part(NAME, shards, settings(tmp_path), 3)
    before = nodes(tmp_path)
    assert list(before) == ["train-00000-of-00003.parquet"]
    begun = find_part(str(tmp_path), NAME)
    assert begun is not None
    assert begun.parquet is not None
    assert [file.size > 0 for file in begun.parquet] == [True, False, False]
    assert None not in (write_part(NAME, shards, settings(tmp_path), 3).parquet or [None])
    assert nodes(tmp_path).items() > before.items()


@pytest.mark.parametrize("damage", [b"", b"tiny of sample_000001_chunk_9", None])
@pytest.mark.parametrize("form", ["files", "tars"])
def test_an_image_that_is_not_the_one_written_is_named(
    tmp_path: Path, form: str, damage: bytes | None
) -> None:
    shards = committed(tmp_path, form)
    name = (
        image_name("tiny", "sample_000001_chunk_1") if form == "files" else "images/tiny/00000.tar"
    )
    path = tmp_path / name
    path.unlink() if damage is None else path.write_bytes(damage)
    with pytest.raises(
        ImageError, match="has not the image that was written; `pagecast verify"
    ) as error:
        write_part(NAME, shards, settings(tmp_path))
    assert str(path) in str(error.value)
    assert not list(tmp_path.glob("parquet/*"))


def test_receipts_of_earlier_versions_are_read_and_written_as_they_were(tmp_path: Path) -> None:
    part = write_part(NAME, committed(tmp_path), PartSettings(str(tmp_path), False))
    assert b"parquet" not in part.to_json()
    assert Part.from_json(part.to_json()) == part
