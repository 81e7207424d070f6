"""Long articles to samples: chunks of context and continuation that do not overlap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import apache_beam as beam

from pagecast.dataset.sample import Article, Sample, Tokens
from pagecast.dataset.shard import ShardArticles, ShardSamples
from pagecast.tokens.tokenizer import ArticleTokenizer, load_tokenizer
from transforms import metrics
from transforms.errors import map_with_errors

# What the tokens of the articles that are long enough do not keep: how many stand for what the
# vocabulary lacks, and how many articles they do not decode to as they are.
UNKNOWN_TOKENS, CHANGED_ARTICLES = "unknown_tokens", "changed_articles"
MOST_SAMPLES = 100_000  # of a shard: with their pages' metadata each takes some 3 kB of memory


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


def expand_articles(
    batch: ShardArticles, context: int, continuation: int, tokenizer: ArticleTokenizer
) -> ShardSamples:
    """Return the samples of a shard; an article without a whole chunk has none.

    Losses are counted unless the tokenizer is known to have none. An article whose samples a worker
    has no memory for, beside those before it, fails.
    """
    losses = Counter({UNKNOWN_TOKENS: 0, CHANGED_ARTICLES: 0})
    room = MOST_SAMPLES

    def expand(article: Article) -> tuple[Sample, ...]:
        nonlocal room
        assert article.tokens is not None, "an article is tokenized before it is cut"
        if (number := len(article.tokens) // (context + continuation)) > room:
            raise ValueError(
                f"its {number:,} samples are too many for a worker, with those of the other "
                "articles of its shard; run again with a smaller --shard_rows, or longer samples"
            )
        room -= number
        samples = expand_chunks(article, context, continuation, tokenizer.decode)
        if not tokenizer.lossless:
            changed = tokenizer.changes(article.text, article.tokens)
            losses[CHANGED_ARTICLES] += changed
            losses[UNKNOWN_TOKENS] += tokenizer.unknown_in(article.tokens)
        return samples

    articles, errors = map_with_errors("chunk", batch.articles, expand, lambda article: article)
    return ShardSamples(
        batch.shard,
        tuple(samples for samples in articles if samples),
        batch.dropped,
        batch.errors + errors,
        losses=None if tokenizer.lossless else dict(losses),
    )


class ExpandChunks(beam.DoFn):
    """Cut the articles of a shard into samples."""

    def __init__(
        self, context: int, continuation: int, tokenizer_path: str, quick: bool = True
    ) -> None:
        self._context = context
        self._continuation = continuation
        self._tokenizer_path = tokenizer_path
        self._quick = quick

    def process(self, batch: ShardArticles) -> Iterator[ShardSamples]:
        """Yield the shard's samples."""
        tokenizer = load_tokenizer(self._tokenizer_path, self._quick)
        with metrics.timed("expand_chunks"):
            expanded = expand_articles(batch, self._context, self._continuation, tokenizer)
        yield expanded
