"""Long articles to samples: chunks of context and continuation that do not overlap."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import apache_beam as beam

from transforms import metrics
from transforms.faults import attempt
from transforms.records import Article, Sample, ShardArticles, ShardSamples, Tokens
from transforms.tokenize import load_tokenizer


def expand_chunks(
    article: Article, context: int, continuation: int, decode: Callable[[Tokens], str]
) -> tuple[Sample, ...]:
    """Cut an article into `total // (context + continuation)` samples; the tail is dropped."""
    tokens = article.tokens
    assert tokens is not None, "an article is tokenized before it is cut"
    stride = context + continuation
    samples = []
    for chunk in range(len(tokens) // stride):
        start = chunk * stride
        context_tokens = tokens[start : start + context]
        samples.append(
            Sample(
                row=article.row,
                wiki_id=article.wiki_id,
                title=article.title,
                chunk_index=chunk,
                total_article_tokens=len(tokens),
                context_tokens=context_tokens,
                continuation_tokens=tokens[start + context : start + stride],
                context_text=decode(context_tokens),
            )
        )
    return tuple(samples)


class ExpandChunks(beam.DoFn):
    """Cut the articles of a shard into samples."""

    def __init__(self, context: int, continuation: int, tokenizer_path: str) -> None:
        self._context = context
        self._continuation = continuation
        self._tokenizer_path = tokenizer_path

    def process(self, batch: ShardArticles) -> Iterator[ShardSamples]:
        """Yield the shard's samples; an article without a whole chunk has none."""
        decode = load_tokenizer(self._tokenizer_path).decode

        def expand(article: Article) -> tuple[Sample, ...]:
            return expand_chunks(article, self._context, self._continuation, decode)

        with metrics.timed("expand_chunks"):
            articles, errors = attempt("chunk", batch.articles, expand, lambda article: article)
        with_chunks = tuple(samples for samples in articles if samples)
        yield ShardSamples(batch.shard, with_chunks, batch.dropped, batch.errors + errors)
