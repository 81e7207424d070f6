"""One sample drawn: how many bytes it takes in each form, and how well its pages can be read."""

from __future__ import annotations

import json
import statistics
import tarfile
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from pipeline.estimate.clock import Clock
from transforms.arrow import sample_schema, to_batch
from transforms.chunk import expand_chunks
from transforms.images import PageSettings, render_sample
from transforms.modes import VisionMode
from transforms.pictures import FILES, NONE, digest_of, tar_member
from transforms.records import Article, Sample, Tokens
from transforms.render import PageRenderer
from transforms.render.characters import MissingGlyphs

# Names of what is summed. Of a mode: `PNG + mode` and so on.
PNG, BLOCKS, TAR = "png, ", "blocks, ", "tar, "  # bytes, on a disk of such blocks, in a tar
LINE, ARROW, RECEIPT = "line", "arrow", "receipt"
DRAW = "draw"
TAR_PLACE = 7  # more digits in a receipt for where a picture lies in its tar


class Halves(Protocol):
    """How long the two halves of a chunk are."""

    @property
    def context(self) -> int:
        """Tokens of the context."""

    @property
    def continuation(self) -> int:
        """Tokens that follow."""


class Legibility(NamedTuple):
    """How the pages that were drawn look at one mode."""

    mode: VisionMode
    font_size: float
    truncated: float


class Drawing:
    """Draws samples as a run would, and keeps what their pages looked like, but no page.

    Args:
      pages: how; pictures are drawn even where a run is to store none, to say what they would take.
      block: bytes in which the disk counts.
    """

    def __init__(self, pages: PageSettings, fonts: Sequence[bytes], block: int) -> None:
        self._pages = pages
        self._renderer = PageRenderer(fonts, pages.layout, pages.line_break)
        self._lacking = MissingGlyphs(fonts, pages.layout)
        self._block = block
        self._schema = sample_schema(self.modes, pages.form != NONE)
        self._metadata: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._clocks: list[Clock] = []
        self.missing: Counter[str] = Counter()
        self.characters = 0

    @property
    def modes(self) -> list[str]:
        """The names of the vision modes."""
        return [mode.name for mode in self._pages.modes]

    @property
    def drawn(self) -> int:
        """How many samples were drawn."""
        return len(self._clocks)

    def measure(
        self,
        chunk: Article,
        number: int,
        total_tokens: int,
        halves: Halves,
        decode: Callable[[Tokens], str],
    ) -> Counter[str]:
        """Draw a chunk, given as an article that has no more, and return its bytes by name."""
        clock = Clock()
        with clock.timed(DRAW):
            (sample,) = expand_chunks(chunk, halves.context, halves.continuation, decode)
            sample = replace(sample, chunk_index=number, total_article_tokens=total_tokens)
            stored, pngs = render_sample(sample, self._pages, self._renderer)
            line = stored.json_line()
        self._clocks.append(clock)
        if self._pages.form == NONE:
            _, pngs = render_sample(sample, self._pages._replace(form=FILES), self._renderer)
        found = Counter({LINE: len(line), ARROW: to_batch([line], self._schema).nbytes})
        for mode, png in pngs.items():
            found[PNG + mode] = len(png)
            found[BLOCKS + mode] = len(png) + -len(png) % self._block
            found[TAR + mode] = len(tar_member(f"{sample.id}.png", png))
        record = len(line) - 1
        found[TAR + self.modes[0]] += record + -record % tarfile.BLOCKSIZE + tarfile.BLOCKSIZE
        found[RECEIPT] = self._receipt(stored, pngs)
        self._look(stored)
        return found

    def _receipt(self, sample: Sample, pngs: dict[str, bytes]) -> int:
        """Return about how much a sample adds to the receipt of its shard."""
        size = len(json.dumps([sample.row, sample.wiki_id, [LINE]]))
        if self._pages.form == NONE:
            return size
        for png in pngs.values():
            size += len(json.dumps({sample.id: [0, len(png), digest_of(png)]}))
            size += 0 if self._pages.form == FILES else TAR_PLACE
        return size

    def _look(self, sample: Sample) -> None:
        for mode, metadata in sample.font_metadata.items():
            self._metadata[mode].append(metadata)
        text = sample.context_text
        self.characters += sum(not character.isspace() for character in text)
        if self._lacking.count(text):
            for character in set(text):
                if count := self._lacking.count(character):
                    self.missing[character] += count * text.count(character)

    def clock(self) -> tuple[Clock, int]:
        """Return the time of the later half of the samples, once glyphs are known; of how many."""
        clocks = self._clocks[len(self._clocks) // 2 :]
        together = Clock()
        for clock in clocks:
            together.add(clock)
        return together, len(clocks)

    def legibility(self) -> list[Legibility]:
        """Return how the pages look, smallest first; nothing where none was drawn."""
        return [
            Legibility(
                mode,
                statistics.median(page["font_size"] for page in pages),
                sum(page["is_truncated"] for page in pages) / len(pages),
            )
            for mode in self._pages.modes
            if (pages := self._metadata[mode.name])
        ]
