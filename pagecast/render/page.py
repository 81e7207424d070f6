"""A page: one image of one context, what is known about it, and how to make it fast.

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

from pagecast.render.breaking import Unit, break_units, clusters, require_icu
from pagecast.render.characters import MissingGlyphs, covered_codepoints
from pagecast.render.faces import open_face
from pagecast.render.fallback import Fallback
from pagecast.render.fonts import default_font
from pagecast.render.glyphs import GlyphAtlas, Mask
from pagecast.render.layouts.harfbuzz.pages import HarfbuzzPages
from pagecast.render.layouts.raqm.raqm import ShapedText, raqm_text
from pagecast.render.layouts.raqm.shaper import Shaper, require_raqm
from pagecast.render.typeset import (
    FIRST_SIZE_TRIED,
    MARGIN,
    InkedLine,
    Text,
    largest_fit,
    line_height,
)
from pagecast.style import PageStyle

if TYPE_CHECKING:
    from PIL._imaging import ImagingDraw

PAPER, INK = 255, 0  # 8-bit gray
ENGINES = {"basic": ImageFont.Layout.BASIC, "raqm": ImageFont.Layout.RAQM}


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
    """A square 8-bit grayscale image (mode "L", black on white) and its metadata.

    >>> image, metadata = PageRenderer().render("Two words", 640)
    >>> image.getextrema()
    (0, 255)
    """

    image: Image.Image
    metadata: PageMetadata


class SetLines(Protocol):
    """A text set in type of one size; lines are lists of their first words' numbers."""

    def lines(self, box: int, most: int | None = None) -> list[int]:
        """Break the text into lines of `box` px, or give up with `most + 1` of them."""

    def clipped(self, firsts: list[int], box: int) -> int:
        """Count the lines wider than `box` px."""

    def wide(self, box: int) -> list[int]:
        """Return the words that are wider than `box` px by themselves."""

    def marks(self, firsts: list[int], rendered: int, margin: int) -> list[InkedLine]:
        """Return what to stamp for the first `rendered` lines, those without ink left out."""


SetIn = Callable[[int, int], SetLines]  # a text in type of so many px, for a box of so many
ALL = -1  # what is kept of glyphs for texts that take more than one font


class PageRenderer:
    """Makes pages: a text and a size in, a page out; each as the oracle would draw it.

    >>> page = PageRenderer().render("Two words", 640)
    >>> page.image.size, page.image.mode, page.metadata.font_size
    ((640, 640), 'L', 30)

    Glyphs are kept between calls, within bounds. A renderer can be pickled and forked (only the
    style travels); it is for one thread at a time.

    Args:
      style: how pages look; the default style when None.

    Raises:
      OSError: Pillow cannot open a font.
      ValueError: a layout or line break that cannot be done here, or a font without a Unicode
        character map.
    """

    def __init__(self, style: PageStyle | None = None) -> None:
        self._style = style or PageStyle()
        self._fonts = self._style.fonts or (default_font(),)
        self._layout, self._line_break = self._style.layout, self._style.line_break
        self._kept: dict[int, GlyphAtlas | Shaper] = {}
        self._shaped: HarfbuzzPages | None = None
        if self._layout == "harfbuzz":
            self._shaped = HarfbuzzPages(self._fonts, self._line_break)
            return
        if self._line_break == "unicode":
            require_icu()
        if self._layout == "raqm":
            require_raqm()
        for each in self._fonts:
            open_face(each, FIRST_SIZE_TRIED, ENGINES[self._layout])
        self._fallback = Fallback([covered_codepoints(each) for each in self._fonts])
        self._missing = MissingGlyphs(self._fonts, self._layout)

    def __reduce__(self) -> tuple[type[PageRenderer], tuple[PageStyle]]:
        return PageRenderer, (self._style,)

    @property
    def style(self) -> PageStyle:
        """How its pages look."""
        return self._style

    def with_style(self, style: PageStyle) -> PageRenderer:
        """Return a renderer of pages of another style.

        Where fonts, layout and line break are the same it shares what is kept of glyphs, and costs
        nothing to make; the two are for one thread together then.
        """
        if (style.fonts or (default_font(),), style.layout, style.line_break) != (
            self._fonts,
            self._layout,
            self._line_break,
        ):
            return type(self)(style)
        other = object.__new__(type(self))  # `copy` would make it from its style alone
        other.__dict__ |= {**self.__dict__, "_style": style}
        return other

    @property
    def fonts(self) -> tuple[bytes, ...]:
        """The fonts, in the order in which they are asked for a character."""
        return self._fonts

    def render(self, text: str, px: int) -> Page:
        """Draw `text` as black words on a white square of `px` pixels, as large as fits.

        Words are what `str.split` gives; an empty text is an empty page at the largest size.
        """
        return next(self.render_sizes(text, [px]))

    def render_sizes(self, text: str, sizes: Iterable[int]) -> Iterator[Page]:
        """Yield a page of `text` for each size in pixels, as `render` does; quicker together."""
        set_in, missing = self._prepare(text)
        for px in sizes:
            page = fit(set_in, px)
            yield Page(draw(page), describe(page, missing))

    def draw(self, text: str, px: int, font_size: int | None = None) -> Image.Image:
        """Return the image that `render` does; quicker if its `font_size` is known."""
        set_in = self._shaped.prepare(text)[0] if self._shaped else self._set_in(text)
        return draw(fit(set_in, px, font_size))

    def describe_sizes(self, text: str, sizes: Iterable[int]) -> Iterator[PageMetadata]:
        """Yield the metadata of the pages that `render_sizes` would draw, without drawing them."""
        set_in, missing = self._prepare(text)
        for px in sizes:
            yield describe(fit(set_in, px), missing)

    def _prepare(self, text: str) -> tuple[SetIn, int]:
        """Return how to set a text, and how many of its characters no font shows."""
        if self._shaped is not None:
            return self._shaped.prepare(text)
        return self._set_in(text), self._missing.count(text)

    def _set_in(self, text: str) -> SetIn:
        words = text.split()
        whole = " ".join(words)
        owners = self._fallback.owners(whole) if len(self._fonts) > 1 else [0]
        used = set(owners) or {0}
        glyphs = self._glyphs_for(used.pop() if len(used) == 1 else ALL)

        def text_of(words: list[str], spaced: list[int] | None) -> Text | ShapedText:
            if isinstance(glyphs, GlyphAtlas):
                return Text(words, glyphs, spaced, owners if glyphs.is_mixed else None)
            return raqm_text(words, glyphs, spaced)

        # What is set at a size is kept here and not by the text: it refers to the text, and such a
        # circle would keep a page's worth of tables until the garbage collector comes by.
        if self._line_break == "spaces":
            set_at = cached_at(text_of(words, None))
            return lambda size, _: set_at(size)
        return set_broken(whole, text_of)

    def _glyphs_for(self, font: int) -> GlyphAtlas | Shaper:
        """Return what is kept for texts that are drawn by one font alone, or by `ALL`."""
        kept = self._kept.get(font)
        if kept is None or kept.is_full():
            if self._layout == "basic":
                kept = GlyphAtlas(self._fonts if font == ALL else self._fonts[font])
            else:
                kept = Shaper(self._fonts[0])
            self._kept[font] = kept
        return kept

    @property
    def _glyphs(self) -> GlyphAtlas | Shaper | None:
        """What is kept for texts that are drawn by the first font alone."""
        return self._kept.get(0)


def cached_at(text: Text | ShapedText) -> Callable[[int], SetLines]:
    """Return a text's `at`, which sets it in type of a size, once a size."""

    @cache
    def set_at(size: int) -> SetLines:
        return text.at(size)

    return set_at


def set_broken(
    text: str, text_of: Callable[[list[str], list[int] | None], Text | ShapedText]
) -> SetIn:
    """Return how to set a text whose lines may end where the rules of Unicode let them.

    Units that are wider than the box are broken into grapheme clusters.
    """

    def text_of_units(units: list[Unit]) -> Text | ShapedText:
        words = [text[start:end] for start, end in units]
        ends = [end for _, end in units[:-1]]
        gaps = [start - end for (start, _), end in zip(units[1:], ends, strict=True)]
        return text_of(words, [*gaps, 0][: len(units)])

    units = break_units(text, "unicode")
    set_at = cached_at(text_of_units(units))

    @cache
    def set_in(size: int, box: int) -> SetLines:
        whole = set_at(size)
        if not (wide := set(whole.wide(box))):
            return whole
        broken: list[Unit] = []
        for number, unit in enumerate(units):
            broken += clusters(text, unit) if number in wide else [unit]
        return text_of_units(broken).at(size)

    return set_in


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


def fit(set_in: SetIn, px: int, known: int | None = None) -> Fitted:
    """Find the size and the lines of a text on a page of `px` pixels."""
    margin = int(px * MARGIN)
    box = px - 2 * margin

    def fits(size: int) -> bool:
        most = box // line_height(size)
        return len(set_in(size, box).lines(box, most)) <= most

    size = largest_fit(fits, known)
    set_text = set_in(size, box)
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
