"""Looking at a sample: reading, tokenizing, counting, and drawing some of the samples it gives.

Does what a run does, with the same functions, and writes nothing.
"""

from __future__ import annotations

import heapq
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import pyarrow as pa

from pagecast.dataset.filtered import article_line
from pagecast.dataset.layout import FILES, member_name
from pagecast.dataset.sample import Sample
from pagecast.dataset.shard import ArticleError, Failure
from pagecast.dataset.split import sample_key
from pagecast.dataset.tables.arrow import sample_schema, to_batch
from pagecast.dataset.tables.parquet import COMPRESSION
from pagecast.render.fonts.characters import MissingGlyphs, script_of
from pagecast.style.drawing import SheetRenderer
from pagecast.tokens.tokenizer import ArticleTokenizer
from pipeline.estimate.interval import Interval, Place, ratios
from pipeline.estimate.sample import Choice
from pipeline.graph import page_settings
from pipeline.launch.prepare import Sources
from pipeline.options import RunOptions
from transforms.chunk import expand_articles
from transforms.errors import map_with_errors
from transforms.read.articles import filter_short, try_rows
from transforms.render.pages import render_sample
from transforms.render.sinks import tar_member
from transforms.tokenize import tokenize

# What is counted of rows; reasons for which articles are dropped stand behind DROPPED.
ROWS, KEPT, FAILED, DROPPED = "rows", "kept", "failed", "dropped, "
SAMPLES, FILTERED = "samples", "filtered"
# Bytes of a sample; of its pages PNG + mode, on a disk of blocks, or in tars.
LINE, ARROW, PNG, BLOCKS, TAR = "line", "arrow", "png, ", "blocks", "tar"
PACKED = "packed"  # in Parquet, images too where they are stored
PACKED_SHARE = 0.48  # of what a row without images takes in Arrow; of 57 rows it was that


class Drawable(NamedTuple):
    """A sample that may be drawn; the place that it is counted in, and the weight of that."""

    place: int
    weight: float
    sample: Sample


@dataclass
class Measured:
    """What was found.

    counts: totals over the whole input. bytes: of a sample. metadata: of the pages drawn, by mode.
    missing: characters on these pages that the fonts lack, by script, of so many `characters`.
    seconds: of this process's work, by step, and `start` until it could begin; `busy` by the clock
    for each. decoded: rows, to have those read.
    """

    counts: dict[str, Interval] = field(default_factory=lambda: defaultdict(Interval))
    bytes: dict[str, Interval] = field(default_factory=lambda: defaultdict(Interval))
    drawn: int = 0
    metadata: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    missing: Counter[str] = field(default_factory=Counter)
    characters: int = 0
    failures: list[Failure] = field(default_factory=list)
    errors: list[ArticleError] = field(default_factory=list)
    seconds: Counter[str] = field(default_factory=Counter)
    start: float = 0.0
    busy: float = 1.0
    decoded: int = 0


@cache
def _missing_glyphs(fonts: tuple[bytes, ...], layout: str) -> MissingGlyphs:
    return MissingGlyphs(fonts, layout)


class Measuring:
    """Counts all articles chosen and draws some of their samples as `options` say.

    Args:
      block: bytes in which the disk counts.
    """

    def __init__(self, options: RunOptions, sources: Sources, block: int) -> None:
        self._options, self._block = options, block
        self._tokenizer = ArticleTokenizer(sources.tokenizer.content, sources.quick_tokenizer)
        sheet = sources.styles.sheet
        self._pages = page_settings(options, sheet)
        self._renderers = SheetRenderer(sheet, sources.styles.contents)
        modes = [mode.name for mode in options.modes]
        self._schema = sample_schema(modes, not options.no_images, sheet.is_varied, sheet.is_paged)
        self._clock = 0.0
        self._counted: list[Place] = []
        self._drawn: dict[int, Place] = {}
        self.found = Measured(start=time.process_time())

    def measure(self, choice: Choice, most: int, seed: int) -> Measured:
        """Look at what was chosen, and draw at most `most` of its samples, all equally likely."""
        found = self.found
        chosen = heapq.nsmallest(
            most,
            self._samples(choice),
            lambda it: sample_key(
                seed, str(it.sample.row), it.sample.chunk_index
            ),  # ids may repeat
        )
        chosen.sort(key=lambda it: (it.sample.row, it.sample.chunk_index))
        done, errors = map_with_errors("render", chosen, self._draw, lambda it: it.sample)
        found.errors += errors
        found.drawn = len(done)
        each = ratios(self._counted, ROWS, 1 - choice.read / max(choice.rows, 1))
        found.counts.update({name: value * choice.rows for name, value in each.items()})
        unseen = 1 - found.drawn / max(found.counts[SAMPLES].estimate, found.drawn, 1)
        found.bytes.update(ratios([*self._drawn.values()], SAMPLES, unseen))
        found.busy = max(self._clock / max(found.seconds.total(), 1e-9), 1.0)
        return found

    def _samples(self, choice: Choice) -> Iterator[Drawable]:
        """Yield all samples, counting on the way what is at each place."""
        options, found = self._options, self.found
        for number, (rows, shard, weight) in enumerate(choice.clusters):
            counts = Counter({ROWS: rows.rows})
            self._counted.append(Place(weight, counts))
            with self._timed("read"):
                batch = try_rows(rows, options.max_article_chars, shard)
            if isinstance(batch, Failure):
                found.failures += [batch] * (batch not in found.failures)
                continue
            found.decoded += rows.start + rows.rows
            with self._timed("tokenize"):
                kept = filter_short(tokenize(batch, self._tokenizer), options.min_tokens)
                cut = expand_articles(
                    kept, options.context_tokens, options.continuation_tokens, self._tokenizer
                )
            found.errors += cut.errors
            counts[FAILED] = len(cut.errors)
            counts[KEPT] = rows.rows - len(cut.errors) - sum(cut.dropped.values())
            counts[SAMPLES] = sum(map(len, cut.articles))
            counts[FILTERED] = sum(len(article_line(article)) for article in kept.articles)
            counts.update({DROPPED + reason: count for reason, count in cut.dropped.items()})
            for samples in cut.articles:
                for sample in samples:
                    yield Drawable(sample.row if choice.whole else number, weight, sample)

    def _draw(self, drawable: Drawable) -> None:
        """Draw a sample, and count the bytes that it takes by name."""
        number, weight, sample = drawable
        options, found = self._options, self.found
        with self._timed("draw"):
            stored, pngs = render_sample(sample, self._pages, self._renderers)
            line = stored.json_line()
        if options.no_images:  # what they would take
            _, pngs = render_sample(sample, self._pages._replace(form=FILES), self._renderers)
        record = len(tar_member(f"{sample.id}.json", line.rstrip()))
        arrow = to_batch([line], self._schema).nbytes
        sizes = Counter({SAMPLES: 1, LINE: len(line), ARROW: arrow, TAR: record})
        sizes[PACKED] = round(PACKED_SHARE * arrow)
        for mode, pages in pngs.items():
            for name, png in pages.items():
                sizes[PNG + mode] += len(png)
                sizes[PACKED] += 0 if options.no_images else len(pa.compress(png, COMPRESSION))
                sizes[BLOCKS] += len(png) + -len(png) % self._block
                sizes[TAR] += len(tar_member(member_name(name), png))
            found.metadata[mode].append(stored.font_metadata[mode])
        self._drawn.setdefault(number, Place(weight, Counter())).found.update(sizes)
        text = sample.context_text
        found.characters += sum(not character.isspace() for character in text)
        style = self._renderers.of(sample.id, sample.wiki_id)[1].style
        lacking = _missing_glyphs(style.fonts, style.layout)
        if lacking.count(text):
            for character, times in Counter(text).items():
                found.missing[script_of(character)] += lacking.count(character) * times

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        own, clock = time.process_time(), time.perf_counter()
        yield
        self.found.seconds[step] += time.process_time() - own  # type: ignore[assignment]
        self._clock += time.perf_counter() - clock
