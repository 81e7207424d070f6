"""Footers that end the process that reads them, or claim what cannot be."""

from __future__ import annotations

import base64
import struct
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest

from pagecast.dataset.shard import Shard
from pipeline.launch import footers, inputs
from tests.conftest import articles, write_parquet
from transforms.read import footer
from transforms.read.articles import read_columns

I32, I64, STRING, LIST, STRUCT = 5, 6, 8, 9, 12  # types of Thrift's compact protocol
BYTES, OPTIONAL, UTF8 = 6, 1, 0  # of parquet


def number(value: int) -> bytes:
    found = b""
    while value > 127:
        found += bytes([value & 127 | 128])
        value >>= 7
    return found + bytes([value])


def signed(value: int) -> bytes:
    return number(value << 1)


def record(*fields: tuple[int, int, bytes]) -> bytes:
    found, last = b"", 0
    for name, kind, value in fields:
        found += bytes([(name - last) << 4 | kind]) + value
        last = name
    return found + b"\0"


def listed(kind: int, items: list[bytes]) -> bytes:
    return bytes([0xF0 | kind]) + number(len(items)) + b"".join(items)


def element(name: bytes, kind: int | None = None, children: int | None = None) -> bytes:
    fields = [] if kind is None else [(1, I32, signed(kind))]
    fields += [(3, I32, signed(OPTIONAL)), (4, STRING, number(len(name)) + name)]
    fields += [] if children is None else [(5, I32, signed(children))]
    return record(*fields, *([] if kind is None else [(6, I32, signed(UTF8))]))


def parquet(depth: int, rows: int, more: int = 0) -> bytes:
    """Return a file whose schema has groups `depth` deep, and whose one row group claims rows.

    The group has `more` columns that say nothing but where they begin.
    """
    names = (b"title", b"text")
    schema = [element(b"root", children=2 + (depth > 0)), *(element(name, BYTES) for name in names)]
    if depth:
        schema += [element(b"d", children=1)] * depth + [element(b"x", BYTES)]
    columns = []
    for name in names:
        path = listed(STRING, [number(len(name)) + name])
        sizes = [(at, I64, signed(value)) for at, value in ((5, rows), (6, 100), (7, 100), (9, 4))]
        coding = [(1, I32, signed(BYTES)), (2, LIST, listed(I32, [signed(0)])), (3, LIST, path)]
        data = record(*coding, (4, I32, signed(0)), *sizes)
        columns.append(record((2, I64, signed(4)), (3, STRUCT, data)))
    columns += [record((2, I64, signed(4)))] * more
    group = record((1, LIST, listed(STRUCT, columns)), (2, I64, signed(9)), (3, I64, signed(rows)))
    groups = [group] if rows else []
    footer = record(
        (1, I32, signed(1)),
        (2, LIST, listed(STRUCT, schema)),
        (3, I64, signed(rows)),
        (4, LIST, listed(STRUCT, groups)),
    )
    return b"PAR1" + bytes(200) + footer + struct.pack("<I", len(footer)) + b"PAR1"


class Keys(pe.KmsClient):
    def __init__(self, _: Any) -> None:
        super().__init__()

    def wrap_key(self, key: bytes, _: str) -> bytes:
        return base64.b64encode(key)

    def unwrap_key(self, key: str, _: str) -> bytes:
        return base64.b64decode(key)


def encrypt(path: Path, column: str) -> None:
    table = pa.table({**articles("a", "b"), "more": ["x", "y"]})
    plain = pe.EncryptionConfiguration("f", column_keys={"c": [column]}, plaintext_footer=True)
    factory = pe.CryptoFactory(Keys)
    how = factory.file_encryption_properties(pe.KmsConnectionConfig(), plain)
    with pq.ParquetWriter(path, table.schema, encryption_properties=how) as writer:
        writer.write_table(table)


def test_a_footer_that_ends_its_reader_is_a_fault_of_its_file(tmp_path: Path) -> None:
    encrypt(tmp_path / "a.parquet", "text")
    good = write_parquet(tmp_path / "b.parquet", articles(*"abc"))
    (tmp_path / "c.parquet").write_bytes(parquet(20_000, 0))
    encrypt(tmp_path / "d.parquet", "more")
    (tmp_path / "e.parquet").write_bytes(good.read_bytes())
    names = [str(tmp_path / f"{letter}.parquet") for letter in "abcde"]
    found = inputs.read_layouts(names, 256)
    crash = "its footer crashes the reader (SIG"
    assert [(file.path, file.rows, (file.fault or "")[: len(crash)]) for file in found] == [
        (names[0], 0, crash),
        (names[1], 3, ""),
        (names[2], 0, crash),
        (names[3], 2, ""),
        (names[4], 3, ""),
    ]
    assert found[0].fault == f"{crash}ABRT), as that of an encrypted file does"
    # Nor do workers look at a column that is encrypted and not needed.
    (batch,) = read_columns(Shard(0, names[3], 0, 0, 2, 0))
    assert batch["text"] == [b"a", b"b"]


@pytest.mark.parametrize("rows", [10**12, (1 << 62) - 1])
def test_rows_that_no_file_of_the_size_holds(tmp_path: Path, rows: int) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet(0, rows))
    size = path.stat().st_size
    found = inputs.read_footer(str(path))
    fault = f"its {size} bytes cannot hold the {rows} rows it claims"
    assert (found.fault, found.rows) == (fault, 0)


def test_a_footer_that_takes_more_memory_than_a_worker_has_for_it(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet(0, 1, more=900_000))  # 3 bytes each here, 700 in memory
    (found,) = inputs.read_layouts([str(path)], 256)
    assert found.fault == "its footer takes too much memory"


def test_a_footer_longer_than_its_file_or_than_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_parquet(tmp_path / "a.parquet", articles(*"abc"))
    content = path.read_bytes()
    monkeypatch.setattr(footer, "MOST_BYTES", 100)
    assert "its footer has" in str(inputs.read_footer(str(path)).fault)
    path.write_bytes(content[:-8] + b"\xff\xff\xff\x7fPAR1")
    damaged = (
        f"its footer is damaged: it claims {0x7FFFFFFF + 8} bytes, the file has {len(content)}"
    )
    assert inputs.read_footer(str(path)).fault == damaged


def test_a_footer_longer_than_what_is_fetched_at_once(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", articles(*"ab" * 300), group_rows=1)
    assert len(footer.fetch(path.open("rb"))[1]) > 64 << 10
    assert inputs.read_footer(str(path)).groups == (1,) * 600


def test_a_reader_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = "import time; print('ready', flush=True); time.sleep(1000)"
    monkeypatch.setattr(footers, "COMMAND", (sys.executable, "-c", hangs))
    with footers.Reader(patience=0.1) as reader:
        assert reader.parse(b"PAR1", 4).fault == "its footer was not read within 0 s"


def test_a_reader_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footers, "COMMAND", (sys.executable, "-c", "exit(3)"))
    with footers.Reader() as reader, pytest.raises(RuntimeError, match="does not start"):
        reader.parse(b"PAR1", 4)
