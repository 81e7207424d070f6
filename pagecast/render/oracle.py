"""The rule of a page, written as plainly as it is stated: the definition all renderers must equal.

Slow (seconds for a 1000-token page) and meant to be read. Everything goes through Pillow's own
measuring and drawing; nothing that it answers is kept, bounded or guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol, TypeVar

from PIL import Image, ImageChops, ImageDraw, ImageFont

from pagecast.render.breaking import Source, Unit, break_units, clusters, source
from pagecast.render.fonts import default_font
from pagecast.render.fonts.characters import MissingGlyphs, covered_codepoints
from pagecast.render.fonts.faces import Faces, open_face
from pagecast.render.fonts.fallback import Fallback, runs
from pagecast.render.page import Page, PageMetadata, Pages
from pagecast.style.style import PageStyle

Piece = TypeVar("Piece")
Ink = int | str  # as Pillow takes colours

PAPER, INK = 255, 0  # of a sheet that shows where ink goes: 8-bit gray
LAYOUT_ENGINES = {"basic": ImageFont.Layout.BASIC, "raqm": ImageFont.Layout.RAQM}


def wrap(
    pieces: list[Piece], first_box: int, box: int, width: Callable[[list[Piece]], int]
) -> list[list[Piece]]:
    """Break a paragraph into lines, greedily: a piece joins a line while that fits into its box.

    A piece wider than the box stands alone on its line.
    """
    lines: list[list[Piece]] = []
    for piece in pieces:
        room = first_box if len(lines) == 1 else box
        if lines and width([*lines[-1], piece]) <= room:
            lines[-1].append(piece)
        else:
            lines.append([piece])
    return lines or [[]]


def largest_fit(fits: Callable[[int], bool], low: int, high: int) -> int:
    """Return the font size that a binary search for the rightmost fit ends at.

    `fits` need not be monotonic, so the order of the questions is part of the rule. The smallest
    size is never asked about: it is the answer when nothing larger fits.
    """
    while low < high:
        mid = (low + high + 1) // 2
        if fits(mid):
            low = mid
        else:
            high = mid - 1
    return low


class Typesetting(Protocol):
    """A text as an oracle sets it: lines are lists of the units on them.

    source: what is set.
    """

    source: Source

    def width(self, line: list[Unit], size: int) -> int:
        """Return the width of a line in pixels."""

    def is_rtl(self, paragraph: int) -> bool:
        """Tell whether a paragraph runs from right to left."""

    def draw(self, image: Image.Image, line: Line, size: int, ink: Ink) -> None:
        """Draw a line."""


def units_of(source: Source, line_break: str, is_wide: Callable[[Unit], bool]) -> list[list[Unit]]:
    """Return the units of each paragraph, by Unicode's rules those that are wide in clusters."""
    found = []
    for start, text in zip(source.starts, source.paragraphs(), strict=True):
        units = [Unit(start + a, start + b) for a, b in break_units(text, line_break)]
        if line_break == "unicode":
            units = [
                piece
                for unit in units
                for piece in (clusters(source.text, unit) if is_wide(unit) else [unit])
            ]
        found.append(units)
    return found


class Line(NamedTuple):
    """A line, and where on a page it goes.

    ends: whether it is the last one of its paragraph. x, y: its top left corner, in pixels.
    height: of the line. room: from its left to where it may end. extra: what its spaces take
    beyond what they do by themselves.
    """

    units: list[Unit]
    paragraph: int
    begins: bool
    ends: bool
    x: int = 0
    y: int = 0
    height: int = 0
    room: int = 0
    extra: int = 0


def draw_pages(style: PageStyle, px: int, text: Typesetting, missing: int) -> Pages:
    """Draw a text on pages of a style, whose longer side is `px` pixels."""
    longer = max(style.shape)
    width, height = (max(min(1, px), round(px * side / longer)) for side in style.shape)
    top, right, bottom, left = (int(px * margin) for margin in style.margins)
    gap = int(px * style.column_gap)
    box = max(0, (width - left - right - gap * (style.columns - 1)) // style.columns)

    def line_height(size: int) -> int:
        return max(1, int(size * style.line_height))

    def indent(size: int) -> int:
        return min(int(size * style.indent), box // 2)

    def lines_at(size: int) -> list[Line]:
        lines = []
        first_box = box - indent(size)
        paragraphs = units_of(
            text.source, style.line_break, lambda unit: text.width([unit], size) > first_box
        )
        for number, units in enumerate(paragraphs):
            wrapped = wrap(units, first_box, box, lambda line: text.width(line, size))
            for n, line in enumerate(wrapped):
                lines.append(Line(line, number, n == 0, n == len(wrapped) - 1))
        return lines

    def rows(size: int) -> int:
        return (height - top - bottom) // line_height(size)

    low, high = style.sizes
    size = largest_fit(lambda size: len(lines_at(size)) <= style.columns * rows(size), low, high)
    lines = lines_at(size)
    room = {n: box - indent(size) * line.begins for n, line in enumerate(lines)}

    paper, ink = (
        colour if isinstance(colour, str) or style.mode == "L" else "#" + 3 * f"{colour:02x}"
        for colour in (style.paper, style.ink)
    )
    is_rtl = next((text.is_rtl(line.paragraph) for line in lines if line.units), False)
    on_page = style.columns * rows(size)
    rendered = min(len(lines), on_page * style.most_pages)
    images = []
    for first in range(0, rendered, on_page) if rendered else [0]:
        image = Image.new(style.mode, (width, height), paper)
        for column in range(style.columns):
            number = style.columns - 1 - column if is_rtl else column
            start = left + column * (box + gap)
            # Ink of a column ends half-way to the next one.
            cut = 0 if column == 0 else start - gap // 2
            end = width if column == style.columns - 1 else start + box + gap - gap // 2
            strip = Image.new(style.mode, (end - cut, height), paper)
            for row in range(rows(size)):
                n = first + number * rows(size) + row
                if n < rendered and lines[n].units:
                    line = lines[n]._replace(
                        x=start - cut,
                        y=top + row * line_height(size),
                        height=line_height(size),
                        room=room[n],
                    )
                    if not text.is_rtl(line.paragraph):
                        line = line._replace(x=line.x + box - line.room)
                    spare = max(0, line.room - text.width(line.units, size))
                    if style.align == "center":
                        line = line._replace(x=line.x + spare // 2, room=line.room - spare)
                    if style.align == "justify" and not line.ends:
                        line = line._replace(extra=spare)
                    text.draw(strip, line, size, ink)
            image.paste(strip, (cut, 0))
        images.append(image)
    metadata = PageMetadata(
        font_size=size,
        total_lines=len(lines),
        rendered_lines=rendered,
        is_truncated=rendered < len(lines),
        clipped_lines=sum(
            bool(line.units) and text.width(line.units, size) > room[n]
            for n, line in enumerate(lines)
        ),
        missing_glyphs=missing,
    )
    return Pages(tuple(images), metadata)


class OracleRenderer:
    """The plain renderer of basic layout and of libraqm: a text and a size in, pages out.

    Raises:
      OSError: Pillow cannot open the font.
      ValueError: another layout, or a font without a Unicode character map.
    """

    def __init__(self, style: PageStyle | None = None) -> None:
        self.style = style or PageStyle()
        if self.style.layout not in LAYOUT_ENGINES:
            raise ValueError(
                f"layout {self.style.layout!r} is not one of {', '.join(LAYOUT_ENGINES)}"
            )
        self.fonts = self.style.fonts or (default_font(),)
        self.engine = LAYOUT_ENGINES[self.style.layout]
        for each in self.fonts:
            open_face(each, 30, self.engine)
        self.fallback = Fallback([covered_codepoints(each) for each in self.fonts])
        self._missing = MissingGlyphs(self.fonts, self.style.layout)

    def render(self, text: str, px: int) -> Page:
        """Draw the first page of a text."""
        pages = self.pages(text, px)
        return Page(pages.image, pages.metadata)

    def pages(self, text: str, px: int) -> Pages:
        """Draw a text on pages whose longer side is `px` pixels.

        Words are what `str.split` gives; an empty text is an empty page at the largest size.
        """
        by_pillow = TextByPillow(self, source(text, self.style.newline))
        return draw_pages(self.style, px, by_pillow, self._missing.count(by_pillow.source.text))


class TextByPillow:
    """A text whose lines Pillow lays out, one by one."""

    def __init__(self, renderer: OracleRenderer, source: Source) -> None:
        self.source, self._text = source, source.text
        self._owners = renderer.fallback.owners(self._text)
        used = set(self._owners)
        # Of a text that one font draws alone, the others do not even decide the baseline.
        shown = used if len(used) == 1 else range(len(renderer.fonts))
        # Opened for each text, so that none is drawn otherwise for what was drawn before it.
        self._faces = {n: Faces(renderer.fonts[n], renderer.engine) for n in shown}

    def width(self, line: list[Unit], size: int) -> int:
        """Return the width of a line in pixels."""
        left, right = self._line(line[0].start, line[-1].end, size).sides()
        return right - left

    def is_rtl(self, paragraph: int) -> bool:
        """Tell whether a paragraph runs from right to left: all lines start at the left."""
        return False

    def draw(self, image: Image.Image, line: Line, size: int, ink: Ink) -> None:
        """Draw a line; if spaces take more, each word by itself, on a sheet first."""
        start, end = line.units[0].start, line.units[-1].end
        whole = self._line(start, end, size)
        words = self._text[start:end].split(" ")
        if not line.extra or len(words) == 1:
            whole.draw(image, line.x, line.y, ink)
            return
        sheet = Image.new("L", image.size, PAPER)
        at = 0
        for number, word in enumerate(words):
            x = line.x + whole.pixel(at) + line.extra * number // (len(words) - 1)
            self._line(start + at, start + at + len(word), size).draw(sheet, x, line.y, INK)
            at += len(word) + 1
        ImageDraw.Draw(image).bitmap((0, 0), ImageChops.invert(sheet), fill=ink)

    def _line(self, start: int, end: int, size: int) -> LineOfOneFont | LineOfFonts:
        faces = {n: opened[size] for n, opened in self._faces.items()}
        if len(faces) == 1:
            return LineOfOneFont(self._text[start:end], *faces.values())
        return LineOfFonts(self._text[start:end], self._owners[start:end], faces)


class LineOfOneFont(NamedTuple):
    """A line as Pillow lays it out."""

    text: str
    face: ImageFont.FreeTypeFont

    def sides(self) -> tuple[int, int]:
        """Return the first pixel of the line, and the one after its last."""
        left, _, right, _ = self.face.getbbox(self.text)
        return int(left), int(right)

    def pixel(self, number: int) -> int:
        """Return the pixel of the line that a character starts at."""
        upto, last = self.text[: number + 1], self.text[number]
        return nearest_pixel(self.face.getlength(upto) - self.face.getlength(last))

    def draw(self, image: Image.Image, x: int, y: int, ink: Ink) -> None:
        """Draw the line with its top left corner at a pixel."""
        ImageDraw.Draw(image).text((x, y), self.text, fill=ink, font=self.face)


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

    def pixel(self, number: int) -> int:
        """Return the pixel of the line that a character starts at."""
        return list(self.parts())[number].x

    def draw(self, image: Image.Image, x: int, y: int, ink: Ink) -> None:
        """Draw the parts on a sheet of the page's size, and then print that."""
        sheet = Image.new("L", image.size, PAPER)
        baseline = y + self.faces[0].getmetrics()[0]
        for start, text, face in self.parts():
            ImageDraw.Draw(sheet).text(
                (x + start, baseline), text, fill=INK, font=face, anchor="ls"
            )
        ImageDraw.Draw(image).bitmap((0, 0), ImageChops.invert(sheet), fill=ink)


def nearest_pixel(position: float) -> int:
    """Return the pixel that a pen position, a multiple of 1/64 px, is rounded to: halves go up."""
    return (round(position * 64) + 32) >> 6
