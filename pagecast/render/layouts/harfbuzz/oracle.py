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

from pagecast.render.breaking import (
    Unit,
    clusters_of,
    source,
    well_formed,
)
from pagecast.render.fonts import default_font
from pagecast.render.layouts.harfbuzz.fallback import ClusterFallback
from pagecast.render.layouts.harfbuzz.paragraph import (
    Run,
    levels_of,
    runs_of,
    visual_order,
)
from pagecast.render.layouts.harfbuzz.shaping import Glyphs, Typesetter, rasterize
from pagecast.render.oracle import INK, PAPER, Ink, Line, draw_pages
from pagecast.render.page import Page, Pages
from pagecast.style.style import PageStyle


class HarfbuzzOracle:
    """The plain renderer: a text and a size in, pages out. See `OracleRenderer`."""

    def __init__(self, style: PageStyle) -> None:
        self.style = style
        self.setter = Typesetter(style.fonts or (default_font(),))
        self.fallback = ClusterFallback(self.setter.covered)

    def render(self, text: str, px: int) -> Page:
        """Draw the first page of a text."""
        pages = self.pages(text, px)
        return Page(pages.image, pages.metadata)

    def pages(self, text: str, px: int) -> Pages:
        """Draw a text on pages whose longer side is `px` pixels."""
        by_harfbuzz = TextByHarfbuzz(self, text)
        return draw_pages(self.style, px, by_harfbuzz, by_harfbuzz.missing())


class TextByHarfbuzz:
    """A text each of whose lines is shaped by itself."""

    def __init__(self, renderer: HarfbuzzOracle, text: str) -> None:
        self._setter = renderer.setter
        found = source(text, renderer.style.newline)
        self.source = found._replace(text=well_formed(found.text))
        self._text = self.source.text
        self._bases, levels = [], [0] * len(self._text)
        for start, paragraph in zip(self.source.starts, self.source.paragraphs(), strict=True):
            base, inside = levels_of(paragraph)
            self._bases.append(base)
            levels[start : start + len(paragraph) + 1] = [*inside, base]
        levels = levels[: len(self._text)]
        self._runs = runs_of(self._text, renderer.fallback.owners(self._text), levels)
        self._whole = [self._setter.shape(self._text, run) for run in self._runs]

    def width(self, line: list[Unit], size: int) -> int:
        """Return the width of a line in pixels: the sum of its advances in the whole text."""
        advance = sum(
            int(advance)
            for glyphs in self._whole
            for cluster, advance in zip(glyphs.cluster, glyphs.advance, strict=True)
            if line[0].start <= cluster < line[-1].end
        )
        return self._setter.pixel(advance, size)

    def is_rtl(self, paragraph: int) -> bool:
        """Tell whether a paragraph runs from right to left."""
        return self._bases[paragraph] % 2 == 1

    def draw(self, image: Image.Image, line: Line, size: int, ink: Ink) -> None:
        """Draw a line on a sheet of the page's size, and then print that."""
        sheet = Image.new("L", image.size, PAPER)
        shaped = self._shaped(line.units)
        x, baseline = line.x, line.y + self._setter.baseline(size, line.height)
        glyphs = [(run, glyph) for run, found in shaped for glyph in zip(*found, strict=True)]
        gaps = sum(self._text[glyph[1]] == " " for _, glyph in glyphs)
        extra = line.extra if gaps else 0
        if self.is_rtl(line.paragraph):
            advance = sum(int(glyphs.advance.sum()) for _, glyphs in shaped)
            x += line.room - extra - self._setter.pixel(advance, size)
        pen = spaces = 0
        for run, (glyph, cluster, advance, dx, dy, _) in glyphs:
            if stamp := rasterize(self._setter.fonts[run.font], int(glyph), size):
                left = x + self._setter.pixel(int(pen + dx), size) + stamp.dx
                left += extra * spaces // max(gaps, 1)
                top = baseline - self._setter.pixel(int(dy), size) + stamp.dy
                ImageDraw.Draw(sheet).draw.draw_bitmap((left, top), stamp.mask, INK)
            pen += int(advance)
            spaces += self._text[cluster] == " "
        ImageDraw.Draw(image).bitmap((0, 0), ImageChops.invert(sheet), fill=ink)

    def _shaped(self, units: list[Unit]) -> list[tuple[Run, Glyphs]]:
        """Return the runs of a line from left to right, each shaped by itself."""
        first, last = units[0].start, units[-1].end
        inside = [
            run._replace(start=max(run.start, first), end=min(run.end, last))
            for run in self._runs
            if run.start < last and run.end > first
        ]
        return [(run, self._setter.shape(self._text, run)) for run in visual_order(inside)]

    def missing(self) -> int:
        """Count the grapheme clusters of which some font shows a box instead."""
        at = {
            int(cluster)
            for glyphs in self._whole
            for glyph, cluster, *_ in zip(*glyphs, strict=True)
            if glyph == 0
        }
        starts = clusters_of(self._text)
        ends = [*starts, len(self._text)][1:]
        return sum(
            any(start <= place < end for place in at)
            for start, end in zip(starts, ends, strict=True)
        )
