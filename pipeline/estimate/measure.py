"""Looking at the clusters: reading, tokenizing, counting, and drawing some of the samples.

Does what a run does, with the same functions, and writes nothing.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import pyarrow as pa

from pipeline.estimate.clock import Clock
from pipeline.estimate.drawing import Drawing
from pipeline.estimate.forecast import DRAWN, ROWS, SAMPLES, Sums, Weighed
from pipeline.estimate.sample import Choice, Cluster, located
from transforms.articles import filter_short, read_rows, unreadable
from transforms.faults import attempt
from transforms.filtered import article_line
from transforms.records import Article, ArticleError, Failure, Shard, ShardArticles
from transforms.split import sample_key
from transforms.tokenize import ArticleTokenizer, tokenize

KEPT, FAILED, DROPPED, FILTERED = "kept", "failed", "dropped, ", "filtered"
READ, TOKENIZE = "read", "tokenize"


class Cuts(NamedTuple):
    """How articles become samples: the options of the same names."""

    min_tokens: int
    context: int
    continuation: int
    max_article_chars: int

    def samples(self, article: Article) -> int:
        """Return how many samples an article gives."""
        assert article.tokens is not None, "an article is tokenized before it is cut"
        return len(article.tokens) // (self.context + self.continuation)


class Candidate(NamedTuple):
    """A chunk that may be drawn, ordered by a hash, and the unit that it is counted in."""

    order: int
    row: int
    chunk: int
    unit: int
    article: Article


@dataclass
class Measured:
    """What was found in the clusters, see `forecast.totals`; what could not be used; the time.

    decoded: rows that were decoded to have those that were read.
    """

    counted: list[Weighed] = field(default_factory=list)
    drawn: list[Weighed] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    errors: list[ArticleError] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)
    decoded: int = 0


def measure(
    choice: Choice, cuts: Cuts, tokenizer: ArticleTokenizer, drawing: Drawing, most: int, seed: int
) -> Measured:
    """Count all articles of the clusters, and draw at most `most` of the samples they give.

    Which ones is decided by a hash, so each is as likely as any other.
    """
    found = Measured()
    seen: dict[Shard, tuple[Sums, list[Article]]] = {}
    candidates: list[Candidate] = []
    for number, cluster in enumerate(choice.clusters):
        again = cluster.rows in seen
        if not again:
            seen[cluster.rows] = _count(cluster, cuts, tokenizer, found)
        sums, articles = seen[cluster.rows]
        found.counted.append((cluster.weight, sums))
        if again:
            continue
        for article in articles:
            unit = article.row if choice.whole else number
            for chunk in range(cuts.samples(article)):
                order = sample_key(seed, str(article.row), chunk)  # ids may repeat
                candidate = Candidate(-order, article.row, chunk, unit, article)
                if len(candidates) < most:
                    heapq.heappush(candidates, candidate)
                elif candidate > candidates[0]:
                    heapq.heapreplace(candidates, candidate)
        seen[cluster.rows] = sums, []
    chosen = sorted(candidates, key=lambda c: (c.row, c.chunk))
    by_unit = _draw(chosen, cuts, tokenizer, drawing, found)
    if choice.whole:
        found.drawn = [(1.0, sums) for sums in by_unit.values()]
    else:
        numbers = {cluster.rows: n for n, cluster in reversed([*enumerate(choice.clusters)])}
        found.drawn = [(c.weight, by_unit.get(numbers[c.rows], {})) for c in choice.clusters]
    return found


def _count(
    cluster: Cluster, cuts: Cuts, tokenizer: ArticleTokenizer, found: Measured
) -> tuple[Sums, list[Article]]:
    """Return the account of a cluster's rows, and the articles that give samples."""
    rows = cluster.rows
    with found.clock.timed(READ):
        batch = _read(cluster, cuts.max_article_chars)
    if isinstance(batch, Failure):
        if batch not in found.failures:
            found.failures.append(batch)
        return {}, []
    found.decoded += rows.start + rows.rows if cluster.shard.offset is None else rows.rows
    with found.clock.timed(TOKENIZE):
        batch = filter_short(tokenize(batch, tokenizer), cuts.min_tokens)
    found.errors += batch.errors
    sums: Counter[str] = Counter({ROWS: rows.rows, KEPT: len(batch.articles)})
    sums[FAILED] += len(batch.errors)
    for reason, count in batch.dropped.items():
        sums[DROPPED + reason] += count
    sums[FILTERED] += sum(len(article_line(article)) for article in batch.articles)
    sums[SAMPLES] += sum(map(cuts.samples, batch.articles))
    return sums, [article for article in batch.articles if cuts.samples(article)]


def _read(cluster: Cluster, max_chars: int) -> ShardArticles | Failure:
    try:
        return read_rows(located(cluster), max_chars)
    except ConnectionError:  # the store failed, which is no fault of the file
        raise
    except (pa.ArrowException, OSError, MemoryError) as error:
        return unreadable(cluster.shard, error)


def _draw(
    chosen: list[Candidate],
    cuts: Cuts,
    tokenizer: ArticleTokenizer,
    drawing: Drawing,
    found: Measured,
) -> dict[int, Sums]:
    """Draw the chosen samples and return what was found, by unit."""
    by_unit: dict[int, Counter[str]] = defaultdict(Counter)

    def draw(candidate: Candidate) -> Counter[str]:
        tokens = candidate.article.tokens
        assert tokens is not None, "an article is tokenized before it is cut"
        start = candidate.chunk * (cuts.context + cuts.continuation)
        stop = start + cuts.context + cuts.continuation
        article = replace(candidate.article, tokens=tokens[start:stop])
        return drawing.measure(article, candidate.chunk, len(tokens), cuts, tokenizer.decode)

    for candidate in chosen:
        done, errors = attempt("render", [candidate], draw, lambda c: c.article)
        found.errors += errors
        for sums in done:
            by_unit[candidate.unit].update({**sums, DRAWN: 1})
    return dict(by_unit)
