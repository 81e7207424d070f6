"""Drawing lines of glyphs by stamping masks, pixel for pixel as Pillow draws each line.

Pillow itself blends the glyphs of a line into one mask and then that mask onto the page. On bare
paper, glyph by glyph gives the same in black and white: black onto white is exact, and rounding is
symmetric (under ink `b`, the paper that `a` leaves, `255 - a`, becomes `255 - over(a, b)`, for
all values of 8 bits). Other colours are what each shade of gray stands for. Where a line meets ink
of lines above, the two may differ by a rounding, so the glyphs of such a line are put together
beforehand.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain, repeat
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageDraw

from pagecast.render.lines import InkedLine
from pagecast.style.style import Colour, PageStyle

if TYPE_CHECKING:
    from PIL._imaging import ImagingDraw

WHITE, BLACK = 255, 0


def draw_lines(size: tuple[int, int], lines: Sequence[InkedLine], style: PageStyle) -> Image.Image:
    """Return an image of a size, in the colours of a style, with lines drawn from the top down."""
    meets, inked_to = [], 0
    for line in lines:
        meets.append(line.top < inked_to)
        inked_to = max(inked_to, line.bottom)
    if style.painted != (WHITE, BLACK) and any(meets):
        return _draw_lines_whole(size, lines, style)
    image = Image.new("L", size, WHITE)
    drawing = ImageDraw.Draw(image).draw
    for line, meets_ink in zip(lines, meets, strict=True):
        if meets_ink and len(line.masks) > 1:
            drawing.draw_bitmap((0, line.top), _strip(line, size[0]).im, BLACK)
        else:
            _stamp(drawing, line)
    return image if style.painted == (WHITE, BLACK) else _coloured(image, style)


def _draw_lines_whole(
    size: tuple[int, int], lines: Sequence[InkedLine], style: PageStyle
) -> Image.Image:
    """Draw lines that meet, each as one mask: a second coat of paint is rounded once more."""
    paper, ink = style.painted
    image = Image.new(style.mode, size, paper)
    drawing = ImageDraw.Draw(image)
    for line in lines:
        drawing.bitmap((0, line.top), _strip(line, size[0]), fill=ink)
    return image


def _stamp(drawing: ImagingDraw, line: InkedLine) -> None:
    """Put black ink through each mask of a line at its place, cut at the image's edges."""
    places = zip(line.lefts, line.tops, strict=True)
    deque(map(drawing.draw_bitmap, places, line.masks, repeat(BLACK)), maxlen=0)  # a quick loop


def _strip(line: InkedLine, width: int) -> Image.Image:
    """Put the masks of a line into one, `width` px wide, as Pillow does."""
    strip = Image.new("L", (width, line.bottom - line.top), WHITE)
    tops = [top - line.top for top in line.tops]
    _stamp(ImageDraw.Draw(strip).draw, line._replace(tops=tops))
    return ImageChops.invert(strip)


def _coloured(image: Image.Image, style: PageStyle) -> Image.Image:
    """Return a black and white image, which is no more to be used, in the colours of a style."""
    bands = _shades(style.mode, *style.painted)
    if len(bands) == 1:
        return image.point(bands[0])
    # All bands at once: each gray as the number of a colour.
    image.putpalette(bytes(chain.from_iterable(zip(*bands, strict=True))))
    return image.convert("RGB")


@lru_cache(maxsize=1024)
def _shades(mode: str, paper: Colour, ink: Colour) -> list[list[int]]:
    """Return for each band of an image what each gray, 0 for full ink, is: painted by Pillow."""
    ramp = Image.frombytes("L", (256, 1), bytes(range(255, -1, -1)))
    painted = Image.new(mode, ramp.size, paper)
    ImageDraw.Draw(painted).bitmap((0, 0), ramp, fill=ink)
    return [list(band.tobytes()) for band in painted.split()]
