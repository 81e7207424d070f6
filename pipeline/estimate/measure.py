"""Looking at a sample: reading, tokenizing, counting, and drawing some of the samples it gives.

Does what a run does, with the same functions, and writes nothing.
"""

from __future__ import annotations

import heapq
import statistics
import tarfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import pyarrow as pa

from pipeline.estimate.interval import Interval, ratio, total
from pipeline.estimate.sample import Choice, Cluster, located
from pipeline.options import RunOptions
from pipeline.prepare import Sources
from transforms.arrow import sample_schema, to_batch
from transforms.articles import filter_short, read_rows, unreadable
from transforms.chunk import expand_chunks
from transforms.faults import attempt
from transforms.filtered import article_line
from transforms.images import render_sample
from transforms.pictures import NONE, tar_member
from transforms.records import Article, ArticleError, Failure, ShardArticles, Tokens
from transforms.render import PageRenderer
from transforms.render.characters import MissingGlyphs
from transforms.split import sample_key
from transforms.tokenize import ArticleTokenizer, tokenize

# What is counted of articles; reasons for which they are dropped stand behind DROPPED.
KEPT, FAILED, DROPPED, SAMPLES, FILTERED = "kept", "failed", "dropped, ", "samples", "filtered"
# Bytes of a sample; of its pages PNG + mode, on a disk of blocks, or in tars.
LINE, ARROW, PNG, BLOCKS, TAR = "line", "arrow", "png, ", "blocks", "tar"


class Chunk(NamedTuple):
    """A chunk that may be drawn, and the unit that it is counted in."""

    unit: int
    article: Article
    number: int


@dataclass
class Measured:
    """What was found.

    counts: totals over the whole input. bytes: of a sample. metadata: of the pages drawn, by mode.
    missing: characters on these pages that the fonts lack, of so many `characters`. seconds: of
    this process's work, by step; `busy` by the clock for each. decoded: rows, to have those read.
    """

    counts: dict[str, Interval] = field(default_factory=dict)
    bytes: dict[str, Interval] = field(default_factory=dict)
    drawn: int = 0
    metadata: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    missing: Counter[str] = field(default_factory=Counter)
    characters: int = 0
    failures: list[Failure] = field(default_factory=list)
    errors: list[ArticleError] = field(default_factory=list)
    seconds: Counter[str] = field(default_factory=Counter)
    busy: float = 1.0
    decoded: int = 0

    def median(self, mode: str, name: str) -> float:
        """Return the median of a number that a page's metadata has."""
        return statistics.median(page[name] for page in self.metadata[mode])


class Measuring:
    """Counts all articles chosen and draws some of their chunks as `options` say.

    Args:
      block: bytes in which the disk counts.
    """

    def __init__(self, options: RunOptions, sources: Sources, block: int) -> None:
        self._options, self._block = options, block
        self._stride = options.context_tokens + options.continuation_tokens
        self._tokenizer = ArticleTokenizer(sources.tokenizer.content)
        fonts = [font.content for font in sources.fonts]
        self._renderer = PageRenderer(fonts, options.layout, options.line_break)
        self._lacking = MissingGlyphs(fonts, options.layout)
        modes = [mode.name for mode in options.modes]
        self._schema = sample_schema(modes, options.pages.form != NONE)
        self._clock = 0.0
        self.found = Measured()

    def measure(self, choice: Choice, most: int, seed: int) -> Measured:
        """Look at what was chosen, and draw at most `most` of its chunks, all equally likely."""
        found = self.found
        counted: list[Counter[str]] = []
        chunks = heapq.nsmallest(
            most,
            self._chunks(choice, counted),
            lambda chunk: sample_key(seed, str(chunk.article.row), chunk.number),  # ids may repeat
        )
        weights = [cluster.weight for cluster in choice.clusters]
        unseen = 0.0 if choice.whole else 1 - choice.read / choice.rows
        for name in {KEPT, FAILED, SAMPLES, FILTERED}.union(*counted):
            parts = [w * sums[name] for w, sums in zip(weights, counted, strict=True)]
            found.counts[name] = total(parts, unseen)
        drawn: dict[int, Counter[str]] = defaultdict(Counter)
        chunks.sort(key=lambda chunk: (chunk.article.row, chunk.number))
        with self._timed("draw"):
            for chunk in chunks:
                done, errors = attempt("render", [chunk], self._draw, lambda c: c.article)
                found.errors += errors
                for sizes in done:
                    drawn[chunk.unit].update({**sizes, SAMPLES: 1})
        found.drawn = sum(sums[SAMPLES] for sums in drawn.values())
        weight = {unit: 1.0 if choice.whole else weights[unit] for unit in drawn}
        units = [weight[unit] * sums[SAMPLES] for unit, sums in drawn.items()]
        unseen = 1 - found.drawn / max(found.counts[SAMPLES].estimate, found.drawn, 1)
        for name in set().union(*drawn.values()) - {SAMPLES}:
            parts = [weight[unit] * sums[name] for unit, sums in drawn.items()]
            found.bytes[name] = ratio(parts, units, unseen)
        found.busy = max(self._clock / max(found.seconds.total(), 1e-9), 1.0)
        return found

    def _chunks(self, choice: Choice, counted: list[Counter[str]]) -> Iterator[Chunk]:
        """Yield all chunks, counting its clusters on the way."""
        options = self._options
        for number, cluster in enumerate(choice.clusters):
            sums: Counter[str] = Counter()
            counted.append(sums)
            with self._timed("read"):
                batch = _read(cluster, options.max_article_chars)
            if isinstance(batch, Failure):
                self.found.failures += [batch] * (batch not in self.found.failures)
                continue
            before = cluster.rows.start if cluster.shard.offset is None else 0
            self.found.decoded += before + cluster.rows.rows
            with self._timed("tokenize"):
                batch = filter_short(tokenize(batch, self._tokenizer), options.min_tokens)
            self.found.errors += batch.errors
            sums[KEPT], sums[FAILED] = len(batch.articles), len(batch.errors)
            for reason, count in batch.dropped.items():
                sums[DROPPED + reason] = count
            for article in batch.articles:
                sums[FILTERED] += len(article_line(article))
                for chunk in range(len(_tokens(article)) // self._stride):
                    sums[SAMPLES] += 1
                    yield Chunk(article.row if choice.whole else number, article, chunk)

    def _draw(self, chunk: Chunk) -> Counter[str]:
        """Draw a chunk, and return the bytes that it takes by name."""
        options, tokens = self._options, _tokens(chunk.article)
        start = chunk.number * self._stride
        (sample,) = expand_chunks(
            replace(chunk.article, tokens=tokens[start : start + self._stride]),
            options.context_tokens, options.continuation_tokens, self._tokenizer.decode,
        )  # fmt: skip
        sample = replace(sample, chunk_index=chunk.number, total_article_tokens=len(tokens))
        stored, pngs = render_sample(sample, options.pages, self._renderer)
        if options.no_images:  # what they would take
            pages = options.pages._replace(form="files")
            _, pngs = render_sample(sample, pages, self._renderer)
        line = stored.json_line()
        sizes = Counter({LINE: len(line), ARROW: to_batch([line], self._schema).nbytes})
        for mode, png in pngs.items():
            sizes[PNG + mode] = len(png)
            sizes[BLOCKS] += len(png) + -len(png) % self._block
            sizes[TAR] += len(tar_member(f"{sample.id}.png", png))
            self.found.metadata[mode].append(stored.font_metadata[mode])
        sizes[TAR] += len(line) + -len(line) % tarfile.BLOCKSIZE + tarfile.BLOCKSIZE
        self.found.characters += sum(not c.isspace() for c in sample.context_text)
        if self._lacking.count(sample.context_text):
            for character, times in Counter(sample.context_text).items():
                self.found.missing[character] += self._lacking.count(character) * times
        return sizes

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        own, clock = time.process_time(), time.perf_counter()
        yield
        self.found.seconds[step] += time.process_time() - own  # type: ignore[assignment]
        self._clock += time.perf_counter() - clock


def _tokens(article: Article) -> Tokens:
    assert article.tokens is not None, "an article is tokenized before it is cut"
    return article.tokens


def _read(cluster: Cluster, max_chars: int) -> ShardArticles | Failure:
    try:
        return read_rows(located(cluster), max_chars)
    except ConnectionError:  # the store failed, which is no fault of the file
        raise
    except (pa.ArrowException, OSError, MemoryError) as error:
        return unreadable(cluster.shard, error)
