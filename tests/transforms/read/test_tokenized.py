import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from apache_beam import Create, ParDo
from apache_beam.testing.util import assert_that

from pagecast.dataset.filtered import article_line
from pagecast.dataset.sample import Article
from pagecast.dataset.shard import FAILED, Shard
from pagecast.tokens.tokenizer import ArticleTokenizer
from pipeline.launch.inputs import index_lines
from tests.conftest import RunCommand, in_beam
from transforms.read.articles import ReadArticles
from transforms.read.tokenized import check_tokens, parse_article, read_lines, read_tokenized
from transforms.tokenize import tokenize

GOOD = {"id": "a", "title": "T", "text": "words", "tokens": [5, 6], "total_tokens": 2}
TEXT = "The control tokens <image> <｜User｜> é 日本 \U0001f600 are text. " * 9


def lines_of(*rows: Any) -> bytes:
    return b"".join(
        row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows
    )


def shard(path: Path, rows: int, offset: int = 0, first_row: int = 0) -> Shard:
    return Shard(0, str(path), 0, 0, rows, first_row, offset)


def test_an_article_comes_back_as_it_was_written(tokenizer: ArticleTokenizer) -> None:
    article = Article(7, "enwiki/1", "é\u2028", TEXT, tokenizer.encode(TEXT))
    line = article_line(article)
    record = json.loads(line)
    assert list(record) == ["id", "title", "text", "tokens", "total_tokens"]
    found = parse_article(line, 7, "x#7")
    assert found is not None
    assert found.tokens is not None
    assert found.tokens.dtype == np.int32
    assert article_line(found) == line
    assert check_tokens(found, tokenizer) is None


def test_rows_are_read_from_where_the_shard_begins(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    head = lines_of({**GOOD, "id": "z"})
    path.write_bytes(head + lines_of(GOOD, {**GOOD, "id": None}, {**GOOD, "text": None},
                                     {**GOOD, "text": " "}, {**GOOD, "title": None}))  # fmt: skip
    found = read_tokenized(shard(path, 5, len(head), 1), 1000)
    assert [(a.row, a.wiki_id, a.title) for a in found.articles] == [
        (1, "a", "T"), (2, "f.jsonl#2", "T"), (5, "a", ""),
    ]  # fmt: skip
    assert found.dropped == {"null_text": 1, "blank_text": 1}
    assert found.errors == ()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"\n", "not a line of JSON"),
        (b'{"id": "a"\n', "not a line of JSON"),
        (b"\xff\n", "not a line of JSON"),
        (b"[" * 100_000 + b"\n", "not a line of JSON"),
        (b"3\n", "not a JSON object"),
        ({"id": "a", "title": "T", "text": "x"}, "it has no 'tokens', only id, title, text"),
        ({**GOOD, "text": 5}, "its 'text' is not a string"),
        ({**GOOD, "id": ["a"]}, "its 'id' is not a string"),
        ({**GOOD, "text": "\ud800"}, "its 'text' is not valid Unicode: surrogates not allowed"),
        ({**GOOD, "tokens": "5"}, "its 'tokens' are not a list of integers"),
        ({**GOOD, "tokens": [1.5, 2]}, "its 'tokens' are not a list of integers"),
        ({**GOOD, "tokens": [True, 2]}, "its 'tokens' are not a list of integers"),
        ({**GOOD, "tokens": [-1, 2]}, "its 'tokens' are out of range"),
        ({**GOOD, "tokens": [1 << 31, 2]}, "its 'tokens' are out of range"),
        ({**GOOD, "total_tokens": 3}, "it has 2 tokens, and says 3"),
    ],
)
def test_a_line_that_is_no_article_is_an_error_of_its_row(
    tmp_path: Path, line: Any, reason: str
) -> None:
    path = tmp_path / "f.jsonl"
    path.write_bytes(lines_of(GOOD, line, GOOD))
    found = read_tokenized(shard(path, 3), 1000)
    assert [a.row for a in found.articles] == [0, 2]
    ((row, wiki_id, step, why),) = found.errors
    assert (row, wiki_id, step) == (1, "f.jsonl#1", "read")
    assert reason in why


def test_a_file_that_ends_early_fails_by_name(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    path.write_bytes(lines_of(GOOD))
    with pytest.raises(OSError, match="ends after 1 of 2 lines"):
        list(read_lines(shard(path, 2)))

    def check(failures: list[Any]) -> None:
        ((found, where, reason),) = failures
        assert (found, where) == (str(path), "2 lines from byte 0")
        assert "ends after 1 of 2 lines" in reason

    with in_beam() as pipeline:
        read = pipeline | Create([shard(path, 2)]) | ParDo(ReadArticles()).with_outputs(FAILED)
        assert_that(read[FAILED], check)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda tokens: tokens[:-1], "where the text has"),
        (lambda tokens: np.append(tokens, tokens[:1]), "its tokens decode to 'The'"),
        (lambda tokens: np.where(tokens == tokens[3], tokens[4], tokens), "its tokens decode to"),
        (lambda tokens: np.insert(tokens, 4, 128_815), "its tokens have the control token 128815"),
    ],
)
def test_tokens_of_another_text_are_told(
    tokenizer: ArticleTokenizer, change: Any, fault: str
) -> None:
    """Decoding skips a control token: the decoded text alone would not tell."""
    article = Article(0, "a", "T", TEXT, change(tokenizer.encode(TEXT)).astype(np.int32))
    found = check_tokens(article, tokenizer)
    assert found is not None
    assert fault in found


def test_ids_that_the_vocabulary_lacks_are_told(tokenizer: ArticleTokenizer) -> None:
    article = Article(0, "a", "T", "text", np.array([9_999_999], np.int32))
    assert check_tokens(article, tokenizer) is not None


def test_a_text_that_takes_an_encoder_too_much_is_told(
    tokenizer: ArticleTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pagecast.tokens.tokenizer.MOST_TOKENS", 100)
    article = Article(0, "a", "T", "x " * 101, np.array([5], np.int32))
    fault = "its text cannot be encoded (it has more than 100 tokens)"
    assert check_tokens(article, tokenizer) == fault


def test_tokens_that_a_normalizing_tokenizer_made_are_right() -> None:
    class Normalizing:
        control = np.array([1], np.int32)

        def encode(self, _: str) -> Any:
            return np.array([1], np.int32)

        def decode(self, _: Any) -> str:
            return "A"

    article = Article(0, "a", "T", "Ａ", np.array([1], np.int32))
    assert check_tokens(article, Normalizing()) is None


def test_the_step_tokenize_checks_instead_of_encoding(tokenizer: ArticleTokenizer) -> None:
    good = Article(0, "a", "T", TEXT, tokenizer.encode(TEXT))
    bad = Article(1, "b", "T", TEXT, tokenizer.encode(TEXT)[1:])
    batch = read_batch(good, bad)
    found = tokenize(batch, tokenizer)
    assert [a.wiki_id for a in found.articles] == ["a"]
    assert [(e.row, e.step) for e in found.errors] == [(1, "tokenize")]
    assert "its tokens decode to" in found.errors[0].reason


def read_batch(*articles: Article) -> Any:
    from pagecast.dataset.shard import ShardArticles

    return ShardArticles(Shard(0, "f.jsonl", 0, 0, len(articles), 0, 0), articles, {})


def write_rows(path: Path, tokenizer: ArticleTokenizer, count: int, wrong: int = -1) -> Path:
    rows = [
        article_line(Article(n, f"w{n}", "T", f"{n} {TEXT}", tokenizer.encode(f"{n} {TEXT}")))
        for n in range(count)
    ]
    if wrong >= 0:
        record = json.loads(rows[wrong])
        rows[wrong] = json.dumps({**record, "text": record["text"] + "!"}).encode() + b"\n"
    path.write_bytes(b"".join(rows))
    return path


SMALL = "--min_tokens 50 --context_tokens 30 --continuation_tokens 20 --modes custom=64"


def test_a_file_of_another_tokenizer_is_refused_before_any_work(
    run: RunCommand, tmp_path: Path, tokenizer: ArticleTokenizer
) -> None:
    path = write_rows(tmp_path / "f.jsonl", tokenizer, 70, wrong=0)
    found = run(path, options=SMALL)
    assert (found.code, found.out) == (2, "")
    assert f"--input {path}, line 1: its tokens decode to '' where the text has '!'" in found.err
    assert "give the --tokenizer that made the tokens" in found.err
    assert not found.path.exists()
    path.write_bytes(b'{"title": "T"}\n')
    other = run(path, options=SMALL)
    assert other.code == 2
    assert "line 1: it has no 'text', only title; it must be as --filtered writes it" in other.err


def test_a_single_wrong_article_among_many_is_named_by_the_job(
    run: RunCommand, tmp_path: Path, tokenizer: ArticleTokenizer
) -> None:
    """Only some lines are checked at launch, but all on the way."""
    path = write_rows(tmp_path / "f.jsonl", tokenizer, 300, wrong=7)
    found = run(path, options=f"{SMALL} --shard_rows 64 --num_articles 200")
    assert found.code == 1
    assert "article w7 (row 7) failed to tokenize: ValueError: its tokens decode to" in found.err
    counts = found.manifest["counts"]
    assert (counts["rows_read"], counts["kept"], counts["failed"]) == (200, 199, 1)
    assert found.manifest["inputs"] == [
        {
            "path": "f.jsonl",
            "bytes": path.stat().st_size,
            "rows": 300,
            "footer_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
    ]


def test_parquet_and_tokenized_input_can_be_mixed(
    run: RunCommand, tmp_path: Path, tokenizer: ArticleTokenizer
) -> None:
    from tests.conftest import articles, write_parquet

    parquet = write_parquet(tmp_path / "a.parquet", articles(TEXT, TEXT))
    lines = write_rows(tmp_path / "b.jsonl", tokenizer, 3)
    found = run(parquet, lines, options=SMALL)
    assert found.code == 0
    assert found.manifest["counts"]["kept"] == 5
    rows = {sample["id"].split("_")[1] for sample in found.lines("samples.jsonl")}
    assert rows == {f"{n:06d}" for n in range(5)}


def test_a_title_that_is_too_long_is_an_error_of_its_row(tmp_path: Path) -> None:
    row = {"id": "a", "title": "t" * 10_001, "text": "x", "tokens": [1]}
    (path := tmp_path / "a.jsonl").write_bytes(lines_of(row))
    (error,) = read_tokenized(shard(path, 1), 100).errors
    assert error.reason == "its title has 10,001 characters, more than 10,000"


def test_a_line_is_read_no_further_than_an_article_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transforms.read.tokenized.MOST_LINE_BYTES", 100)
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"{}\n" + b" " * 99 + b"\n" + b" " * 100 + b"\n")
    assert index_lines(str(path), 256).fault == "line 3 has more than 100 bytes"
    with pytest.raises(OSError, match="line 2 has more than 100 bytes"):
        list(read_lines(shard(path, 2, offset=3)))
