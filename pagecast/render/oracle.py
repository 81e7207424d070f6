"""The rule of a page, written as plainly as it is stated: the definition all renderers must equal.

Slow (seconds for a 1000-token page) and meant to be read. Everything goes through Pillow's own
measuring and drawing; nothing is cached, bounded or guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from PIL import Image, ImageChops, ImageDraw, ImageFont

from pagecast.render.breaking import Unit, break_units, clusters
from pagecast.render.characters import MissingGlyphs, covered_codepoints
from pagecast.render.faces import open_face
from pagecast.render.fallback import Fallback, runs
from pagecast.render.fonts import default_font
from pagecast.render.page import Page, PageMetadata
from pagecast.style import PageStyle

Piece = TypeVar("Piece")

MARGIN = 0.05  # of the page's side, on all four sides
LINE_SPACING = 1.2  # line height over font size
MIN_FONT_SIZE, MAX_FONT_SIZE = 4, 30  # pixels
PAPER, INK = 255, 0  # 8-bit gray
LAYOUT_ENGINES = {"basic": ImageFont.Layout.BASIC, "raqm": ImageFont.Layout.RAQM}


def line_height(font_size: int) -> int:
    """Return the distance in pixels from one line's top to the next."""
    return int(font_size * LINE_SPACING)


def wrap(pieces: list[Piece], box: int, width: Callable[[list[Piece]], int]) -> list[list[Piece]]:
    """Break a text into lines, greedily: a piece joins a line while that fits into `box` pixels.

    A piece wider than the box stands alone on its line.
    """
    lines: list[list[Piece]] = []
    for piece in pieces:
        if lines and width([*lines[-1], piece]) <= box:
            lines[-1].append(piece)
        else:
            lines.append([piece])
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
      style: how pages look, of layout "basic", or "raqm" where Pillow has libraqm; the layout is
        always named, since Pillow's own default depends on the libraries of the machine.

    Raises:
      OSError: Pillow cannot open the font.
      ValueError: another layout, or a font without a Unicode character map.
    """

    def __init__(self, style: PageStyle | None = None) -> None:
        style = style or PageStyle()
        if style.layout not in LAYOUT_ENGINES:
            raise ValueError(f"layout {style.layout!r} is not one of {', '.join(LAYOUT_ENGINES)}")
        self._fonts = list(style.fonts) or [default_font()]
        self._layout = style.layout
        self._line_break = style.line_break
        for each in self._fonts:
            open_face(each, MAX_FONT_SIZE, LAYOUT_ENGINES[style.layout])
        self._fallback = Fallback([covered_codepoints(each) for each in self._fonts])
        self._missing = MissingGlyphs(self._fonts, style.layout)

    def render(self, text: str, px: int) -> Page:
        """Draw `text` as black words on a white square of `px` pixels, as large as fits.

        Words are what `str.split` gives; an empty text is an empty page at the largest size.
        """
        margin = int(px * MARGIN)
        box = px - 2 * margin
        words = " ".join(text.split())
        owners = self._fallback.owners(words)

        # Of a text that one font draws alone, the others do not even decide the baseline.
        used = set(owners) if len(set(owners)) == 1 else range(len(self._fonts))

        def lines_at(size: int) -> list[Line]:
            engine = LAYOUT_ENGINES[self._layout]
            faces = {n: open_face(self._fonts[n], size, engine) for n in used}

            def line_of(units: list[Unit]) -> Line:
                first, last = units[0].start, units[-1].end
                if len(faces) == 1:
                    return LineOfOneFont(words[first:last], *faces.values())
                return LineOfFonts(words[first:last], owners[first:last], faces)

            def width(units: list[Unit]) -> int:
                left, right = line_of(units).sides()
                return right - left

            units = break_units(words, self._line_break)
            if self._line_break == "unicode":
                units = [
                    piece
                    for unit in units
                    for piece in ([unit] if width([unit]) <= box else clusters(words, unit))
                ]
            return [line_of(line) for line in wrap(units, box, width)]

        def fits(size: int) -> bool:
            return len(lines_at(size)) * line_height(size) <= box

        size = largest_fit(fits)
        lines = lines_at(size)
        image = Image.new("L", (px, px), PAPER)
        rendered, y = 0, margin
        for line in lines:
            if y + line_height(size) > px - margin:
                break
            line.draw(image, margin, y)
            rendered, y = rendered + 1, y + line_height(size)

        clipped = 0
        for line in lines:
            left, right = line.sides()
            clipped += right - left > box
        metadata = PageMetadata(
            font_size=size,
            total_lines=len(lines),
            rendered_lines=rendered,
            is_truncated=rendered < len(lines),
            clipped_lines=clipped,
            missing_glyphs=self._missing.count(text),
        )
        return Page(image, metadata)


class LineOfOneFont(NamedTuple):
    """A line as Pillow lays it out."""

    text: str
    face: ImageFont.FreeTypeFont

    def sides(self) -> tuple[int, int]:
        """Return the first pixel of the line, and the one after its last."""
        left, _, right, _ = self.face.getbbox(self.text)
        return int(left), int(right)

    def draw(self, image: Image.Image, x: int, y: int) -> None:
        """Draw the line with its top left corner at a pixel."""
        ImageDraw.Draw(image).text((x, y), self.text, fill=INK, font=self.face)


class Placed(NamedTuple):
    """A part of a line in one font, and the pixel of the line where it starts."""

    x: int
    text: str
    face: ImageFont.FreeTypeFont


class LineOfFonts(NamedTuple):
    """A line in several fonts: parts side by side on the baseline of the first font.

    Each part starts at the pixel nearest to where the pen stands, in 1/64 px.
    """

    text: str
    owners: list[int]
    faces: dict[int, ImageFont.FreeTypeFont]

    def parts(self) -> Iterator[Placed]:
        """Yield each character where it stands among those of its font beside it."""
        start = 0.0
        for owner, first, last in runs(self.owners):
            face, run = self.faces[owner], self.text[first:last]
            for i, character in enumerate(run):
                pen = start + face.getlength(run[: i + 1]) - face.getlength(character)
                yield Placed(nearest_pixel(pen), character, face)
            start += face.getlength(run)

    def sides(self) -> tuple[int, int]:
        """Return the first pixel of the line, and the one after its last."""
        first, last = 0, 0
        for x, text, face in self.parts():
            left, _, right, _ = face.getbbox(text)
            first, last = min(first, x + int(left)), max(last, x + int(right))
        return first, last

    def draw(self, image: Image.Image, x: int, y: int) -> None:
        """Draw the parts on a sheet of the page's size, and then print that."""
        sheet = Image.new("L", image.size, PAPER)
        baseline = y + self.faces[0].getmetrics()[0]
        for start, text, face in self.parts():
            ImageDraw.Draw(sheet).text(
                (x + start, baseline), text, fill=INK, font=face, anchor="ls"
            )
        ImageDraw.Draw(image).bitmap((0, 0), ImageChops.invert(sheet), fill=INK)


Line = LineOfOneFont | LineOfFonts


def nearest_pixel(position: float) -> int:
    """Return the pixel that a pen position, a multiple of 1/64 px, is rounded to: halves go up."""
    return (round(position * 64) + 32) >> 6
