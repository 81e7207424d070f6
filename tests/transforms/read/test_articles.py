from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam import Create, ParDo
from apache_beam.testing.util import assert_that, equal_to

from pagecast.dataset.sample import Article
from pagecast.dataset.shard import FAILED, ArticleError, Failure, Shard, ShardArticles
from tests.conftest import articles, in_beam, write_parquet
from transforms.read.articles import (
    FilterShort,
    ReadArticles,
    filter_short,
    read_articles,
    read_columns,
)
from transforms.read.columns import schema_fault


def shard(path: Path, rows: int, *, group: int = 0, start: int = 0, first_row: int = 0) -> Shard:
    return Shard(0, str(path), group, start, rows, first_row)


def test_reads_the_rows_of_one_slice_of_one_group(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", articles(*"abcdefgh"), group_rows=5)
    batch = read_articles(shard(path, 2, group=1, start=1, first_row=106))
    assert [(a.row, a.wiki_id, a.title, a.text) for a in batch.articles] == [
        (106, "a6", "Title 6", "g"),
        (107, "a7", "Title 7", "h"),
    ]


def test_a_slice_may_span_many_batches(tmp_path: Path) -> None:
    texts = [f"t{n}" for n in range(1000)]
    path = write_parquet(tmp_path / "a.parquet", articles(*texts))
    batch = read_articles(shard(path, 600, start=200))
    assert [a.text for a in batch.articles] == texts[200:800]


def test_null_and_blank_texts_are_dropped_by_reason(tmp_path: Path) -> None:
    texts = ["a", None, "", " \n\t\u3000", None, "b"]
    path = write_parquet(tmp_path / "a.parquet", articles(*texts))
    batch = read_articles(shard(path, 6, first_row=10))
    assert [a.row for a in batch.articles] == [10, 15]
    assert batch.dropped == {"null_text": 2, "blank_text": 2}
    assert batch.errors == ()


@pytest.mark.parametrize("ids", [None, ["", None, ""]])
def test_a_missing_id_is_made_of_file_name_and_global_row(
    tmp_path: Path, ids: list[str | None] | None
) -> None:
    columns = {"text": ["x", "y", "z"], "title": ["t", None, ""]}
    if ids:
        columns["id"] = ids
    path = write_parquet(tmp_path / "dir" / "part-0.parquet", columns)
    batch = read_articles(shard(path, 3, first_row=40))
    assert [(a.wiki_id, a.title) for a in batch.articles] == [
        ("part-0.parquet#40", "t"),
        ("part-0.parquet#41", ""),
        ("part-0.parquet#42", ""),
    ]


@pytest.mark.parametrize(
    "convert",
    [
        lambda column: column.cast(pa.large_string()),
        lambda column: column.dictionary_encode(),
        lambda column: column.cast(pa.string_view()),
    ],
)
def test_every_kind_of_string_column_reads_the_same(tmp_path: Path, convert) -> None:
    columns = {name: convert(pa.array(values)) for name, values in articles("a", None).items()}
    path = write_parquet(tmp_path / "a.parquet", columns)
    batch = read_articles(shard(path, 2))
    assert batch.articles == (Article(0, "a0", "Title 0", "a"),)
    assert batch.dropped == {"null_text": 1}


def test_integer_ids_become_strings(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", {"id": [7], "title": ["t"], "text": ["x"]})
    assert read_articles(shard(path, 1)).articles[0].wiki_id == "7"


def test_a_row_that_is_not_utf8_is_an_error_of_that_row(tmp_path: Path) -> None:
    values = pa.array([b"good", b"ab\xff", b"also good"]).view(pa.string())
    path = write_parquet(
        tmp_path / "a.parquet", {"id": ["i", "j", "k"], "title": ["t"] * 3, "text": values}
    )
    batch = read_articles(shard(path, 3, first_row=5))
    assert [a.text for a in batch.articles] == ["good", "also good"]
    assert [(e.row, e.step) for e in batch.errors] == [(6, "read")]
    assert "not valid UTF-8" in batch.errors[0].reason
    assert "position 2" in batch.errors[0].reason


def test_only_the_needed_columns_are_read(tmp_path: Path) -> None:
    """The bytes of another column may be garbage: they are never looked at."""
    columns = {"wikitext": ["w" * 5000], **articles("x")}
    path = write_parquet(tmp_path / "a.parquet", columns)
    chunk = pq.read_metadata(path).row_group(0).column(0)
    assert chunk.path_in_schema == "wikitext"
    content = bytearray(path.read_bytes())
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    content[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    path.write_bytes(content)
    assert read_articles(shard(path, 1)).articles[0].text == "x"


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"id": pa.string(), "title": pa.string(), "text": pa.string()}, None),
        ({"text": pa.large_string(), "title": pa.string()}, None),
        ({"id": pa.int64(), "title": pa.string(), "text": pa.string()}, None),
        ({"title": pa.string()}, "it has no column 'text', only title"),
        ({"text": pa.string(), "id": pa.string()}, "it has no column 'title', only text, id"),
        ({"title": pa.string(), "text": pa.int64()}, "its column 'text' holds int64, not strings"),
        (
            {"id": pa.list_(pa.string()), "title": pa.string(), "text": pa.string()},
            "its column 'id' holds list<item: string>, not strings",
        ),
    ],
)
def test_schema_fault(fields: dict[str, pa.DataType], fault: str | None) -> None:
    assert schema_fault(pa.schema(list(fields.items()))) == fault


def test_schema_fault_of_a_column_that_is_there_twice() -> None:
    schema = pa.schema([("title", pa.string()), ("text", pa.string()), ("text", pa.string())])
    assert schema_fault(schema) == "it has 2 columns named 'text'"


def test_read_articles_stage_names_a_damaged_row_group(tmp_path: Path) -> None:
    good = write_parquet(tmp_path / "good.parquet", articles("x"))
    bad = write_parquet(tmp_path / "bad.parquet", articles(*["some text"] * 50))
    chunk = pq.read_metadata(bad).row_group(0).column(2)
    content = bytearray(bad.read_bytes())
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    content[start : start + 40] = b"\xaa" * 40
    bad.write_bytes(content)
    gone = tmp_path / "gone.parquet"
    with in_beam() as pipeline:
        shards = [shard(good, 1), shard(bad, 30, start=10), shard(gone, 1)]
        read = pipeline | Create(shards) | ParDo(ReadArticles()).with_outputs(FAILED, main="main")
        assert_that(
            read.main,
            equal_to([ShardArticles(shards[0], (Article(0, "a0", "Title 0", "x"),), {})]),
            label="good",
        )

        def check(failures: list[Failure]) -> None:
            assert [(f.path, f.where) for f in sorted(failures)] == [
                (str(bad), "row group 0, rows 10 to 39"),
                (str(gone), "row group 0, rows 0 to 0"),
            ]
            assert all(f.reason and "\n" not in f.reason for f in failures)
            assert "No such file" in sorted(failures)[1].reason

        assert_that(read[FAILED], check, label="bad")


def test_a_row_group_shorter_than_planned_is_a_failure(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", articles("x", "y"))
    with pytest.raises(pa.ArrowInvalid, match="ends after 2 rows, 3 expected"):
        read_articles(shard(path, 3))


def tokenized(row: int, tokens: int) -> Article:
    return Article(row, f"w{row}", "", "", np.zeros(tokens, np.int32))


def test_filter_short_keeps_exactly_the_long_enough() -> None:
    articles = tuple(tokenized(row, n) for row, n in enumerate([1999, 2000, 2001, 0]))
    error = ArticleError(9, "w9", "read", "bad")
    batch = ShardArticles(Shard(0, "p", 0, 0, 6, 0), articles, {"null_text": 1}, (error,))
    kept = filter_short(batch, 2000)
    assert [a.row for a in kept.articles] == [1, 2]
    assert kept.dropped == {"null_text": 1, "too_short": 2}
    assert kept.errors == (error,)


def test_filter_short_stage() -> None:
    batch = ShardArticles(Shard(0, "p", 0, 0, 2, 0), (tokenized(0, 5), tokenized(1, 4)), {})

    def check(batches: list[ShardArticles]) -> None:
        assert [[a.row for a in batch.articles] for batch in batches] == [[0]]

    with in_beam() as pipeline:
        assert_that(pipeline | Create([batch]) | FilterShort(5), check)


def test_an_article_that_is_too_long_is_an_error_of_its_row(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", articles("é" * 10, "é" * 11, None))
    found = read_articles(shard(path, 3), max_chars=10)
    assert [a.wiki_id for a in found.articles] == ["a0"]
    assert found.dropped == {"null_text": 1}
    assert found.errors == (
        ArticleError(1, "a1", "read", "it has 11 characters, --max_article_chars is 10"),
    )


def test_few_rows_are_decoded_at_a_time_where_articles_are_huge(tmp_path: Path) -> None:
    path = write_parquet(
        tmp_path / "a.parquet", articles(*[chr(97 + n) * 9_000_000 for n in range(20)])
    )
    sizes = [len(columns["text"]) for columns in read_columns(shard(path, 20))]
    assert sum(sizes) == 20
    assert max(sizes) <= 8  # of 9 MB each


def test_an_id_or_a_title_that_is_too_long_is_an_error_of_its_row(tmp_path: Path) -> None:
    columns = articles("one", "two", "three")
    columns["title"][1] = "t" * 10_001
    columns["id"][2] = "i" * 10_001
    columns["title"][0] = "t" * 10_000
    path = write_parquet(tmp_path / "a.parquet", columns)
    batch = read_articles(shard(path, 3))
    assert [article.row for article in batch.articles] == [0]
    assert [(e.wiki_id, e.reason) for e in batch.errors] == [
        ("a.parquet#1", "its title has 10,001 characters, more than 10,000"),
        ("a.parquet#2", "its id has 10,001 characters, more than 10,000"),
    ]
