"""Where lines go on the pages of a style: margins, columns, rows."""

from __future__ import annotations

from typing import NamedTuple

from pagecast.style.style import PageStyle


class Measure(NamedTuple):
    """How long lines may be: `box` pixels, the first of a paragraph `indent` less."""

    box: int
    indent: int = 0

    @property
    def narrowest(self) -> int:
        """The room that any line has at least."""
        return self.box - self.indent


class Frame(NamedTuple):
    """A style on pages of one size, in pixels.

    lefts: the first pixel of each column. cuts: where the page is cut into columns, half-way
    between two; ink beyond them is lost. height: of a column.
    """

    style: PageStyle
    size: tuple[int, int]
    lefts: tuple[int, ...]
    cuts: tuple[int, ...]
    top: int
    box: int
    height: int

    def line_height(self, font_size: int) -> int:
        """Return the distance from one line's top to the next."""
        return max(1, int(font_size * self.style.line_height))

    def measure(self, font_size: int) -> Measure:
        """Return how long lines may be."""
        return Measure(self.box, min(int(font_size * self.style.indent), self.box // 2))

    def rows(self, font_size: int) -> int:
        """Return how many lines a column has."""
        return self.height // self.line_height(font_size)

    def lines(self, font_size: int) -> int:
        """Return how many lines a page has."""
        return len(self.lefts) * self.rows(font_size)

    def pages(self, font_size: int, rendered_lines: int) -> int:
        """Return how many pages so many lines take, at least one."""
        return max(1, -(-rendered_lines // max(1, self.lines(font_size))))


def frame(style: PageStyle, px: int) -> Frame:
    """Return where lines go on pages whose longer side is `px` pixels.

    Raises:
      ValueError: it is negative.
    """
    if px < 0:
        raise ValueError(f"a page cannot be {px} pixels high or wide")
    width, height = style.page_size(px)
    top, right, bottom, left = (int(px * share) for share in style.margins)
    gap = int(px * style.column_gap)
    box = max(0, (width - left - right - gap * (style.columns - 1)) // style.columns)
    lefts = tuple(left + column * (box + gap) for column in range(style.columns))
    cuts = (0, *(start - gap // 2 for start in lefts[1:]), width)
    return Frame(style, (width, height), lefts, cuts, top, box, height - top - bottom)
