"""A dataset read from Parquet files alone: the rows of its lines, and damage in one line."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pagecast import PageReader, ReaderError
from pagecast.dataset.layout import image_name
from pagecast.dataset.tables.arrow import sample_schema
from pagecast.dataset.tables.parquet import RowGroup, stream
from pagecast.reader import tables
from pagecast.render.page import PageMetadata
from pagecast.render.png import encode_png

MODES = {"tiny": 8, "base": 16}
PAGE = PageMetadata(8, 50, 49, True, 2, 3)._asdict()
SCHEMA = sample_schema(list(MODES), stored=True)
SIZES = {"train": [[3, 2], [], [4]], "val": [[2]]}  # of row groups, file by file


def sample(number: int) -> dict[str, Any]:
    name = f"sample_{number:06d}_chunk_1"
    return {
        "id": name, "wiki_id": f"enwiki/{number}", "title": "T\u00e9", "chunk_index": 1,
        "total_article_tokens": 2001, "context_tokens": [number, 2], "continuation_tokens": [3],
        "context_text": "text", "images": {mode: image_name(mode, name) for mode in MODES},
        "font_metadata": dict.fromkeys(MODES, PAGE),
    }  # fmt: skip


def png(number: int, px: int) -> bytes:
    return encode_png(Image.new("L", (px, px), number), 1)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven samples whose numbers do not follow one another, in four files."""
    out = tmp_path_factory.mktemp("written") / "out"
    (out / "parquet").mkdir(parents=True)
    numbers = iter(range(100, 0, -7))
    for split, files in SIZES.items():
        for file, groups in enumerate(files):
            found = []
            for size in groups:
                rows = [next(numbers) for _ in range(size)]
                lines = [json.dumps(sample(n)).encode() + b"\n" for n in rows]
                found.append(
                    RowGroup(lines, [[[png(n, px)] for px in MODES.values()] for n in rows])
                )
            path = out / f"parquet/{split}-{file:05d}-of-{len(files):05d}.parquet"
            path.write_bytes(b"".join(stream(found, SCHEMA)))
    manifest = {
        "outputs": {"images": "files", "merged": True, "parquet": True},
        "vision_modes": {mode: {"px": px} for mode, px in MODES.items()},
        "split": {s: {"samples": sum(map(sum, files))} for s, files in SIZES.items()},
        "font": {"sha256": "0"}, "options": {"layout": "basic"}, "versions": {},
    }  # fmt: skip
    (out / "split_manifest.json").write_text(json.dumps(manifest))
    return out


@pytest.fixture
def out(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "out"))


def expected(split: str) -> list[dict[str, Any]]:
    numbers = list(range(100, 0, -7))
    return [sample(n) for n in (numbers[:9] if split == "train" else numbers[9:11])]


@pytest.mark.parametrize("kept", [0, tables.KEPT_BYTES])
def test_rows_are_a_sequence_of_what_lines_would_have(
    written: Path, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pagecast.reader.tables.KEPT_BYTES", kept)
    monkeypatch.setattr("pagecast.reader.tables.MOST_OPEN", 1)
    monkeypatch.setattr("pagecast.reader.tables.MOST_NOTED", 2)
    monkeypatch.setattr("pagecast.reader.tables.SORTED_ROWS", 4)
    reader = PageReader(written)
    for name, rows in (("train", expected("train")), ("val", expected("val"))):
        split = reader[name]
        assert list(split) == [split[at] for at in range(-len(rows), 0)] == rows
        assert [json.dumps(row) for row in split] == list(map(json.dumps, rows))
        for part in (slice(1, 8), slice(None, None, -2), slice(5, 5)):
            assert list(split[part]) == rows[part]
        assert list(split.take([1, 0, 1, -1])) == [rows[at] for at in (1, 0, 1, -1)]
    for row in [*expected("train"), *expected("val")]:
        for mode, px in MODES.items():
            page = reader.image(row["id"], mode)
            assert (page.size, page.getpixel((0, 0))) == ((px, px), int(row["id"][7:13]))
            assert reader.png(row["id"], mode) == png(int(row["id"][7:13]), px)
    batch = reader.collate(reader["train"][2:6], "base")
    assert batch["page"].max(axis=(1, 2)).tolist() == [86, 79, 72, 65]
    for unknown, why in (
        ("sample_000001_chunk_1", "is not in the dataset"),
        ("x", "is not the id"),
    ):
        with pytest.raises(ReaderError, match=why):
            reader.image(unknown, "tiny")
    with pytest.raises(ReaderError, match="mode 'small' is not in the dataset, only tiny, base"):
        reader.image(expected("val")[0], "small")
    with pytest.raises(ReaderError, match="has no receipts to check it by"):
        reader.checked_png(expected("val")[0]["id"], "tiny")


def check(reader: PageReader, answers: Any) -> None:
    found = [
        (row == was, reader.image(row, "tiny").getpixel((0, 0)))
        for row, was in zip(reader["train"], expected("train"), strict=True)
    ]
    answers.put(found)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_share_a_reader_that_has_read(written: Path, method: str) -> None:
    reader = PageReader(written)
    assert reader.image(reader["train"][0]["id"], "tiny").getpixel((0, 0)) == 100
    assert list(pickle.loads(pickle.dumps(reader["val"]))) == expected("val")
    context = multiprocessing.get_context(method)
    answers = context.Queue()
    processes = [context.Process(target=check, args=(reader, answers)) for _ in range(2)]
    for process in processes:
        process.start()
    wanted = [(True, int(row["id"][7:13])) for row in expected("train")]
    assert [answers.get(timeout=100) for _ in processes] == [wanted] * 2
    for process in processes:
        process.join()


def test_lines_come_first_where_there_are_some(out: Path) -> None:
    (out / "train.jsonl").write_text("")
    with pytest.raises(ReaderError, match=r"train\.jsonl: 0 samples, not the 9 of the manifest"):
        PageReader(out)["train"]


def rewritten(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    return lambda path: pq.write_table(change(pq.read_table(path)), path)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def torn(path: Path) -> None:
    """Leave the footer, and nothing of what it speaks of."""
    content = path.read_bytes()
    path.write_bytes(b"PAR1" + bytes(len(content) // 3) + content[4 + len(content) // 3 :])


def nothing(path: Path) -> None:
    path.write_bytes(b"")


def without(name: str) -> Callable[[Path], None]:
    return rewritten(lambda table: table.drop_columns([name]))


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "cut short": (truncated, "is damaged, or another tool wrote it (ArrowInvalid: Parquet magic"),
    "torn": (torn, "is damaged, or another tool wrote it ("),
    "empty": (nothing, "is damaged, or another tool wrote it (ArrowInvalid: Parquet file size is"),
    "a column less": (without("title"), "(ValueError: its columns are not id, wiki_id, title, c"),
    "another type": (
        rewritten(lambda t: t.set_column(3, "chunk_index", t["chunk_index"].cast("int64"))),
        "(ValueError: its columns are not id",
    ),
    "fewer rows": (rewritten(lambda table: table.slice(1)), "8 samples in train, not the 9 of the"),
    "no values": (
        rewritten(lambda t: t.set_column(0, "id", pa.nulls(len(t), "string"))),
        "(ValueError: a row is not a sample)",
    ),
    "no images": (
        rewritten(lambda t: t.set_column(8, t.schema.field(8), pa.nulls(len(t), t.schema[8].type))),
        "is damaged, or another tool wrote it (",
    ),
    "missing": (Path.unlink, "has 2 of the 3 Parquet files of train; copy or download"),
}


@pytest.mark.parametrize(("damage", "why"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_one_line(out: Path, damage: Callable[[Path], None], why: str) -> None:
    damage(out / "parquet/train-00000-of-00003.parquet")
    reader = PageReader(out)
    with pytest.raises(ReaderError) as error:
        for row in reader["train"]:
            reader.image(row, "base")
    told = str(error.value)
    assert why in told and str(out / "parquet") in told and "\n" not in told
    assert list(reader["val"]) == expected("val")


def test_another_image_in_its_place_is_damage(out: Path) -> None:
    path = out / "parquet/val-00000-of-00001.parquet"
    rows = pq.read_table(path)
    images = [{**row, "tiny": row["base"]} for row in rows["images"].to_pylist()]
    images[1]["tiny"] = {"bytes": None, "path": None}
    rows = rows.set_column(8, rows.schema.field(8), pa.array(images, rows.schema[8].type))
    pq.write_table(rows, path)
    reader = PageReader(out)
    first, second = reader["val"]
    for row, why in ((first, "is damaged .it has 16 by 16 pixels, not 8"), (second, "no image of")):
        with pytest.raises(ReaderError, match=why):
            reader.image(row, "tiny")


def test_files_that_are_gone_while_it_reads(out: Path) -> None:
    reader = PageReader(out)
    split = reader["train"]
    shutil.rmtree(out / "parquet")
    with pytest.raises(ReaderError, match="parquet is not there; copy or download"):
        split[0]


def test_neither_lines_nor_tables(out: Path) -> None:
    shutil.rmtree(out / "parquet")
    with pytest.raises(ReaderError, match=r"train\.jsonl is not there; the `run` command"):
        PageReader(out)["train"]


def test_without_pyarrow_it_says_what_to_install(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "pagecast.reader.tables")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ReaderError, match="is read with pyarrow: pip install pyarrow"):
        PageReader(out)["train"]
