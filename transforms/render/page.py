"""A page: one picture of one context, what is known about it, and how to make it fast.

`PageRenderer` makes the pages that the oracle defines, pixel for pixel, by stamping masks of
glyphs. Pillow itself blends the glyphs of a line into one mask and then that mask onto the page.
On bare paper, glyph by glyph gives the same: black onto white is exact, and rounding is
symmetric (under ink `b`, the paper that `a` leaves, `255 - a`, becomes `255 - over(a, b)`, for
all values of 8 bits). Where a line meets ink of lines above, the two may differ by a rounding,
so the glyphs of such a line are put together beforehand.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple, Protocol

from PIL import Image, ImageChops, ImageDraw, ImageFont

from transforms.render.characters import covered_codepoints, missing_glyphs
from transforms.render.faces import open_face
from transforms.render.fonts import default_font
from transforms.render.glyphs import GlyphAtlas, Mask
from transforms.render.raqm import ShapedText, Shaper, require_raqm
from transforms.render.typeset import (
    FIRST_SIZE_TRIED,
    MARGIN,
    InkedLine,
    Text,
    largest_fit,
    line_height,
)

if TYPE_CHECKING:
    from PIL._imaging import ImagingDraw

PAPER, INK = 255, 0  # 8-bit gray
LAYOUTS = {"basic": ImageFont.Layout.BASIC, "raqm": ImageFont.Layout.RAQM}


class PageMetadata(NamedTuple):
    """How a text was set on a page; the `font_metadata` of a sample, one per vision mode.

    font_size: in pixels, 4 to 30.
    total_lines, rendered_lines: lines of the whole text, and of those the ones drawn.
    is_truncated: some lines did not fit below the others, so the page lacks the text's end.
    clipped_lines: lines wider than the box (a single word too long for it).
    missing_glyphs: characters of the text that the font cannot show.
    """

    font_size: int
    total_lines: int
    rendered_lines: int
    is_truncated: bool
    clipped_lines: int
    missing_glyphs: int


class Page(NamedTuple):
    """A square 8-bit grayscale picture (mode "L", black on white) and its metadata."""

    image: Image.Image
    metadata: PageMetadata


class SetLines(Protocol):
    """A text set in type of one size; lines are lists of their first words' numbers."""

    def lines(self, box: int, most: int | None = None) -> list[int]:
        """Break the text into lines of `box` px, or give up with `most + 1` of them."""

    def clipped(self, firsts: list[int], box: int) -> int:
        """Count the lines wider than `box` px."""

    def marks(self, firsts: list[int], rendered: int, margin: int) -> list[InkedLine]:
        """Return what to stamp for the first `rendered` lines, those without ink left out."""


SetAt = Callable[[int], SetLines]  # a text in type of so many px


class PageRenderer:
    """Makes pages: a text and a size in, a page out; each as the oracle would draw it.

        image, metadata = PageRenderer().render("Two words", 640)

    Glyphs are kept between calls, within bounds. A renderer can be pickled and forked (only font
    and layout travel); it is for one thread at a time.

    Args:
      font: the bytes of a TrueType or OpenType file; DejaVu Sans 2.37 when None.
      layout: "basic", or "raqm" for scripts that need shaping and bidi.

    Raises:
      OSError: Pillow cannot open the font.
      ValueError: unknown layout, one that this Pillow cannot do, or a font without a Unicode
        character map.
    """

    def __init__(self, font: bytes | None = None, layout: str = "basic") -> None:
        if layout not in LAYOUTS:
            raise ValueError(f"layout {layout!r} is not one of {', '.join(LAYOUTS)}")
        if layout == "raqm":
            require_raqm()
        self._font = default_font() if font is None else font
        self._layout = layout
        open_face(self._font, FIRST_SIZE_TRIED, LAYOUTS[layout])
        covered_codepoints(self._font)
        self._glyphs: GlyphAtlas | Shaper | None = None

    def __reduce__(self) -> tuple[type[PageRenderer], tuple[bytes, str]]:
        return PageRenderer, (self._font, self._layout)

    def render(self, text: str, px: int) -> Page:
        """Draw `text` as black words on a white square of `px` pixels, as large as fits.

        Words are what `str.split` gives; an empty text is an empty page at the largest size.
        """
        return next(self.render_sizes(text, [px]))

    def render_sizes(self, text: str, sizes: Iterable[int]) -> Iterator[Page]:
        """Yield a page of `text` for each size in pixels, as `render` does; quicker together."""
        set_at = self._prepare(text.split())
        missing = missing_glyphs(text, covered_codepoints(self._font))
        for px in sizes:
            page = fit(set_at, px)
            yield Page(draw(page), describe(page, missing))

    def describe_sizes(self, text: str, sizes: Iterable[int]) -> Iterator[PageMetadata]:
        """Yield the metadata of the pages that `render_sizes` would draw, without drawing them."""
        set_at = self._prepare(text.split())
        missing = missing_glyphs(text, covered_codepoints(self._font))
        for px in sizes:
            yield describe(fit(set_at, px), missing)

    def _prepare(self, words: list[str]) -> SetAt:
        if self._glyphs is None or self._glyphs.is_full():
            kind = GlyphAtlas if self._layout == "basic" else Shaper
            self._glyphs = kind(self._font)
        # What is set at a size is kept here and not by the text: it refers to the text, and such a
        # circle would keep a page's worth of tables until the garbage collector comes by.
        if isinstance(self._glyphs, GlyphAtlas):
            return cache(Text(words, self._glyphs).at)
        return cache(ShapedText(words, self._glyphs).at)


class Fitted(NamedTuple):
    """A text fitted to a page of `px` pixels: the font size, the lines, and how many of them fit.

    lines: the first word of each line.
    """

    px: int
    margin: int
    box: int
    size: int
    set_text: SetLines
    lines: list[int]
    rendered: int


def fit(set_at: SetAt, px: int) -> Fitted:
    """Find the size and the lines of a text on a page of `px` pixels."""
    margin = int(px * MARGIN)
    box = px - 2 * margin

    def fits(size: int) -> bool:
        most = box // line_height(size)
        return len(set_at(size).lines(box, most)) <= most

    size = largest_fit(fits)
    set_text = set_at(size)
    lines = set_text.lines(box)
    rendered = min(len(lines), box // line_height(size))
    return Fitted(px, margin, box, size, set_text, lines, rendered)


def draw(page: Fitted) -> Image.Image:
    """Draw the lines of a page that fit."""
    image = Image.new("L", (page.px, page.px), PAPER)
    draw_lines(image, page.set_text.marks(page.lines, page.rendered, page.margin))
    return image


def describe(page: Fitted, missing: int) -> PageMetadata:
    """Return the metadata of a page whose text has `missing` characters without glyph."""
    return PageMetadata(
        font_size=page.size,
        total_lines=len(page.lines),
        rendered_lines=page.rendered,
        is_truncated=page.rendered < len(page.lines),
        clipped_lines=page.set_text.clipped(page.lines, page.box),
        missing_glyphs=missing,
    )


def draw_lines(image: Image.Image, lines: list[InkedLine]) -> None:
    """Draw lines from the top down, one mask at a time wherever that is exact."""
    drawing = ImageDraw.Draw(image).draw
    inked_to = 0
    for line in lines:
        if line.top < inked_to and len(line.masks) > 1:
            drawing.draw_bitmap((0, line.top), joined(line, image.width), INK)
        else:
            stamp(drawing, line)
        inked_to = max(inked_to, line.bottom)


def stamp(drawing: ImagingDraw, line: InkedLine) -> None:
    """Put ink through each mask of a line at its place, cut at the image's edges."""
    deque(map(drawing.draw_bitmap, line.places, line.masks, repeat(INK)), maxlen=0)  # a quick loop


def joined(line: InkedLine, width: int) -> Mask:
    """Put the masks of a line into one, `width` px wide, as Pillow does."""
    strip = Image.new("L", (width, line.bottom - line.top), PAPER)
    places = [(x, y - line.top) for x, y in line.places]
    stamp(ImageDraw.Draw(strip).draw, line._replace(places=places))
    return ImageChops.invert(strip).im
