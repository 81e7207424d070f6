"""Reading articles that are tokenized already, from JSON lines as `--filtered` writes them."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO, Protocol

import numpy as np

from pagecast import storage
from pagecast.dataset.sample import BLANK_TEXT, NULL_TEXT, Article, Tokens, fallback_id
from pagecast.dataset.shard import ArticleError, Shard, ShardArticles

SUFFIX = ".jsonl"  # what tells such a file from parquet
MOST_NAME_CHARS = 10_000  # of an id or a title
MOST_LINE_BYTES = 128 << 20
MOST_VALUES = 8_000_000  # in a line of JSON: some take 70 bytes each
MOST_SHARD_BYTES = 96 << 20  # of text that a shard holds
FIELDS = ("title", "text", "tokens")


def name_fault(wiki_id: str, title: str) -> str | None:
    """Say that an id or a title is too long to be one, or None: each sample repeats them."""
    for name, value in (("id", wiki_id), ("title", title)):
        if len(value) > MOST_NAME_CHARS:
            return f"its {name} has {len(value):,} characters, more than {MOST_NAME_CHARS:,}"
    return None


def length_fault(text: str | None, max_chars: int) -> str | None:
    """Say that a text is too long to be taken for an article, or None."""
    if text is None or len(text) <= max_chars:
        return None
    return f"it has {len(text):,} characters, --max_article_chars is {max_chars:,}"


class Room:
    """How much text a shard may still hold: articles are many, and some are long."""

    def __init__(self) -> None:
        self._bytes = 0

    def fault(self, text: str, rows: int) -> str | None:
        """Say that there is no room for a text in a shard of so many rows, or None and take it."""
        size = sys.getsizeof(text)
        if self._bytes and self._bytes + size > MOST_SHARD_BYTES:
            return (
                f"its {len(text):,} characters are too much for a worker, with the other articles "
                f"of its shard; run again with a --shard_rows smaller than {rows} and --overwrite"
            )
        self._bytes += size
        return None


def read_tokenized(shard: Shard, max_chars: int) -> ShardArticles:
    """Read a shard of a file like filtered.jsonl: articles in row order, with their tokens.

    Text that is null or blank is dropped. A line that is not such an article, or one longer than
    `max_chars`, becomes an error of its row.

    Raises:
      OSError: the file ends before the shard does, or cannot be read.
    """
    articles, errors = [], []
    dropped: Counter[str] = Counter()
    room = Room()
    for row, line in enumerate(read_lines(shard), shard.first_row):
        fallback = fallback_id(shard.path, row)
        try:
            article = parse_article(line, row, fallback)
            if article and (
                fault := name_fault(article.wiki_id, article.title)
                or length_fault(article.text, max_chars)
                or room.fault(article.text, shard.rows)
            ):
                raise ValueError(fault)
        except ValueError as error:
            errors.append(ArticleError(row, fallback, "read", str(error)))
            continue
        if article is None:
            dropped[NULL_TEXT] += 1
        elif not article.text.strip():
            dropped[BLANK_TEXT] += 1
        else:
            articles.append(article)
    return ShardArticles(shard, tuple(articles), dict(dropped), tuple(errors))


def read_lines(shard: Shard) -> Iterator[bytes]:
    """Yield the lines of a shard of a file of JSON lines.

    Raises:
      OSError: the file ends before the shard does.
    """
    found = 0
    with storage.open_read(shard.path) as file:
        file.seek(shard.offset or 0)
        for line in islice(bounded_lines(file), shard.start, shard.start + shard.rows):
            yield line
            found += 1
    if found < shard.rows:
        raise OSError(f"{shard.path} ends after {found} of {shard.rows} lines")


def bounded_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a file.

    Raises:
      OSError: a line is longer than a worker can hold as an article.
    """
    number = 0
    while line := file.readline(MOST_LINE_BYTES + 1):
        number += 1
        if len(line) > MOST_LINE_BYTES:
            raise OSError(f"line {number} has more than {MOST_LINE_BYTES:,} bytes")
        yield line


def parse_article(line: bytes, row: int, fallback: str) -> Article | None:
    """Return the article of a line, or None where its text is null.

    Raises:
      ValueError: the line is not an article with tokens; the text says what is wrong.
    """
    if (values := sum(map(line.count, b",[{"))) > MOST_VALUES:
        raise ValueError(f"it has some {values:,} values, more than {MOST_VALUES:,}")
    try:
        record: dict[str, Any] = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not a line of JSON: {error}") from error
    if not isinstance(record, dict):
        raise ValueError("not a JSON object")
    if missing := [name for name in FIELDS if name not in record]:
        raise ValueError(f"it has no {missing[0]!r}, only {', '.join(map(str, record))[:200]}")
    wiki_id, title, text = record.get("id"), record["title"], record["text"]
    if text is None:
        return None
    for name, value in (("id", wiki_id or ""), ("title", title or ""), ("text", text)):
        if not isinstance(value, str):
            raise ValueError(f"its {name!r} is not a string")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"its {name!r} is not valid Unicode: {error.reason}") from error
    tokens = _tokens(record["tokens"])
    if (total := record.get("total_tokens", len(tokens))) != len(tokens):
        raise ValueError(f"it has {len(tokens)} tokens, and says {total}")
    return Article(row, wiki_id or fallback, title or "", text, tokens)


def _tokens(values: Any) -> Tokens:
    if not isinstance(values, list) or not all(type(value) is int for value in values):
        raise ValueError("its 'tokens' are not a list of integers")
    if values and not (min(values) >= 0 and max(values) < 1 << 31):
        raise ValueError("its 'tokens' are out of range")
    return np.array(values, dtype=np.int32)


class Encoding(Protocol):
    """What a tokenizer has to offer for checking tokens."""

    control: Tokens

    def encode(self, text: str) -> Tokens:
        """Return the tokens of a text."""

    def decode(self, tokens: Tokens) -> str:
        """Return the text of tokens."""


def check_tokens(article: Article, tokenizer: Encoding) -> str | None:
    """Say why an article's tokens are not those of its text, or None if they are.

    They are if they decode to it without any control token, which decoding would skip or spell
    out; or if they are what the text encodes to, since a tokenizer that normalizes its input never
    gives back some texts.
    """
    assert article.tokens is not None, "the article was read with its tokens"
    control = article.tokens[np.isin(article.tokens, tokenizer.control)]
    try:
        text = tokenizer.decode(article.tokens)
    except Exception as error:  # ids that the vocabulary does not have
        return f"its tokens cannot be decoded ({error})"
    if text == article.text and not len(control):
        return None
    try:
        tokens = tokenizer.encode(article.text)
    except Exception as error:  # such as more of them than an encoder holds
        return f"its text cannot be encoded ({error})"
    if np.array_equal(tokens, article.tokens):
        return None
    if len(control):
        return f"its tokens have the control token {control[0]}"
    wanted, found = first_difference(article.text, text)
    return f"its tokens decode to {found!r} where the text has {wanted!r}"


def first_difference(text: str, found: str) -> tuple[str, str]:
    """Return some characters of each of two texts, from where they begin to differ."""
    pairs = enumerate(zip(text, found, strict=False))
    at = next((n for n, (a, b) in pairs if a != b), min(len(text), len(found)))
    return text[at : at + 20], found[at : at + 20]
