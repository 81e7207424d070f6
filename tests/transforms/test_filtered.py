import json
from pathlib import Path

import numpy as np
import pytest
from apache_beam import Create, ParDo
from apache_beam.testing.util import assert_that, equal_to

from pagecast.dataset.filtered import (
    FilteredPiece,
    find_filtered,
    find_whole,
    merge_pieces,
    remove_pieces,
    write_filtered,
)
from pagecast.dataset.sample import Article
from pagecast.dataset.shard import Shard, ShardArticles
from tests.conftest import in_beam
from transforms.commit.filtered import WriteFiltered


def batch(number: int, *rows: int) -> ShardArticles:
    articles = tuple(
        Article(row, f"w{row}", "é", "text", np.arange(row, dtype=np.int32)) for row in rows
    )
    return ShardArticles(Shard(number, "/in/a.parquet", 0, 0, 9, 9 * number), articles, {"x": 1})


def test_a_piece_is_committed_and_found(tmp_path: Path) -> None:
    piece = write_filtered(batch(3, 4, 5), str(tmp_path))
    content = (tmp_path / "_pagecast/filtered/00003.jsonl").read_bytes()
    assert [json.loads(line)["id"] for line in content.splitlines()] == ["w4", "w5"]
    assert (piece.articles, piece.size) == (2, len(content))
    assert find_filtered(piece.shard, str(tmp_path)) == piece
    moved = piece.shard._replace(path="/elsewhere/a.parquet")
    assert find_filtered(moved, str(tmp_path)) == piece
    assert find_filtered(piece.shard._replace(first_row=0), str(tmp_path)) is None


@pytest.mark.parametrize("name", ["00003.jsonl", "00003.json"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"[]", b"\xff"])
def test_a_damaged_piece_does_not_count(tmp_path: Path, name: str, content: bytes | None) -> None:
    piece = write_filtered(batch(3, 4, 5), str(tmp_path))
    path = tmp_path / "_pagecast/filtered" / name
    path.unlink() if content is None else path.write_bytes(content)
    assert find_filtered(piece.shard, str(tmp_path)) is None


def test_pieces_are_merged_in_input_order_and_vouched_for(tmp_path: Path) -> None:
    out = str(tmp_path)
    pieces = [write_filtered(each, out) for each in (batch(1, 9), batch(0, 1, 2), batch(2))]
    shards = sorted(piece.shard for piece in pieces)
    assert find_whole(out) is None
    whole = merge_pieces(out, shards)
    path = tmp_path / "filtered.jsonl"
    content = path.read_bytes()
    assert [json.loads(line)["id"] for line in content.splitlines()] == ["w1", "w2", "w9"]
    assert (whole["articles"], whole["bytes"]) == (3, len(content))
    remove_pieces(out, shards)
    assert not list((tmp_path / "_pagecast/filtered").iterdir())
    assert find_whole(out) == whole
    for damaged in (content[:-1], content + b"\n", content.replace(b"w9", b"w8")):
        path.write_bytes(damaged)
        assert find_whole(out) is None
    path.write_bytes(content)
    record = tmp_path / "_pagecast/filtered.json"
    for field in ("articles", "bytes", "sha256"):
        record.write_text(json.dumps({**whole, field: 4}))
        assert find_whole(out) is None


def test_a_missing_piece_is_an_error(tmp_path: Path) -> None:
    piece = write_filtered(batch(0, 1), str(tmp_path))
    with pytest.raises(FileNotFoundError):
        merge_pieces(str(tmp_path), [piece.shard, piece.shard._replace(number=1)])
    assert not (tmp_path / "filtered.jsonl").exists()


def test_write_filtered_stage(tmp_path: Path) -> None:
    expected = write_filtered(batch(0, 1, 2), str(tmp_path / "expected"))
    with in_beam() as pipeline:
        written = pipeline | Create([batch(0, 1, 2)]) | ParDo(WriteFiltered(str(tmp_path / "out")))
        assert_that(written, equal_to([expected]))
    assert FilteredPiece.from_json(expected.to_json()) == expected
