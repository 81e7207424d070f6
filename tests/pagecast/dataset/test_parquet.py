"""Parquet files hold the rows of the lines and the images, in groups that can be streamed."""

import json
from pathlib import Path

import datasets
import duckdb
import numpy as np
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pagecast.dataset.layout import is_parquet_of, parquet_paths, parse_parquet_name
from pagecast.dataset.split import parquet_count
from pagecast.dataset.tables.arrow import sample_schema
from pagecast.dataset.tables.parquet import RowGroup, read_rows, stream, with_bytes
from pagecast.render.page import PageMetadata

PAGE = PageMetadata(8, 50, 49, True, 2, 3)._asdict()
MODES = ["tiny", "base"]
SCHEMA, WITHOUT = (sample_schema(MODES, stored) for stored in (True, False))


def line(number: int, stored: bool = True) -> bytes:
    name = f"sample_{number:06d}_chunk_0"
    row = {
        "id": name, "wiki_id": f"enwiki/{number}", "title": "T\u00e9", "chunk_index": 0,
        "total_article_tokens": 2001, "context_tokens": [number, 2], "continuation_tokens": [],
        "context_text": "text",
    }  # fmt: skip
    pages = dict.fromkeys(MODES, PAGE)
    images = {mode: f"images/{mode}/{name}.png" for mode in MODES} if stored else {}
    return json.dumps({**row, "images": images, "font_metadata": pages}).encode() + b"\n"


def groups(*sizes: int, stored: bool = True) -> list[RowGroup]:
    numbers = iter(range(sum(sizes)))
    found = []
    for size in sizes:
        rows = [next(numbers) for _ in range(size)]
        pngs = [[[f"{mode} {n}".encode()] for mode in MODES] for n in rows]
        found.append(RowGroup([line(n, stored) for n in rows], pngs if stored else []))
    return found


def written(path: Path, found: list[RowGroup], schema: pa.Schema = SCHEMA) -> str:
    path.write_bytes(b"".join(stream(found, schema)))
    return str(path)


@pytest.mark.parametrize("sizes", [(), (1,), (3, 2)])
def test_rows_are_those_of_the_lines_with_images(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    path = written(tmp_path / "a.parquet", groups(*sizes))
    rows = list(read_rows(path))
    for number, row in enumerate(rows):
        images = row["images"]
        assert [image["bytes"] for image in images.values()] == [
            f"{mode} {number}".encode() for mode in MODES
        ]
        row["images"] = {mode: image["path"] for mode, image in images.items()}
        assert json.dumps(row).encode() + b"\n" == line(number)
    assert len(rows) == sum(sizes)
    found = pq.ParquetFile(path).metadata
    assert [found.row_group(n).num_rows for n in range(found.num_row_groups)] == list(sizes)
    assert Path(path).read_bytes() == b"".join(stream(groups(*sizes), SCHEMA))


def test_polars_and_duckdb_read_the_same_rows(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", groups(3, 2))
    rows = list(read_rows(path))
    assert len(rows) == 5
    assert polars.read_parquet(path).to_dicts() == rows
    lazy = polars.scan_parquet(path).select("id", polars.col("images").struct.field("base"))
    assert lazy.tail(1).collect().to_dicts() == [
        {"id": rows[-1]["id"], "base": rows[-1]["images"]["base"]}
    ]
    with duckdb.connect() as database:
        asked = database.sql(f"select * from '{path}'")
        assert [dict(zip(asked.columns, row, strict=True)) for row in asked.fetchall()] == rows
        one = database.sql(f"select images.tiny.bytes from '{path}' where chunk_index = 0 limit 1")
        assert one.fetchall() == [(rows[0]["images"]["tiny"]["bytes"],)]


def test_columns_are_those_of_datasets(tmp_path: Path) -> None:
    wanted = with_bytes(SCHEMA)
    features = json.loads(wanted.metadata[b"huggingface"])["info"]["features"]
    assert features["images"] == {mode: {"_type": "Image"} for mode in MODES}
    theirs = datasets.Features.from_dict(features)
    assert theirs.arrow_schema.remove_metadata() == wanted.remove_metadata()
    assert wanted.field("context_tokens").type == pa.list_(pa.int32())
    found = pq.read_schema(written(tmp_path / "a.parquet", groups(1)))
    assert found.metadata[b"huggingface"] == wanted.metadata[b"huggingface"]


def test_where_no_images_are_stored_there_is_no_column(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", groups(2, stored=False), WITHOUT)
    (first, _) = read_rows(path)
    assert list(first) == [name for name in SCHEMA.names if name != "images"]


def test_a_damaged_file_is_not_read(tmp_path: Path) -> None:
    path = Path(written(tmp_path / "a.parquet", groups(3)))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises((pa.ArrowException, OSError)):
        list(read_rows(str(path)))


def test_the_files_of_a_part_are_its_range_of_keys() -> None:
    names = parquet_paths("", "train-00003-of-00025", 2)
    assert names == [f"parquet/train-0000{n}-of-00050.parquet" for n in (6, 7)]
    assert parse_parquet_name(names[0]) == ("train", 6, 50)
    assert [is_parquet_of(n, "train-00003-of-00025") for n in names] == [True, True]
    for other in ("val-00003-of-00025", "train-00002-of-00025", "train-00003-of-00024"):
        assert not is_parquet_of(names[0], other)
    assert parse_parquet_name("parquet/train-00006-of-00050.parquet.bak") is None
    rng = np.random.default_rng(0)
    for key in rng.integers(0, 1 << 64, 500, np.uint64).tolist():
        assert (key * 50 >> 64) // 2 == key * 25 >> 64


@pytest.mark.parametrize(
    ("samples", "image_bytes", "count"),
    [(0, 0, 1), (57, 228_000, 1), (20_000, 228_000, 10), (500_000, 228_000, 10), (4000, 9, 1)],
)
def test_files_have_some_500_mb(samples: int, image_bytes: int, count: int) -> None:
    assert parquet_count(samples, 17_000, image_bytes) == count
