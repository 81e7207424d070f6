"""Reading the rows of a shard as articles, and keeping those that are long enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pagecast import pulse, storage
from pagecast.dataset.sample import BLANK_TEXT, NULL_TEXT, TOO_SHORT, Article, fallback_id
from pagecast.dataset.shard import FAILED, ArticleError, Failure, Shard, ShardArticles, with_drop
from transforms import metrics
from transforms.read import pages
from transforms.read.columns import COLUMNS, is_text
from transforms.read.footer import footers
from transforms.read.limits import MAX_ARTICLE_CHARS
from transforms.read.tokenized import (
    MOST_NAME_CHARS,
    Room,
    length_fault,
    name_fault,
    read_tokenized,
)
from transforms.read.tokenized import SUFFIX as TOKENIZED
from transforms.redact import redact

_BATCH_ROWS = 128


class Long:
    """Stands for a value, of bytes and then of characters, that is too long to be looked at."""

    def __init__(self, chars: int) -> None:
        self._chars = chars

    def decode(self) -> Long:
        """Return it as what stands for the string, too."""
        return self

    def __len__(self) -> int:
        """Return the number of characters."""
        return self._chars


def read_columns(
    shard: Shard, max_chars: int = MAX_ARTICLE_CHARS
) -> Iterator[dict[str, list[Any]]]:
    """Yield the shard's rows in batches, as lists of bytes or None, one for each column there is.

    Where a text has more than `max_chars`, or an id or a title is too long to be one, stands a
    `Long`. Reads nothing but `id`, `title` and `text`. A slice that does not begin with its row
    group is decoded from the group's start and cut.

    Raises:
      pyarrow.ArrowException, OSError: the row group is damaged, too large or cannot be read.
    """
    with storage.open_read(shard.path) as source:
        metadata = footers.get(shard.path, source, shard.footer_sha256)
        known = metadata.schema.to_arrow_schema().names
        names = [name for name in COLUMNS if name in known]
        columns = pages.Columns(source, metadata, shard.row_group, names)
        found = columns.pages()
        if fault := pages.page_fault(found):
            raise OSError(fault)
        file = pq.ParquetFile(
            columns,
            metadata=metadata,
            buffer_size=columns.buffer,
            page_checksum_verification=True,
        )
        row, end = 0, shard.start + shard.rows
        for batch in file.iter_batches(
            pages.batch_rows(found, _BATCH_ROWS),
            row_groups=[shard.row_group],
            columns=names,
            use_threads=False,
        ):
            first, last = max(shard.start - row, 0), min(end - row, batch.num_rows)
            if first < last:
                part = batch.slice(first, last - first)
                most = {"text": max_chars}
                yield {
                    name: _as_bytes(part.column(name), most.get(name, MOST_NAME_CHARS))
                    for name in names
                }
            row += batch.num_rows
            if row >= end:
                return
        raise pa.ArrowInvalid(f"row group ends after {row} rows, {end} expected")


def read_articles(shard: Shard, max_chars: int = MAX_ARTICLE_CHARS) -> ShardArticles:
    """Read a shard: its articles in row order, without those whose text is null or blank.

    A missing or empty id becomes `{file name}#{row}`, `row` counted over all input rows like the
    row of a sample's id: file names may repeat in a tree of directories, rows do not. A row that
    is not valid UTF-8, or longer than `max_chars`, becomes an error of that row.
    """
    articles, errors = [], []
    dropped: Counter[str] = Counter()
    row, room = shard.first_row, Room()
    for columns in read_columns(shard, max_chars):
        pulse.beat()
        titles, texts = columns["title"], columns["text"]
        ids = columns.get("id", [None] * len(texts))
        for raw_id, raw_title, raw_text in zip(ids, titles, texts, strict=True):
            fallback = fallback_id(shard.path, row)
            try:
                wiki_id = raw_id.decode() if raw_id else fallback
                text = None if raw_text is None else raw_text.decode()
                title = (raw_title or b"").decode()
            except UnicodeDecodeError as error:
                errors.append(ArticleError(row, fallback, "read", f"not valid UTF-8: {error}"))
            else:
                if fault := name_fault(wiki_id, title):
                    errors.append(ArticleError(row, fallback, "read", fault))
                elif fault := length_fault(text, max_chars):
                    errors.append(ArticleError(row, wiki_id, "read", fault))
                elif text is None:
                    dropped[NULL_TEXT] += 1
                elif not text.strip():
                    dropped[BLANK_TEXT] += 1
                elif fault := room.fault(text, shard.rows):
                    errors.append(ArticleError(row, wiki_id, "read", fault))
                else:
                    articles.append(Article(row, wiki_id, title, text))
            row += 1
    return ShardArticles(shard, tuple(articles), dict(dropped), tuple(errors))


def read_rows(shard: Shard, max_chars: int) -> ShardArticles:
    """Read a shard of any kind of file.

    Raises:
      pyarrow.ArrowException, OSError: it is damaged or cannot be read.
    """
    pulse.beat(f"read shard {shard.number} of {shard.path}")
    read = read_tokenized if shard.path.endswith(TOKENIZED) else read_articles
    return read(shard, max_chars)


def try_rows(rows: Shard, max_chars: int, shard: Shard | None = None) -> ShardArticles | Failure:
    """Read rows, or return a failure that names them, or the `shard` that they are of.

    Raises:
      StoreError: the store failed, which is no fault of these rows.
    """
    try:
        return read_rows(rows, max_chars)
    except (pa.ArrowException, OSError, MemoryError) as error:
        return unreadable(shard or rows, error)


def unreadable(shard: Shard, error: Exception) -> Failure:
    """Return a shard that cannot be read as a failure that says where and why."""
    rows = f"rows {shard.start} to {shard.start + shard.rows - 1}"
    where = f"row group {shard.row_group}, {rows}"
    if shard.path.endswith(TOKENIZED):
        where = f"{shard.rows} lines from byte {shard.offset}"
    reason = " ".join(str(error).split()) or "it takes too much memory"
    return Failure(shard.path, where, redact(reason))


def filter_short(batch: ShardArticles, min_tokens: int) -> ShardArticles:
    """Keep the articles of at least `min_tokens` tokens; count the others as dropped."""
    kept = tuple(
        article
        for article in batch.articles
        if article.tokens is not None and len(article.tokens) >= min_tokens
    )
    short = len(batch.articles) - len(kept)
    return replace(batch, articles=kept, dropped=with_drop(batch.dropped, TOO_SHORT, short))


class ReadArticles(beam.DoFn):
    """Read each shard's articles; a shard that cannot be read goes to the output `failed`."""

    def __init__(self, max_chars: int = MAX_ARTICLE_CHARS) -> None:
        self._max_chars = max_chars

    def process(self, shard: Shard) -> Iterator[Any]:
        """Yield one `ShardArticles`, or one `Failure` under the tag `failed`."""
        with metrics.timed("read_articles"):
            found = try_rows(shard, self._max_chars)
        yield beam.pvalue.TaggedOutput(FAILED, found) if isinstance(found, Failure) else found


class FilterShort(beam.PTransform):
    """Keep the articles of at least `min_tokens` tokens."""

    def __init__(self, min_tokens: int) -> None:
        super().__init__()
        self.min_tokens = min_tokens

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        """Map each `ShardArticles` to one with fewer articles."""
        return batches | beam.Map(filter_short, self.min_tokens)


def _as_bytes(column: pa.Array, max_chars: int) -> list[Any]:
    """Return a column's values undecoded, so that one bad string costs one row, not the batch."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not is_text(column.type):
        column = column.cast(pa.string())
    if (pc.max(pc.binary_length(column.cast(pa.large_binary()))).as_py() or 0) <= max_chars:
        return column.cast(pa.binary()).to_pylist()
    # In UTF-8 a character takes a byte or more.
    chars = pc.utf8_length(column).to_pylist()
    raw = column.cast(pa.large_binary())
    return [
        Long(length) if (length or 0) > max_chars else raw[n].as_py()
        for n, length in enumerate(chars)
    ]
