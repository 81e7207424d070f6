"""Setting a text quickly: each run is shaped once, for all lines, sizes and pages.

A line's width is a difference of two sums, by the rule. Where HarfBuzz says that a text may be
broken before a cluster, each side is what it would be by itself: so between two such places a
line's glyphs are a stretch of the text's. Where a line begins or ends elsewhere (a letter
kerned with the space after it, say), its run is shaped again by itself, once for all sizes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np

from pagecast.render.breaking import Source, Unit, clusters_of
from pagecast.render.layouts.harfbuzz.fallback import ClusterFallback
from pagecast.render.layouts.harfbuzz.paragraph import (
    Run,
    levels_of_all,
    runs_of,
    visual_order,
)
from pagecast.render.layouts.harfbuzz.shaping import Glyphs, Ints, Typesetter
from pagecast.render.lines import InkedLine, PlacedLine, break_lines, inked_lines
from pagecast.style.frame import Measure


class ShapedText:
    """A text, its runs and their glyphs. See `oracle` for the rule."""

    def __init__(
        self, source: Source, setter: Typesetter, fallback: ClusterFallback, line_break: str
    ) -> None:
        self.text = source.text
        self.setter = setter
        self.bases, levels = levels_of_all(source)
        self.runs = runs_of(self.text, fallback.owners(self.text), levels)
        self._run_ends = [run.end for run in self.runs]
        self._reshaped: dict[tuple[int, int, int], Glyphs] = {}
        self.is_broken_by_rules = line_break == "unicode"
        self.units, self.starts = source.units(line_break)

        edges = {edge for unit in self.units for edge in unit}
        self._glyphs = [setter.shape(self.text, run, edges) for run in self.runs]

        # By character: where the pen is before it, all in the order of the text, and whether a line
        # may begin or end there without a change of what stands on either side.
        advance = np.zeros(len(self.text) + 1, np.int64)
        breaks = np.zeros(len(self.text) + 1, bool)
        for run, glyphs in zip(self.runs, self._glyphs, strict=True):
            np.add.at(advance, glyphs.cluster + 1, glyphs.advance)
            breaks[glyphs.cluster[glyphs.breaks]] = True
            breaks[run.start] = True
        breaks[-1] = True
        self.pen: Ints = np.cumsum(advance)
        self.breaks = breaks
        self.is_monotonic = not (advance < 0).any()
        self.is_space = np.frombuffer(self.text.encode("utf-32-le"), np.uint32) == ord(" ")

    def count_spaces(self, glyphs: Glyphs) -> int:
        """Count the glyphs of spaces: what a justified line can stretch."""
        return int(self.is_space[glyphs.cluster].sum())

    @cached_property
    def missing(self) -> int:
        """How many grapheme clusters have a glyph that no font shows."""
        at = np.concatenate(
            [glyphs.cluster[glyphs.id == 0] for glyphs in self._glyphs] or [np.zeros(0, np.int64)]
        )
        if not len(at):
            return 0
        return len(np.unique(np.searchsorted(clusters_of(self.text), at, "right")))

    def line(self, start: int, end: int) -> list[tuple[Run, Glyphs]]:
        """Return the runs of a line from left to right, with their glyphs."""
        found = dict(self._line(start, end))
        return [(run, found[run]) for run in visual_order(list(found))]

    def _line(self, start: int, end: int) -> Iterator[tuple[Run, Glyphs]]:
        """Yield the runs of a line in the order of the text."""
        number = bisect_right(self._run_ends, start)
        while number < len(self.runs) and self.runs[number].start < end:
            whole = self.runs[number]
            run = whole._replace(start=max(whole.start, start), end=min(whole.end, end))
            yield run, self._stretch(number, run)
            number += 1

    def _stretch(self, number: int, run: Run) -> Glyphs:
        """Return the glyphs of a part of a run."""
        glyphs = self._glyphs[number]
        if run == self.runs[number]:
            return glyphs
        if self.breaks[run.start] and self.breaks[run.end]:
            if run.level % 2:  # clusters fall
                first, last = np.searchsorted(-glyphs.cluster, [1 - run.end, 1 - run.start])
            else:
                first, last = np.searchsorted(glyphs.cluster, [run.start, run.end])
            return Glyphs._make(column[first:last] for column in glyphs)
        key = number, run.start, run.end
        if key not in self._reshaped:
            self._reshaped[key] = self.setter.shape(self.text, run)
        return self._reshaped[key]


class SetParagraphs:
    """A text in type of one size, in lines of a measure; see `typeset.SetLines`.

    Args:
      units: what stays whole on a line.
      paragraphs: the first unit of each paragraph.
    """

    def __init__(
        self, text: ShapedText, units: Sequence[Unit], paragraphs: Sequence[int], size: int
    ) -> None:
        self._text, self._size = text, size
        self.words, self.paragraphs = len(units), paragraphs
        self._starts = [unit.start for unit in units]
        self._ends = [unit.end for unit in units]
        self._end_pens = text.pen[np.array(self._ends, np.int64)]

    def _most(self, box: int) -> int:
        """Return the largest sum of advances that is `box` px, rounded."""
        return ((2 * box + 1) * self._text.setter.unit - 1) // (2 * self._size)

    def lines(self, measure: Measure, most: int | None = None) -> list[int]:
        """Return the first unit of each line; with `most`, stop when there are more than that."""
        return break_lines(self.paragraphs, self.words, measure, self._line_end, most)

    def _line_end(self, first: int, box: int) -> int:
        """Return the first unit that does not fit on a line with this one and those between."""
        reach = int(self._text.pen[self._starts[first]]) + self._most(box)
        if self._text.is_monotonic:
            return max(int(np.searchsorted(self._end_pens, reach, "right")), first + 1)
        too_far = np.flatnonzero(self._end_pens[first + 1 :] > reach)
        return first + 1 + int(too_far[0]) if len(too_far) else self.words

    def is_wider(self, first: int, after: int, box: int) -> bool:
        """Tell whether a line is wider than `box` px."""
        return self._advance(first, after) > self._most(box)

    def wide(self, box: int) -> list[int]:
        """Return the units that are wider than `box` px by themselves."""
        widths = self._end_pens - self._text.pen[np.array(self._starts, np.int64)]
        return np.flatnonzero(widths > self._most(box)).tolist()

    def width(self, first: int, after: int) -> int:
        """Return the width of a line in px."""
        return self._text.setter.pixel(self._advance(first, after), self._size)

    def _advance(self, first: int, after: int) -> int:
        return int(self._end_pens[after - 1] - self._text.pen[self._starts[first]])

    def is_rtl(self, first: int) -> bool:
        """Tell whether the paragraph of a unit runs from right to left."""
        paragraph = bisect_right(self.paragraphs, first) - 1
        return bool(self._text.bases) and self._text.bases[paragraph] % 2 == 1

    def marks(self, lines: Sequence[PlacedLine]) -> list[InkedLine]:
        """Return where the masks of lines go, for those that have ink."""
        setter, size = self._text.setter, self._size
        stretches: list[Glyphs] = []
        pens, lefts, fonts, rows = [], [], [], []
        for row, (first, after, start, *_, room, extra) in enumerate(lines):
            if first == after:
                continue
            line = self._text.line(self._starts[first], self._ends[after - 1])
            left, pen, spaces = start, 0, 0
            gaps = sum(self._text.count_spaces(glyphs) for _, glyphs in line) if extra else 0
            if self.is_rtl(first):
                advance = sum(int(glyphs.advance.sum()) for _, glyphs in line)
                left += room - setter.pixel(advance, size) - (extra if gaps else 0)
            for run, glyphs in line:
                stretches.append(glyphs)
                sums = np.cumsum(glyphs.advance)
                pens.append(pen + sums - glyphs.advance + glyphs.dx)
                pen += int(sums[-1]) if len(sums) else 0
                lefts.append(np.full(len(glyphs.id), left))
                if gaps:
                    is_space = self._text.is_space[glyphs.cluster]
                    lefts[-1] += extra * (spaces + np.cumsum(is_space) - is_space) // gaps
                    spaces += int(is_space.sum())
                fonts.append(run.font)
                rows.append(row)
        if not stretches:
            return []
        lengths = [len(glyphs.id) for glyphs in stretches]
        ids = np.concatenate([glyphs.id for glyphs in stretches])
        owners, row_of = np.repeat(fonts, lengths), np.repeat(rows, lengths)
        x = np.concatenate(lefts) + setter.pixel(np.concatenate(pens), size)
        y = np.array([line.y for line in lines])[row_of]
        y += setter.baseline(size, lines[0].height)
        y -= setter.pixel(np.concatenate([glyphs.dy for glyphs in stretches]), size)
        bottom = y.copy()
        masks = np.empty(len(ids), object)
        for font in set(fonts):
            at = np.flatnonzero(owners == font)
            stamps = setter.stamps(font, size)
            stamps.meet(ids[at])
            mine = ids[at]
            x[at] += stamps.left[mine]
            bottom[at] += stamps.bottom[mine]
            y[at] += stamps.top[mine]
            masks[at] = stamps.masks[mine]

        at = np.flatnonzero(bottom > y)
        if not len(at):
            return []
        return inked_lines(row_of[at], x[at], y[at], bottom[at], masks[at].tolist())
