"""The rule of a page, written as plainly as it is stated: the definition all renderers must equal.

Slow (seconds for a 1000-token page) and meant to be read. Everything goes through Pillow's own
measuring and drawing; nothing is cached, bounded or guessed.
"""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image, ImageDraw, ImageFont

from transforms.render.characters import covered_codepoints, missing_glyphs
from transforms.render.faces import open_face
from transforms.render.fonts import default_font
from transforms.render.page import Page, PageMetadata

MARGIN = 0.05  # of the page's side, on all four sides
LINE_SPACING = 1.2  # line height over font size
MIN_FONT_SIZE, MAX_FONT_SIZE = 4, 30  # pixels
PAPER, INK = 255, 0  # 8-bit gray
LAYOUT_ENGINES = {"basic": ImageFont.Layout.BASIC, "raqm": ImageFont.Layout.RAQM}


def line_height(font_size: int) -> int:
    """Return the distance in pixels from one line's top to the next."""
    return int(font_size * LINE_SPACING)


def wrap(words: list[str], box: int, width: Callable[[str], int]) -> list[list[str]]:
    """Break words into lines, greedily: a word joins a line while the line fits into `box` pixels.

    A word wider than the box stands alone on its line.
    """
    lines: list[list[str]] = []
    for word in words:
        if lines and width(" ".join([*lines[-1], word])) <= box:
            lines[-1].append(word)
        else:
            lines.append([word])
    return lines


def largest_fit(fits: Callable[[int], bool]) -> int:
    """Return the font size that a binary search for the rightmost fit ends at.

    `fits` need not be monotonic, so the order of the questions is part of the rule. The smallest
    size is never asked about: it is the answer when nothing larger fits.
    """
    low, high = MIN_FONT_SIZE, MAX_FONT_SIZE
    while low < high:
        mid = (low + high + 1) // 2
        if fits(mid):
            low = mid
        else:
            high = mid - 1
    return low


class OracleRenderer:
    """The plain renderer: a text and a size in, a page out.

    Args:
      font: the bytes of a TrueType or OpenType file; DejaVu Sans 2.37 when None.
      layout: "basic" or "raqm" (shaping and bidi, where Pillow has libraqm). Always named, since
        Pillow's own default depends on the libraries of the machine.

    Raises:
      OSError: Pillow cannot open the font.
      ValueError: unknown layout, or a font without a Unicode character map.
    """

    def __init__(self, font: bytes | None = None, layout: str = "basic") -> None:
        if layout not in LAYOUT_ENGINES:
            raise ValueError(f"layout {layout!r} is not one of {', '.join(LAYOUT_ENGINES)}")
        self._font = default_font() if font is None else font
        self._engine = LAYOUT_ENGINES[layout]
        open_face(self._font, MAX_FONT_SIZE, self._engine)
        self._covered = covered_codepoints(self._font)

    def render(self, text: str, px: int) -> Page:
        """Draw `text` as black words on a white square of `px` pixels, as large as fits.

        Words are what `str.split` gives; an empty text is an empty page at the largest size.
        """
        margin = int(px * MARGIN)
        box = px - 2 * margin
        words = text.split()

        def face(size: int) -> ImageFont.FreeTypeFont:
            return open_face(self._font, size, self._engine)

        def lines_at(size: int) -> list[str]:
            measure = face(size)

            def width(line: str) -> int:
                left, _, right, _ = measure.getbbox(line)
                return int(right - left)

            return [" ".join(line) for line in wrap(words, box, width)]

        def fits(size: int) -> bool:
            return len(lines_at(size)) * line_height(size) <= box

        size = largest_fit(fits)
        lines = lines_at(size)
        font = face(size)
        image = Image.new("L", (px, px), PAPER)
        draw = ImageDraw.Draw(image)
        rendered, y = 0, margin
        for line in lines:
            if y + line_height(size) > px - margin:
                break
            draw.text((margin, y), line, fill=INK, font=font)
            rendered, y = rendered + 1, y + line_height(size)

        clipped = 0
        for line in lines:
            left, _, right, _ = font.getbbox(line)
            clipped += right - left > box
        metadata = PageMetadata(
            font_size=size,
            total_lines=len(lines),
            rendered_lines=rendered,
            is_truncated=rendered < len(lines),
            clipped_lines=clipped,
            missing_glyphs=missing_glyphs(text, self._covered),
        )
        return Page(image, metadata)
