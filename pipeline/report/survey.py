"""What lines of samples say: distributions by mode, and which samples and pages to show."""

from __future__ import annotations

import json
import re
from bisect import insort
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Generic, NamedTuple, TypeVar

from pagecast.dataset.sample import STYLE, parse_sample_id
from pagecast.dataset.split import u64

T = TypeVar("T")

# Within a JSON string a quote has a backslash before it, so neither of these can be article text.
HEAD = re.compile(
    rb'\{"id": "([a-z0-9_]+)", .*?, "chunk_index": (\d+), "total_article_tokens": (\d+), '
)
METADATA = b', "font_metadata": '
WORST = 24  # pages to show


class SurveyError(Exception):
    """A line is not a sample's."""


class Page(NamedTuple):
    """A page to show: its sample's line, and its mode."""

    line: bytes
    mode: str


class Smallest(Generic[T]):
    """The items with the smallest keys of all that were offered, in order, and no more of them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._found: list[tuple[Any, T]] = []

    def offer(self, key: Any, item: T) -> None:
        """Keep the item if it belongs to the smallest so far; keys are unlike one another."""
        if len(self._found) < self._size or key < self._found[-1][0]:
            insort(self._found, (key, item), key=lambda pair: pair[0])
            del self._found[self._size :]

    @property
    def items(self) -> list[T]:
        """Return what is kept."""
        return [item for _, item in self._found]


class ModeSurvey:
    """How often each value occurs among the pages of one mode."""

    def __init__(self) -> None:
        self.font_sizes: Counter[int] = Counter()
        self.lines: Counter[int] = Counter()
        self.missing: Counter[int] = Counter()
        self.truncated = 0
        self.clipped = 0

    def add(self, page: dict[str, Any]) -> None:
        """Count a page by its metadata."""
        self.font_sizes[page["font_size"]] += 1
        self.lines[page["total_lines"]] += 1
        self.missing[page["missing_glyphs"]] += 1
        self.truncated += bool(page["is_truncated"])
        self.clipped += page["clipped_lines"] > 0


class Survey:
    """All that the report says of samples; memory does not grow with their number.

    Only the end of a line is parsed: most of it are token ids, which the report does not show.

    Args:
      modes: the dataset's vision modes, smallest page first.
      chosen: how many samples to choose by the hash of seed and id.
      styles: names of the dataset's styles, if it has several; of each as many are chosen.
    """

    def __init__(
        self, modes: Sequence[str], seed: int, chosen: int, styles: Sequence[str] = ()
    ) -> None:
        self.samples = 0
        self.by_style = {style: {mode: ModeSurvey() for mode in modes} for style in styles}
        self.samples_of: Counter[str] = Counter()
        self._of_style: dict[str, Smallest[bytes]] = {s: Smallest(chosen) for s in styles}
        self.article_tokens: Counter[int] = Counter()
        self.by_mode = {mode: ModeSurvey() for mode in modes}
        self._seed = seed
        self._chosen: Smallest[bytes] = Smallest(chosen)
        self._small: Smallest[Page] = Smallest(WORST)
        self._missing: Smallest[Page] = Smallest(WORST)
        self._cut: Smallest[Page] = Smallest(WORST)

    def add(self, line: bytes) -> None:
        """Count a sample.

        Raises:
          SurveyError: the line is not a sample's, or lacks a mode.
        """
        head, at = HEAD.match(line), line.rfind(METADATA)
        try:
            if head is None or at < 0:
                raise ValueError("it does not begin or end like one")
            name, chunk, tokens = head[1].decode(), int(head[2]), int(head[3])
            place = parse_sample_id(name)
            pages = json.loads(line[at + len(METADATA) :].rstrip()[:-1])
            pages = {mode: pages[mode] for mode in self.by_mode}
            style = style_name(pages)
            for mode, page in pages.items():
                self.by_mode[mode].add(page)
                if self.by_style:
                    self.by_style[style][mode].add(page)
        except (ValueError, KeyError, TypeError) as error:
            raise SurveyError(f"a line is not a sample: {type(error).__name__}: {error}") from error
        self.samples += 1
        if chunk == 0:  # so an article counts once, however many samples it has
            self.article_tokens[tokens] += 1
        key = u64(f"{self._seed}:{name}"), name
        self._chosen.offer(key, line)
        if self.by_style:
            self.samples_of[style] += 1
            self._of_style[style].offer(key, line)
        self._rank(place, pages, line)

    def _rank(self, place: tuple[int, int], pages: dict[str, dict[str, Any]], line: bytes) -> None:
        """Offer the sample's worst page of each kind: its others would only repeat it."""
        if not pages:
            return
        mode = min(pages, key=lambda m: pages[m]["font_size"])
        self._small.offer((pages[mode]["font_size"], place), Page(line, mode))
        mode = max(pages, key=lambda m: pages[m]["missing_glyphs"])
        if missing := pages[mode]["missing_glyphs"]:
            self._missing.offer((-missing, place), Page(line, mode))
        mode = max(pages, key=lambda m: lost(pages[m]))
        if any(lost(pages[mode])):
            undrawn, clipped = lost(pages[mode])
            self._cut.offer((-undrawn, -clipped, place), Page(line, mode))

    @property
    def chosen(self) -> list[bytes]:
        """Return the lines of samples that were chosen by hash, in its order."""
        return self._chosen.items

    def shown(self, most: int) -> list[bytes]:
        """Return the lines of at most so many chosen samples; of each style one at least."""
        if not self._of_style:
            return self.chosen[:most]
        each = max(1, most // len(self._of_style))
        return [line for chosen in self._of_style.values() for line in chosen.items[:each]]

    def chosen_of(self, style: str, most: int) -> list[bytes]:
        """Return the lines of at most so many chosen samples of a style."""
        return self._of_style.get(style, self._chosen).items[:most]

    @property
    def worst(self) -> list[Page]:
        """Return the worst pages: a third of each kind, and others where one has fewer."""
        found: dict[Page, None] = {}
        kinds = (self._cut.items, self._missing.items, self._small.items)
        for kind in kinds:
            new = [page for page in kind if page not in found]
            found.update(dict.fromkeys(new[: WORST // len(kinds)]))
        for page in chain(*reversed(kinds)):
            if len(found) < WORST:
                found.setdefault(page)
        return list(found)


def style_name(pages: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the name of a sample's style; its label goes on with what was drawn for it."""
    labels = [page.get(STYLE, "") for page in pages.values()]
    return labels[0].partition(" ")[0] if labels else ""


def lost(page: dict[str, Any]) -> tuple[int, int]:
    """Return how many lines of a page are not drawn, and how many are cut at its edge."""
    return page["total_lines"] - page["rendered_lines"], page["clipped_lines"]
