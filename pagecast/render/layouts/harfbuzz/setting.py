"""Setting a paragraph quickly: each run is shaped once, for all lines, sizes and pages.

A line's width is a difference of two sums, by the rule. Where HarfBuzz says that a text may be
broken before a cluster, each side is what it would be by itself: so between two such places a
line's glyphs are a stretch of the paragraph's. Where a line begins or ends elsewhere (a letter
kerned with the space after it, say), its run is shaped again by itself, once for all sizes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np

from pagecast.render.breaking import Unit, break_units, clusters_of, well_formed
from pagecast.render.layouts.harfbuzz.fallback import ClusterFallback
from pagecast.render.layouts.harfbuzz.paragraph import (
    Run,
    levels_of,
    runs_of,
    visual_order,
)
from pagecast.render.layouts.harfbuzz.shaping import Glyphs, Ints, Typesetter
from pagecast.render.typeset import InkedLine, inked_lines, line_height


class Paragraph:
    """A text, its runs and their glyphs. See `oracle` for the rule."""

    def __init__(
        self, text: str, setter: Typesetter, fallback: ClusterFallback, line_break: str
    ) -> None:
        self.text = " ".join(well_formed(text).split())
        self.setter = setter
        self.base, levels = levels_of(self.text)
        self.runs = runs_of(self.text, fallback.owners(self.text), levels)
        self._run_ends = [run.end for run in self.runs]
        self._reshaped: dict[tuple[int, int, int], Glyphs] = {}
        self.is_broken_by_rules = line_break == "unicode"
        self.units = break_units(self.text, line_break)

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


class SetParagraph:
    """A paragraph in type of one size, for a box of one width; see `page.SetLines`."""

    def __init__(self, paragraph: Paragraph, units: Sequence[Unit], size: int, box: int) -> None:
        self._paragraph, self._units = paragraph, units
        self._size, self._box = size, box
        self._starts = [unit.start for unit in units]
        self._ends = [unit.end for unit in units]
        ends = np.array(self._ends, np.int64)
        self._end_pens = paragraph.pen[ends]
        unit = paragraph.setter.unit
        # The largest sum of advances that is `box` px, rounded.
        self._most = ((2 * box + 1) * unit - 1) // (2 * size)

    def lines(self, _: int, most: int | None = None) -> list[int]:
        """Return the first unit of each line; with `most`, stop when there are more than that."""
        firsts: list[int] = []
        at, count = 0, len(self._units)
        while at < count and (most is None or len(firsts) <= most):
            firsts.append(at)
            at = self._next(at)
        return firsts

    def _next(self, first: int) -> int:
        """Return the first unit that does not fit on a line with this one and those between."""
        reach = int(self._paragraph.pen[self._starts[first]]) + self._most
        if self._paragraph.is_monotonic:
            return max(int(np.searchsorted(self._end_pens, reach, "right")), first + 1)
        too_far = np.flatnonzero(self._end_pens[first + 1 :] > reach)
        return first + 1 + int(too_far[0]) if len(too_far) else len(self._units)

    def clipped(self, firsts: list[int], _: int) -> int:
        """Count the lines that are wider than the box."""
        pen = self._paragraph.pen
        return sum(int(pen[end] - pen[start]) > self._most for start, end in self._lines(firsts))

    def wide(self, _: int) -> list[int]:
        """Return the units that are wider than the box by themselves."""
        widths = self._end_pens - self._paragraph.pen[np.array(self._starts, np.int64)]
        return np.flatnonzero(widths > self._most).tolist()

    def _lines(self, firsts: list[int]) -> Iterator[tuple[int, int]]:
        for first, after in zip(firsts, [*firsts, len(self._units)][1:], strict=True):
            yield self._starts[first], self._ends[after - 1]

    def marks(self, firsts: list[int], rendered: int, margin: int) -> list[InkedLine]:
        """Return where the masks of the first `rendered` lines go, for lines that have ink."""
        setter, size = self._paragraph.setter, self._size
        stretches: list[Glyphs] = []
        pens, lefts, fonts, numbers = [], [], [], []
        for number, (start, end) in zip(range(rendered), self._lines(firsts), strict=False):
            left, pen = margin, 0
            line = self._paragraph.line(start, end)
            if self._paragraph.base % 2:
                advance = sum(int(glyphs.advance.sum()) for _, glyphs in line)
                left += self._box - setter.pixel(advance, size)
            for run, glyphs in line:
                stretches.append(glyphs)
                sums = np.cumsum(glyphs.advance)
                pens.append(pen + sums - glyphs.advance + glyphs.dx)
                pen += int(sums[-1]) if len(sums) else 0
                lefts.append(left)
                fonts.append(run.font)
                numbers.append(number)
        if not stretches:
            return []
        lengths = [len(glyphs.id) for glyphs in stretches]
        ids = np.concatenate([glyphs.id for glyphs in stretches])
        owners, row = np.repeat(fonts, lengths), np.repeat(numbers, lengths)
        x = np.repeat(lefts, lengths) + setter.pixel(np.concatenate(pens), size)
        y = margin + row * line_height(size) + setter.baseline(size)
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
        return inked_lines(row[at], x[at], y[at], bottom[at], masks[at].tolist())
