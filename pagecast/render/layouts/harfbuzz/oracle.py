"""The rule of a page by HarfBuzz and ICU, as plain as it is stated; for tests and benchmarks.

The text is one paragraph, whose direction is that of its first strong letter. Lines are made of
whole words, or as UAX #14 has it; a piece joins a line while the line's width, the sum of its
advances in the paragraph as a whole number of pixels, fits the box. A line's runs, of one font,
script and level each, stand in the order of UAX #9, and each is shaped whole. A glyph stands at the
pixel nearest to the pen and its offset. A line of a paragraph that runs from right to left ends at
the right margin.
"""

from __future__ import annotations

from PIL import Image, ImageChops, ImageDraw

from pagecast.render.breaking import Unit, break_units, clusters, clusters_of, well_formed
from pagecast.render.fonts import default_font
from pagecast.render.layouts.harfbuzz.fallback import ClusterFallback
from pagecast.render.layouts.harfbuzz.paragraph import (
    Run,
    levels_of,
    runs_of,
    visual_order,
)
from pagecast.render.layouts.harfbuzz.shaping import Glyphs, Typesetter, rasterize
from pagecast.render.oracle import INK, MARGIN, PAPER, largest_fit, line_height, wrap
from pagecast.render.page import Page, PageMetadata
from pagecast.style import PageStyle


class HarfbuzzOracle:
    """The plain renderer: a text and a size in, a page out. See `OracleRenderer`."""

    def __init__(self, style: PageStyle) -> None:
        self._setter = Typesetter(style.fonts or (default_font(),))
        self._fallback = ClusterFallback(self._setter.covered)
        self._line_break = style.line_break

    def render(self, text: str, px: int) -> Page:
        """Draw `text` on a white square of `px` pixels, as large as fits."""
        margin = int(px * MARGIN)
        box = px - 2 * margin
        text = " ".join(well_formed(text).split())
        base, levels = levels_of(text)
        runs = runs_of(text, self._fallback.owners(text), levels)

        def shaped(units: list[Unit]) -> list[tuple[Run, Glyphs]]:
            """Return the runs of a line from left to right, each shaped by itself."""
            first, last = units[0].start, units[-1].end
            inside = [
                run._replace(start=max(run.start, first), end=min(run.end, last))
                for run in runs
                if run.start < last and run.end > first
            ]
            return [(run, self._setter.shape(text, run)) for run in visual_order(inside)]

        whole = [self._setter.shape(text, run) for run in runs]

        def width(units: list[Unit], size: int) -> int:
            advance = sum(
                int(advance)
                for glyphs in whole
                for cluster, advance in zip(glyphs.cluster, glyphs.advance, strict=True)
                if units[0].start <= cluster < units[-1].end
            )
            return self._setter.pixel(advance, size)

        def lines_at(size: int) -> list[list[Unit]]:
            units = break_units(text, self._line_break)
            if self._line_break == "unicode":
                units = [
                    piece
                    for unit in units
                    for piece in ([unit] if width([unit], size) <= box else clusters(text, unit))
                ]
            return wrap(units, box, lambda line: width(line, size))

        size = largest_fit(lambda size: len(lines_at(size)) * line_height(size) <= box)
        lines = lines_at(size)
        image = Image.new("L", (px, px), PAPER)
        rendered, y = 0, margin
        for line in lines:
            if y + line_height(size) > px - margin:
                break
            drawn = shaped(line)
            advance = sum(int(glyphs.advance.sum()) for _, glyphs in drawn)
            left = px - margin - self._setter.pixel(advance, size) if base % 2 else margin
            self._draw(image, drawn, left, y + self._setter.baseline(size), size)
            rendered, y = rendered + 1, y + line_height(size)
        metadata = PageMetadata(
            font_size=size,
            total_lines=len(lines),
            rendered_lines=rendered,
            is_truncated=rendered < len(lines),
            clipped_lines=sum(width(line, size) > box for line in lines),
            missing_glyphs=self._missing(text, runs),
        )
        return Page(image, metadata)

    def _draw(
        self, image: Image.Image, line: list[tuple[Run, Glyphs]], x: int, baseline: int, size: int
    ) -> None:
        """Draw a line on a sheet of the page's size, and then print that."""
        sheet = Image.new("L", image.size, PAPER)
        pen = 0
        for run, glyphs in line:
            for glyph, _, advance, dx, dy, _ in zip(*glyphs, strict=True):
                if stamp := rasterize(self._setter.fonts[run.font], int(glyph), size):
                    left = x + self._setter.pixel(int(pen + dx), size) + stamp.dx
                    top = baseline - self._setter.pixel(int(dy), size) + stamp.dy
                    ImageDraw.Draw(sheet).draw.draw_bitmap((left, top), stamp.mask, INK)
                pen += int(advance)
        ImageDraw.Draw(image).bitmap((0, 0), ImageChops.invert(sheet), fill=INK)

    def _missing(self, text: str, runs: list[Run]) -> int:
        """Count the grapheme clusters of which some font shows a box instead."""
        at = {
            int(cluster)
            for run in runs
            for glyph, cluster, *_ in zip(*self._setter.shape(text, run), strict=True)
            if glyph == 0
        }
        starts = clusters_of(text)
        ends = [*starts, len(text)][1:]
        return sum(
            any(start <= place < end for place in at)
            for start, end in zip(starts, ends, strict=True)
        )
