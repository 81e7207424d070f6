"""A page: one image of one context, what is known about it, and how to make it fast."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from PIL import Image

from pagecast.render.breaking import source
from pagecast.render.draw import draw_lines
from pagecast.render.fonts import default_font
from pagecast.render.layouts.harfbuzz.pages import HarfbuzzPages
from pagecast.render.layouts.pillow import PillowPages
from pagecast.render.lines import PlacedLine, SetIn, SetLines, largest_fit
from pagecast.style.frame import Frame, frame
from pagecast.style.style import PageStyle


class PageMetadata(NamedTuple):
    """How a text was set on a page; the `font_metadata` of a sample, one per vision mode.

    font_size: in pixels, 4 to 30.
    total_lines, rendered_lines: lines of the whole text, and of those the ones drawn.
    is_truncated: some lines did not fit below the others, so the page lacks the text's end.
    clipped_lines: lines wider than the box (a single word too long for it).
    missing_glyphs: characters of the text that are boxes or blank, as the font lacks them.

    >>> PageRenderer().render("Two words", 640).metadata.total_lines
    1
    """

    font_size: int
    total_lines: int
    rendered_lines: int
    is_truncated: bool
    clipped_lines: int
    missing_glyphs: int


class Page(NamedTuple):
    """An image of mode "L", or "RGB" where the style has colours, and its metadata.

    >>> image, metadata = PageRenderer().render("Two words", 640)
    >>> image.getextrema()
    (0, 255)
    """

    image: Image.Image
    metadata: PageMetadata


class Pages(NamedTuple):
    """The pages of one text, in order, at least one; and how it was set on them.

    >>> renderer = PageRenderer(PageStyle(size=20))
    >>> pages = next(renderer.render_pages("Many words. " * 200, [512]))
    >>> len(pages.images), pages.metadata.total_lines
    (4, 58)
    """

    images: tuple[Image.Image, ...]
    metadata: PageMetadata

    @property
    def image(self) -> Image.Image:
        """The first page."""
        return self.images[0]


class PageRenderer:
    """Makes pages of a style: a text and a size in, pages out; each as the oracle would draw it.

    >>> page = PageRenderer().render("Two words", 640)
    >>> page.image.size, page.image.mode, page.metadata.font_size
    ((640, 640), 'L', 30)

    Glyphs are kept between calls, within bounds. A renderer can be pickled and forked (only its
    style travels); it is for one thread at a time.

    Args:
      style: black on white, as large as fits, when None.

    Raises:
      OSError: Pillow cannot open a font.
      ValueError: this Pillow cannot do the style's layout, a library for it is not installed, or a
        font has no Unicode character map.
    """

    def __init__(self, style: PageStyle | None = None) -> None:
        self._style = style or PageStyle()
        self._frames: dict[int, Frame] = {}
        _, layout, line_break, largest = self._style.setting
        self._setter = (
            HarfbuzzPages(self.fonts, line_break)
            if layout == "harfbuzz"
            else PillowPages(self.fonts, layout, line_break, largest)
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return PageRenderer, (self._style,)

    @property
    def style(self) -> PageStyle:
        """The style of the pages."""
        return self._style

    @property
    def fonts(self) -> tuple[bytes, ...]:
        """The fonts, in the order in which they are asked for a character."""
        return self._style.fonts or (default_font(),)

    def with_style(self, style: PageStyle) -> PageRenderer:
        """Return a renderer of another style; with the same fonts and layout they share glyphs."""
        other = PageRenderer.__new__(PageRenderer)
        other._style, other._frames, other._setter = style, {}, self._setter
        is_like = style.setting[1:] == self._style.setting[1:] and other.fonts == self.fonts
        return other if is_like else PageRenderer(style)

    def render(self, text: str, px: int) -> Page:
        """Draw `text` on a page whose longer side is `px` pixels; the first page if it takes more.

        Words are what `str.split` gives; an empty text is an empty page at the largest size.
        """
        return next(self.render_sizes(text, [px]))

    def render_sizes(self, text: str, sizes: Iterable[int]) -> Iterator[Page]:
        """Yield a page of `text` for each size in pixels, as `render` does; quicker together."""
        for fitted, metadata in self._fit_sizes(text, sizes):
            yield Page(draw(fitted, 0), metadata)

    def render_pages(self, text: str, sizes: Iterable[int]) -> Iterator[Pages]:
        """Yield all pages that `text` takes for each size in pixels."""
        for fitted, metadata in self._fit_sizes(text, sizes):
            yield Pages(tuple(draw(fitted, page) for page in range(fitted.pages)), metadata)

    def draw(self, text: str, px: int, font_size: int | None = None, page: int = 0) -> Image.Image:
        """Return the image that `render` does, or a later one; quicker if `font_size` is known.

        Raises:
          IndexError: the text has no such page.
        """
        fitted = fit(self._prepare(text)[0], self._frame(px), font_size)
        if not 0 <= page < fitted.pages:
            raise IndexError(f"page {page} of a text that has {fitted.pages}")
        return draw(fitted, page)

    def describe_sizes(self, text: str, sizes: Iterable[int]) -> Iterator[PageMetadata]:
        """Yield the metadata of the pages that `render_sizes` would draw, without drawing them."""
        return (metadata for _, metadata in self._fit_sizes(text, sizes))

    def _fit_sizes(self, text: str, sizes: Iterable[int]) -> Iterator[tuple[Fitted, PageMetadata]]:
        set_in, missing = self._prepare(text)
        count = missing()
        for px in sizes:
            fitted = fit(set_in, self._frame(px))
            yield fitted, describe(fitted, count)

    def _prepare(self, text: str) -> tuple[SetIn, Callable[[], int]]:
        """Return how to set a text, and what counts the characters that no font shows."""
        return self._setter.prepare(source(text, self._style.newline))

    def _frame(self, px: int) -> Frame:
        if px not in self._frames:
            self._frames[px] = frame(self._style, px)
        return self._frames[px]


class Span(NamedTuple):
    """The words of a line, `after` not included; whether it begins and ends a paragraph."""

    first: int
    after: int
    begins: bool
    ends: bool


class Fitted(NamedTuple):
    """A text fitted to pages: the font size, the lines, and how many of them there is room for.

    lines: the first word of each line. pages: how many there are, at least one.
    """

    frame: Frame
    size: int
    set_text: SetLines
    lines: list[int]
    rendered: int
    pages: int

    def spans(self, lines: range) -> Iterator[Span]:
        """Yield what is on some of the lines."""
        starts, words = set(self.set_text.paragraphs), self.set_text.words
        ends = [*self.lines[lines.start + 1 : lines.stop + 1], words]
        for first, after in zip(self.lines[lines.start : lines.stop], ends, strict=False):
            yield Span(first, after, first in starts, after in starts or after == words)


def fit(set_in: SetIn, frame: Frame, known: int | None = None) -> Fitted:
    """Find the size and the lines of a text on the pages of a frame."""

    def lines_at(size: int, most: int | None = None) -> tuple[SetLines, list[int]]:
        measure = frame.measure(size)
        set_text = set_in(size, measure)
        return set_text, set_text.lines(measure, most)

    def fits(size: int) -> bool:
        most = frame.lines(size)
        return len(lines_at(size, most)[1]) <= most

    size = largest_fit(fits, frame.style.sizes, known)
    set_text, lines = lines_at(size)
    rendered = min(len(lines), frame.style.most_pages * frame.lines(size))
    return Fitted(frame, size, set_text, lines, rendered, frame.pages(size, rendered))


def draw(fitted: Fitted, page: int) -> Image.Image:
    """Draw a page of a text that is fitted."""
    frame, rows = fitted.frame, fitted.frame.rows(fitted.size)
    width, height = frame.size
    first = page * frame.lines(fitted.size)
    columns = []
    for column, (start, end) in enumerate(pairwise(frame.cuts)):
        number = len(frame.lefts) - 1 - column if fitted.set_text.is_rtl(0) else column
        lines = range(first + number * rows, min(first + (number + 1) * rows, fitted.rendered))
        marks = fitted.set_text.marks(list(place(fitted, lines, frame.lefts[column] - start)))
        columns.append(draw_lines((end - start, height), marks, frame.style))
    if len(columns) == 1:
        return columns[0]
    image = Image.new(frame.style.mode, (width, height))
    for strip, start in zip(columns, frame.cuts, strict=False):
        image.paste(strip, (start, 0))
    return image


def place(fitted: Fitted, lines: range, left: int) -> Iterator[PlacedLine]:
    """Yield where lines go in a column, whose first pixel is `left`."""
    frame, text = fitted.frame, fitted.set_text
    measure, height = frame.measure(fitted.size), frame.line_height(fitted.size)
    align = frame.style.align
    for row, (first, after, begins, ends) in enumerate(fitted.spans(lines)):
        indent = measure.indent if begins else 0
        room = measure.box - indent
        x, y = left + (0 if text.is_rtl(first) else indent), frame.top + row * height
        if first == after or align == "start" or (align == "justify" and ends):
            yield PlacedLine(first, after, x, y, height, room)
            continue
        spare = max(0, room - text.width(first, after))
        if align == "justify":
            yield PlacedLine(first, after, x, y, height, room, spare)
        else:
            yield PlacedLine(first, after, x + spare // 2, y, height, room - spare)


def describe(fitted: Fitted, missing: int) -> PageMetadata:
    """Return the metadata of pages whose text has `missing` characters without glyph."""
    text, measure = fitted.set_text, fitted.frame.measure(fitted.size)
    clipped = sum(
        text.is_wider(first, after, measure.narrowest if begins else measure.box)
        for first, after, begins, _ in fitted.spans(range(len(fitted.lines)))
        if after == first + 1  # only a word that has a line for itself can be wider
    )
    return PageMetadata(
        font_size=fitted.size,
        total_lines=len(fitted.lines),
        rendered_lines=fitted.rendered,
        is_truncated=fitted.rendered < len(fitted.lines),
        clipped_lines=clipped,
        missing_glyphs=missing,
    )
