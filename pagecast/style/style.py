"""The style of a page: one frozen object that says all that decides how a text becomes a page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from math import gcd
from typing import Any, Literal, NamedTuple, TypeAlias

LAYOUTS = ("basic", "raqm", "harfbuzz")
LINE_BREAKS = ("spaces", "unicode")
ALIGNMENTS = ("start", "justify", "center")
NEWLINES = ("space", "break", "mark")
FIT: Literal["fit"] = "fit"
SMALLEST, LARGEST_FIT, LARGEST = 4, 30, 200  # font sizes in px; `fit` goes from 4 to 30
MAX_PAGES = 64  # of a context, where no other limit is given
MOST_PAGES = 1000
MOST_COLUMNS = 12
MOST_OF_SHAPE = 64  # either term of a page's shape
_HEX = re.compile("#[0-9a-f]{6}")

Gray: TypeAlias = int
Colour: TypeAlias = "Gray | str"  # 0 black to 255 white, or "#rrggbb"


class Margins(NamedTuple):
    """The margins of a page, each a share of the page's longer side."""

    top: float
    right: float
    bottom: float
    left: float


NARROW = Margins(0.05, 0.05, 0.05, 0.05)


class StyleError(ValueError):
    """A style has a value that it cannot have; `field` is where."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why

    def __reduce__(self) -> tuple[type[StyleError], tuple[str, str]]:
        return StyleError, (self.field, self.why)


@dataclass(frozen=True)
class PageStyle:
    """All that decides how a text becomes a page. The default is black on white, as large as fits.

    >>> PageStyle().page_size(640)
    (640, 640)
    >>> PageStyle(size=12, margins=0.1, ink="#203040", shape="3:4").page_size(640)
    (480, 640)

    Lengths of a page are shares of its longer side, which is a vision mode's number of pixels.

    Attributes:
      fonts: the bytes of TrueType or OpenType files, or of one: each character is drawn by the
        first that has it. DejaVu Sans 2.37 where there are none.
      layout: "basic"; "harfbuzz" for scripts that need shaping or run from right to left; "raqm" as
        Pillow draws them in one font where it has libraqm.
      line_break: "spaces", or "unicode" for scripts without spaces: lines may end where UAX #14
        says, and inside a word that is wider than a line.
      size: of the type in pixels, 4 to 200; or "fit", the largest up to 30 with which all fits.
      min_size: with "fit" the smallest size; where not even that fits, more pages follow. None is
        4 on a single page, which then lacks the end of a text that is too long.
      line_height: from one line's top to the next, in font sizes; whole pixels, rounded down.
      margins: four shares (top, right, bottom, left), or one for all.
      ink, paper: gray from 0 (black) to 255 (white), or "#rrggbb". Pages are of mode "L" where both
        are gray, else "RGB".
      align: "start"; "center"; or "justify", where a line's spaces take what is left of it, but
        not of the last line of a paragraph.
      columns, column_gap: how many columns of lines, and the share between two of them.
      newline: what a line break of the text is, as `str.splitlines` finds them: "space" like any
        other white space; "break", a new line, which is empty where nothing is between two; "mark",
        a pilcrow, between spaces.
      indent: of the first line of each paragraph, in font sizes. A text is one paragraph, unless
        `newline` is "break".
      shape: width and height of a page to each other, as "3:4" or (3, 4).
      max_pages: how many pages a text may take. None is 64 with a `size` in pixels or a `min_size`,
        else 1.

    Raises:
      StyleError: a value is out of range, or two do not go together.
    """

    fonts: tuple[bytes, ...] = field(default=(), repr=False)
    layout: str = "basic"
    line_break: str = "spaces"
    size: int | Literal["fit"] = FIT
    min_size: int | None = None
    line_height: float = 1.2
    margins: Margins = NARROW
    ink: Colour = 0
    paper: Colour = 255
    align: str = "start"
    columns: int = 1
    column_gap: float = 0.05
    newline: str = "space"
    indent: float = 0.0
    shape: tuple[int, int] = (1, 1)
    max_pages: int | None = None

    def __post_init__(self) -> None:
        for name, value in (
            ("fonts", _fonts(self.fonts)),
            ("margins", _margins(self.margins)),
            ("ink", _colour("ink", self.ink)),
            ("paper", _colour("paper", self.paper)),
            ("shape", _shape(self.shape)),
        ):
            object.__setattr__(self, name, value)
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise StyleError(name, f"{getattr(self, name)!r} is not one of {', '.join(known)}")
        if self.size != FIT:
            _require_whole("size", self.size, SMALLEST, LARGEST, f' or "{FIT}"')
        if self.min_size is not None:
            _require_whole("min_size", self.min_size, SMALLEST, LARGEST_FIT)
            if self.size != FIT:
                raise StyleError("min_size", f'it goes with size "{FIT}", not with {self.size}')
        if self.max_pages is not None:
            _require_whole("max_pages", self.max_pages, 1, MOST_PAGES)
        _require_whole("columns", self.columns, 1, MOST_COLUMNS)
        for name, low, high in RANGES:
            object.__setattr__(self, name, _number(name, getattr(self, name), low, high))
        if self.ink == self.paper:
            raise StyleError("ink", f"it is the colour of the paper, {self.ink}")
        self._require_room()
        if self.layout == "raqm" and self.align == "justify":
            raise StyleError("align", '"justify" needs layout "basic" or "harfbuzz", not "raqm"')
        if self.layout == "raqm" and len(self.fonts) > 1:
            raise StyleError("fonts", ONE_FONT)

    def _require_room(self) -> None:
        top, right, bottom, left = self.margins
        width, height = (each / max(self.shape) for each in self.shape)
        if width <= left + right or height <= top + bottom:
            raise StyleError("margins", "nothing is left between them")
        if width - left - right <= self.column_gap * (self.columns - 1):
            raise StyleError("columns", f"there is no room for {self.columns}")

    def page_size(self, px: int) -> tuple[int, int]:
        """Return the width and the height in pixels of pages whose longer side is `px`."""
        width, height = (max(min(1, px), round(px * side / max(self.shape))) for side in self.shape)
        return width, height

    @property
    def mode(self) -> str:
        """The mode of the images, as Pillow calls it: "L" or "RGB"."""
        return "L" if isinstance(self.ink, int) and isinstance(self.paper, int) else "RGB"

    @property
    def painted(self) -> tuple[Colour, Colour]:
        """Paper and ink as Pillow takes them in an image of `mode`: there a gray has a name too."""
        if self.mode == "L":
            return self.paper, self.ink
        paper, ink = (
            colour if isinstance(colour, str) else f"#{colour:02x}{colour:02x}{colour:02x}"
            for colour in (self.paper, self.ink)
        )
        return paper, ink

    @property
    def sizes(self) -> tuple[int, int]:
        """The smallest and the largest font size, in pixels."""
        if isinstance(self.size, int):
            return self.size, self.size
        return self.min_size or SMALLEST, LARGEST_FIT

    @property
    def setting(self) -> tuple[tuple[bytes, ...], str, str, int]:
        """What decides how glyphs are set, whatever the page: fonts, layout, line break, sizes.

        The last is the largest font size that tables of glyphs are made for.
        """
        largest = LARGEST if self.sizes[1] > LARGEST_FIT else LARGEST_FIT
        return self.fonts, self.layout, self.line_break, largest

    @property
    def most_pages(self) -> int:
        """How many pages a text may take."""
        if self.max_pages is None:
            return MAX_PAGES if self.is_floored else 1
        return self.max_pages

    @property
    def is_floored(self) -> bool:
        """Whether type may only be so small, so that a text may need more pages."""
        return self.size != FIT or self.min_size is not None

    def changes(self) -> dict[str, Any]:
        """Return the fields that are not the default's, as JSON has them, fonts left out."""
        return {
            each.name: _plain(getattr(self, each.name))
            for each in fields(self)
            if each.name != "fonts" and getattr(self, each.name) != each.default
        }

    def with_fields(self, values: Mapping[str, Any]) -> PageStyle:
        """Return a style with some fields changed.

        Raises:
          StyleError: there is no such field, or it cannot have the value.
        """
        known = [each.name for each in fields(self)]
        for name in values:
            if name not in known:
                raise StyleError(name, f"is no field of a style; these are: {', '.join(known)}")
        return replace(self, **values)


ONE_FONT = "layout 'raqm' takes one font; for several choose layout 'harfbuzz', or 'basic'"
CHOICES = {
    "layout": LAYOUTS,
    "line_break": LINE_BREAKS,
    "align": ALIGNMENTS,
    "newline": NEWLINES,
}
RANGES = [("line_height", 0.5, 4.0), ("column_gap", 0.0, 0.5), ("indent", 0.0, 20.0)]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _fonts(value: Any) -> tuple[bytes, ...]:
    fonts = () if value is None else (value,) if isinstance(value, bytes) else tuple(value)
    if not all(isinstance(font, bytes) for font in fonts):
        raise StyleError("fonts", "they are to be the bytes of font files")
    return fonts


def _number(name: str, value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise StyleError(name, f"{value!r} is not a number")
    if not low <= value <= high:
        raise StyleError(name, f"{value} is not from {low:g} to {high:g}")
    return float(value)


def _require_whole(name: str, value: Any, low: int, high: int, more: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise StyleError(name, f"{value!r} is not a whole number from {low} to {high}{more}")


def _margins(value: Any) -> Margins:
    if isinstance(value, Mapping):
        if unknown := [str(name) for name in value if name not in Margins._fields]:
            sides = ", ".join(Margins._fields)
            raise StyleError("margins", f"{', '.join(unknown)} is none of {sides}")
        value = [value.get(*side) for side in NARROW._asdict().items()]
    if isinstance(value, str) or not isinstance(value, Sequence):
        value = [value] * 4
    if len(value) != 4:
        raise StyleError("margins", f"{len(value)} of them; one, or {', '.join(Margins._fields)}")
    return Margins(*(_number("margins", each, 0.0, 0.45) for each in value))


def _colour(name: str, value: Any) -> Colour:
    if isinstance(value, str) and _HEX.fullmatch(value.lower()):
        red, green, blue = (value[i : i + 2].lower() for i in (1, 3, 5))
        return int(red, 16) if red == green == blue else value.lower()
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 255:
        raise StyleError(name, f'{value!r} is not a gray from 0 to 255, nor a colour "#rrggbb"')
    return value


def _shape(value: Any) -> tuple[int, int]:
    if isinstance(value, str):
        value = value.split(":")
        value = [int(each) if each.strip().isdecimal() else each for each in value]
    if not isinstance(value, Sequence) or len(value) != 2:
        raise StyleError("shape", f'{value!r} is not a width and a height, as "3:4"')
    for each in value:
        _require_whole("shape", each, 1, MOST_OF_SHAPE)
    common = gcd(*value)
    return value[0] // common, value[1] // common
