"""Trying a tokenizer on some articles of the input, before a job.

Does fastokens give them the ids that tokenizers gives, and do tokens decode to their text? The
built-in tokenizer is known to, and is not tried; whether it is worth loading depends on the input.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from pagecast import storage
from pagecast.dataset.sample import Article
from pagecast.dataset.shard import Shard
from pagecast.storage.errors import StoreError
from pagecast.tokens.tokenizer import PROBE, ArticleTokenizer
from pipeline.launch.assets import Asset
from pipeline.launch.inputs import InputFile, plan_shards
from pipeline.options import BUILTIN, RunOptions
from pipeline.progress.terminal import say
from transforms.read.articles import read_rows
from transforms.read.tokenized import SUFFIX as TOKENIZED
from transforms.read.tokenized import first_difference

PLACES, ROWS = 4, 16  # of the input; in a store one place, since each is a row group to fetch
MOST_TEXT = 64 << 20  # bytes of text in a row group that is looked at
MOST_CHARS = 200_000  # of an article that is looked at
# Bytes of text, and rows, since a file has a text that repeats only once: so little is encoded by
# tokenizers, 2 MB a second, before fastokens is there, which takes 1.1 s to load and check.
LITTLE_TEXT, FEW_ROWS = 1 << 20, 1000


def is_quick(options: RunOptions, files: Sequence[InputFile], asset: Asset) -> bool:
    """Tell whether fastokens is to be used, after a trial that warns of what it finds."""
    if options.tokenizer == BUILTIN:
        text = sum(sum(file.text) if file.text else file.size for file in files)
        return text > LITTLE_TEXT or sum(file.rows for file in files) > FEW_ROWS
    try:
        articles = list(sample(options, files))
    except StoreError:  # the job says so, and how to go on
        return False
    return try_out(asset, articles)


def try_out(asset: Asset, articles: Sequence[Article]) -> bool:
    """Try a tokenizer on articles; return whether fastokens agrees, and warn of what is lost."""
    definition, tokenizer = asset.content, ArticleTokenizer(asset.content)
    if different := next((a for a in articles if _fails(tokenizer, a)), None):
        say(
            f"warning: fastokens differs from tokenizers on article {different.wiki_id}; "
            "tokenizing with tokenizers, slower"
        )
        tokenizer = ArticleTokenizer(definition, quick=False)
    changed = [] if tokenizer.lossless else list(_changed(tokenizer, articles))
    if changed:
        first, decoded = changed[0]
        wanted, found = first_difference(first.text, decoded)
        say(
            f"warning: tokenizer {asset.name} does not keep {len(changed)} of {len(articles)} "
            f"sampled articles as they are (first: {first.wiki_id}, {wanted!r} became {found!r}); "
            "the manifest will count all such articles"
        )
    elif asset.is_converted and not tokenizer.lossless:
        _try_round_trip(asset.name, tokenizer)
    return tokenizer.is_quick


def _try_round_trip(name: str, tokenizer: ArticleTokenizer) -> None:
    """Warn of what a tokenizer that was made here loses of texts of all kinds."""
    texts = [Article(0, "", "", text) for text in PROBE]
    if lost := next(_changed(tokenizer, texts), None):
        wanted, found = first_difference(lost[0].text, lost[1])
        say(
            f"warning: tokenizer {name} keeps the sampled articles, but not every text ({wanted!r} "
            f"became {found!r}); the manifest will count articles that it does not keep"
        )


def _fails(tokenizer: ArticleTokenizer, article: Article) -> bool:
    try:
        return tokenizer.disagrees(article.text)
    except Exception:  # of either library: then the one that says what is right is to say it
        return True


def _changed(
    tokenizer: ArticleTokenizer, articles: Sequence[Article]
) -> Iterator[tuple[Article, str]]:
    """Yield the articles that are not kept, and what becomes of each."""
    for article in articles:
        try:
            decoded = tokenizer.decode(tokenizer.encode(article.text))
        except Exception:  # the job leaves the article out, and names it
            continue
        if decoded != article.text:
            yield article, decoded


def sample(options: RunOptions, files: Sequence[InputFile]) -> Iterator[Article]:
    """Yield some articles of the input, always the same; what cannot be read the job will name."""
    text = {file.path: file.text for file in files}
    shards = [
        shard
        for shard in plan_shards(files, options.shard_rows, options.num_articles)
        if isinstance(shard, Shard)
        and shard.start == 0  # as the others take decoding what is before them
        and (not text[shard.path] or text[shard.path][shard.row_group] <= MOST_TEXT)
    ]
    places = PLACES if all(storage.is_local(file.path) for file in files) else 1
    for number in range(min(places, len(shards))):
        shard = shards[number * len(shards) // min(places, len(shards))]
        try:
            yield from _articles(shard._replace(rows=min(shard.rows, ROWS)))
        except (pa.ArrowException, OSError):
            continue


def _articles(shard: Shard) -> Iterator[Article]:
    if shard.path.endswith(TOKENIZED):
        found = read_rows(shard, MOST_CHARS).articles
    else:
        found = tuple(_rows(shard))
    yield from (article for article in found if 0 < len(article.text) <= MOST_CHARS)


def _rows(shard: Shard) -> Iterator[Article]:
    """Yield the first rows of a row group, one at a time: a small file may hold huge texts."""
    with (
        storage.open_read(shard.path) as source,
        pq.ParquetFile(source, buffer_size=1 << 20, page_checksum_verification=True) as file,
    ):
        names = [name for name in ("id", "text") if name in file.schema_arrow.names]
        batches = file.iter_batches(
            1, row_groups=[shard.row_group], columns=names, use_threads=False
        )
        for row, batch in zip(range(shard.rows), batches, strict=False):
            try:
                (record,) = batch.to_pylist()
            except UnicodeDecodeError:
                continue
            found = record["text"]
            if isinstance(found, str):
                number = shard.first_row + row
                yield Article(number, str(record.get("id") or f"in row {number}"), "", found)
