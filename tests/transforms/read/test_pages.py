"""Small files that would take much memory: pages, dictionaries, values and lines that are bombs."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pagecast.dataset.sample import Article
from pagecast.dataset.shard import Failure, Shard, ShardArticles
from pagecast.tokens import tokenizer as tokenizing
from pagecast.tokens.tokenizer import ArticleTokenizer
from tests.conftest import articles, write_parquet
from transforms.read import pages, tokenized
from transforms.read.articles import ReadArticles, read_articles
from transforms.read.pages import Page, batch_rows, largest
from transforms.read.shards import cut_row_group
from transforms.read.tokenized import parse_article
from transforms.tokenize import tokenize


def data(size: int, values: int, *, delta: bool = False) -> Page:
    return Page(size, values, False, delta)


@pytest.mark.parametrize(
    ("found", "rows", "bytes_at_most"),
    [
        ([data(100, 10)], 3, 100),
        ([data(100, 10), data(70, 10), data(50, 10)], 3, 170),
        ([data(100, 1), data(70, 1), data(50, 1)], 1, 100),
        ([data(100, 1), data(70, 1), data(50, 1)], 2, 170),
        ([data(100, 1), data(70, 1), data(50, 1)], 3, 220),
        ([Page(1000, 1, True, False), data(5, 50)], 3, 3005),
        ([data(100, 10, delta=True), data(10, 10, delta=True)], 2, 110 + 220),
        ([], 3, 0),
    ],
)
def test_largest(found: list[Page], rows: int, bytes_at_most: int) -> None:
    assert largest(found, rows) == bytes_at_most


def test_fewer_rows_at_a_time_where_they_may_be_huge() -> None:
    small = {"text": [Page(1 << 18, 9, True, False), data(1 << 20, 99)]}
    assert batch_rows(small, 128) == 128
    assert batch_rows({"text": [Page(19 << 20, 1, True, False), data(60, 250)]}, 128) == 2
    assert batch_rows({"text": [data(200 << 20, 1)] * 9}, 128) == 1


@pytest.mark.parametrize("how", [{}, {"data_page_version": "2.0"}, {"compression": "none"}])
@pytest.mark.parametrize("held", [1 << 20, 0])
def test_pages_of_real_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: dict[str, Any], held: int
) -> None:
    """Whether the columns are held or read by pages, pages are found and rows are the same."""
    monkeypatch.setattr(pages, "MOST_HELD_BYTES", held)
    texts = [f"text {n} " * 50 for n in range(3000)]
    table = pa.table(articles(*texts))
    path = tmp_path / "a.parquet"
    pq.write_table(table, path, data_page_size=5000, write_batch_size=50, **how)
    metadata = pq.read_metadata(path)
    with path.open("rb") as file:
        found = pages.Columns(file, metadata, 0, ["id", "title", "text"]).pages()
    assert {
        name: sum(p.values for p in ps if not p.is_dictionary) for name, ps in found.items()
    } == {
        "id": 3000,
        "title": 3000,
        "text": 3000,
    }
    assert len(found["text"]) > 5
    batch = read_articles(Shard(0, str(path), 0, 1000, 1500, 1000))
    assert [a.text for a in batch.articles] == texts[1000:2500]


@pytest.mark.parametrize("column", ["id", "title", "text"])
def test_a_page_too_large_to_be_decompressed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    monkeypatch.setattr(pages, "MOST_PAGE_BYTES", 100_000)
    path = write_parquet(tmp_path / "a.parquet", {**articles("x"), column: ["y" * 200_000]})
    (failure,) = ReadArticles().process(Shard(0, str(path), 0, 0, 1, 0))
    assert isinstance(failure.value, Failure)
    assert failure.value.path == str(path)
    assert f"a page of its column '{column}' takes 200,0" in failure.value.reason
    assert "write the file with fewer rows in a page" in failure.value.reason


def test_long_values_are_not_decoded(tmp_path: Path) -> None:
    columns = {"id": ["a", "é" * 10_001], "title": ["t" * 10_001, "t"], "text": ["x", "y"]}
    path = write_parquet(tmp_path / "a.parquet", columns)
    errors = read_articles(Shard(0, str(path), 0, 0, 2, 0)).errors
    assert [(e.wiki_id, e.reason) for e in errors] == [
        ("a.parquet#0", "its title has 10,001 characters, more than 10,000"),
        ("a.parquet#1", "its id has 10,001 characters, more than 10,000"),
    ]


def test_no_character_is_counted_twice(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", articles("é" * 10, "é" * 11))
    batch = read_articles(Shard(0, str(path), 0, 0, 2, 0), max_chars=10)
    assert [a.text for a in batch.articles] == ["é" * 10]
    assert [e.reason for e in batch.errors] == ["it has 11 characters, --max_article_chars is 10"]


def test_a_shard_holds_no_more_text_than_a_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenized, "MOST_SHARD_BYTES", 2500)
    path = write_parquet(tmp_path / "a.parquet", articles(*["a" * 1000] * 3, "b"))
    batch = read_articles(Shard(0, str(path), 0, 0, 4, 0))
    assert [a.row for a in batch.articles] == [0, 1, 3]
    assert [(e.row, e.wiki_id, e.reason) for e in batch.errors] == [
        (
            2,
            "a2",
            "its 1,000 characters are too much for a worker, with the other articles of its shard; "
            "run again with a --shard_rows smaller than 4 and --overwrite",
        )
    ]


def test_memory_that_is_not_there_fails_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("transforms.read.articles.read_rows", fail)
    (failure,) = ReadArticles().process(Shard(0, "a.parquet", 0, 0, 2, 0))
    assert failure.value == Failure(
        "a.parquet", "row group 0, rows 0 to 1", "it takes too much memory"
    )


def test_long_articles_make_small_shards() -> None:
    assert cut_row_group(4, 256, 128 << 20) == [(0, 1), (1, 1), (2, 1), (3, 1)]
    assert cut_row_group(2, 256, 1 << 40) == [(0, 1), (1, 1)]
    assert cut_row_group(256, 256, 2 << 20) == [(0, 256)]


def test_a_line_of_too_many_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenized, "MOST_VALUES", 10)
    with pytest.raises(ValueError, match="it has some 13 values, more than 10"):
        parse_article(b'{"id": [' + b"{}," * 5 + b"{}", 0, "x")


def encoded(tokenizer: ArticleTokenizer, *texts: str) -> tuple[list[str], list[str]]:
    """Tokenize articles; return the ids of those that have tokens, and the reasons of others."""
    given = tuple(Article(n, f"a{n}", "t", text) for n, text in enumerate(texts))
    done = tokenize(ShardArticles(Shard(0, "a", 0, 0, 9, 0), given, {}), tokenizer)
    return [a.wiki_id for a in done.articles], [e.reason for e in done.errors]


@pytest.fixture
def quick_tokenizer(small_tokenizer: Path) -> ArticleTokenizer:
    found = ArticleTokenizer((small_tokenizer / "small/tokenizer.json").read_bytes())
    assert found.is_quick
    return found


def test_an_article_of_more_tokens_than_an_encoder_holds(
    quick_tokenizer: ArticleTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizing, "MOST_TOKENS", 100)
    found = encoded(quick_tokenizer, "x " * 101, "x")
    assert found == (["a1"], ["ValueError: it has more than 100 tokens"])


def test_a_word_that_an_encoder_cannot_cut(
    quick_tokenizer: ArticleTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizing, "MOST_WORD_BYTES", 100)
    texts = "ab " * 100, "é" * 51, "x" + " " * 100 + "y", "ab " + "é" * 49 + " cd"
    kept, reasons = encoded(quick_tokenizer, *texts)
    assert kept == ["a0", "a3"]
    assert reasons == ["ValueError: it has a word, or as much space, of over 100 bytes"] * 2


def test_an_article_that_takes_the_reference_too_much_memory(
    small_tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where fastokens is not used; its pieces are measured, never taken for the whole."""
    definition = (small_tokenizer / "small/tokenizer.json").read_bytes()
    tokenizer = ArticleTokenizer(definition, quick=False)
    text = "Many words stand here. " * 50
    whole = tokenizer.encode(text)
    monkeypatch.setattr(tokenizing, "_PIECE_CHARS", 7)
    monkeypatch.setattr(tokenizing, "MOST_MEMORY", 600_000)
    assert np.array_equal(tokenizer.encode(text), whole)
    assert encoded(tokenizer, text * 10, text) == (
        ["a1"],
        [
            "ValueError: its 11,500 characters take tokenizers more than 600,000 bytes of memory; "
            "cut the article, or leave it out"
        ],
    )


@pytest.mark.parametrize("encoding", ["DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"])
def test_lengths_that_take_no_room_in_the_file(tmp_path: Path, encoding: str) -> None:
    """A length takes Arrow 8 bytes, and the file next to none where all are the same."""
    path = tmp_path / "a.parquet"
    table = pa.table({"title": ["t"] * 10_000, "text": [""] * 10_000})
    pq.write_table(table, path, use_dictionary=False, column_encoding={"text": encoding})
    with path.open("rb") as file:
        found = pages.Columns(file, pq.read_metadata(path), 0, ["text"]).pages()["text"]
    assert sum(page.values for page in found) == 10_000
    assert sum(page.size for page in found) >= 80_000


def test_large_columns_are_fetched_in_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MOST_HELD_BYTES", 0)
    monkeypatch.setattr(pages, "BUFFER_BYTES", 1 << 16)
    monkeypatch.setattr(pages, "BLOCK_BYTES", 1 << 18)
    texts = [random.Random(n).randbytes(500).hex() for n in range(3000)]
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(articles(*texts)), path, data_page_size=5000, write_batch_size=5)
    reads: list[int] = []

    class Remote(io.FileIO):
        def read(self, size: int | None = -1) -> bytes:
            reads.append(size or 0)
            return super().read(size)

    metadata = pq.read_metadata(path)
    columns = pages.Columns(Remote(path), metadata, 0, ["id", "title", "text"])
    assert sum(map(len, columns.pages().values())) > 300
    file = pq.ParquetFile(columns, metadata=metadata, buffer_size=columns.buffer)
    found = [text for batch in file.iter_batches(100) for text in batch["text"].to_pylist()]
    assert found == texts
    assert len(reads) < 5 * path.stat().st_size / pages.BLOCK_BYTES
    assert len(columns._blocks) <= pages.MOST_BLOCKS
