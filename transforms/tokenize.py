"""The step that tokenizes whole articles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import apache_beam as beam

from pagecast.dataset.sample import Article
from pagecast.dataset.shard import ShardArticles
from pagecast.tokens.tokenizer import ArticleTokenizer, load_tokenizer
from transforms import metrics
from transforms.errors import map_with_errors
from transforms.read.tokenized import check_tokens


def tokenize(batch: ShardArticles, tokenizer: ArticleTokenizer) -> ShardArticles:
    """Return the batch with the tokens of every article; those that have some are checked."""

    def encode(article: Article) -> Article:
        if article.tokens is not None:
            if fault := check_tokens(article, tokenizer):
                raise ValueError(fault)
            return article
        return replace(article, tokens=tokenizer.encode(article.text))

    articles, errors = map_with_errors("tokenize", batch.articles, encode, lambda article: article)
    return replace(batch, articles=tuple(articles), errors=batch.errors + errors)


class Tokenize(beam.DoFn):
    """Tokenize whole articles with the tokenizer of the job's assets."""

    def __init__(self, tokenizer_path: str, quick: bool = True) -> None:
        self._path = tokenizer_path
        self._quick = quick

    def process(self, batch: ShardArticles) -> Iterator[ShardArticles]:
        """Yield the batch with tokens."""
        tokenizer = load_tokenizer(self._path, self._quick)
        with metrics.timed("tokenize"):
            tokenized = tokenize(batch, tokenizer)
        yield tokenized
