"""Setting text of several fonts with libraqm: run by run, each measured and drawn by Pillow.

Nothing is guessed; what is saved is measuring again the runs that a line shares with the next try.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from PIL import ImageFont

from pagecast.render.faces import Faces
from pagecast.render.glyphs import UNIT, nearest_pixel
from pagecast.render.layouts.raqm.bidi import Run, visual_runs
from pagecast.render.layouts.raqm.raqm import ShapedLines, ShapedText
from pagecast.render.layouts.raqm.shaper import Shaper
from pagecast.render.typeset import InkedLine, line_height

MAX_BOXES = 65536  # measured runs kept, at all sizes together


class Box(NamedTuple):
    """How far a run moves the pen, in 1/64 px, and its sides in px from where it starts."""

    advance: int
    left: int
    right: int


class MixedShaper(Shaper):
    """Several fonts under libraqm, and what was measured of their runs."""

    def __init__(self, fonts: Sequence[bytes]) -> None:
        super().__init__(fonts[0])
        self.faces_of = [Faces(font, ImageFont.Layout.RAQM) for font in fonts]
        self.boxes: dict[tuple[int, int, str, str], Box] = {}

    def is_full(self) -> bool:
        """Tell whether so much is kept that this shaper should be replaced."""
        return len(self.boxes) > MAX_BOXES

    def box(self, text: str, run: Run, size: int) -> Box:
        """Measure a run of a line."""
        part = text[run.start : run.end]
        key = size, run.owner, run.direction, part
        if key not in self.boxes:
            face = self.faces_of[run.owner][size]
            left, _, right, _ = face.getbbox(part, direction=run.direction)
            advance = round(face.getlength(part, direction=run.direction) * UNIT)
            self.boxes[key] = Box(advance, int(left), int(right))
        return self.boxes[key]


class MixedText(ShapedText):
    """The words of a text, to be set in several fonts by a mixed shaper."""

    def __init__(
        self,
        words: list[str],
        shaper: MixedShaper,
        spaced: Sequence[int] | None,
        owners: Sequence[int],
    ) -> None:
        super().__init__(words, shaper, spaced)
        self.shaper: MixedShaper = shaper
        self.owners = owners

    def at(self, size: int) -> MixedLines:
        """Set the text in type of `size` px."""
        return MixedLines(self, size)


class MixedLines(ShapedLines):
    """A text of several fonts in type of one size; see `page.SetLines`."""

    def __init__(self, text: MixedText, size: int) -> None:
        super().__init__(text, size)
        self._text: MixedText = text

    def _start_line(self, _: str | None) -> None:
        """Take no line for plain."""

    def _placed(self, first: int, last: int) -> Iterator[tuple[int, str, Run, Box]]:
        """Yield the runs of a line from left to right, with the pixel where each starts."""
        start, end = self._text.stretch(first, last)
        line, pen = self._text.string[start:end], 0
        for run in visual_runs(line, self._text.owners[start:end]):
            box = self._text.shaper.box(line, run, self._size)
            yield nearest_pixel(pen), line[run.start : run.end], run, box
            pen += box.advance

    def _width(self, first: int, last: int) -> int:
        left, right = 0, 0
        for x, _, _, box in self._placed(first, last):
            left, right = min(left, x + box.left), max(right, x + box.right)
        return right - left

    def marks(self, firsts: list[int], rendered: int, margin: int) -> list[InkedLine]:
        """Return one mask, Pillow's, for each run of the first `rendered` lines."""
        marks = []
        faces = self._text.shaper.faces_of
        ascent = faces[0][self._size].getmetrics()[0]
        nexts = [*firsts, len(self._text.words)][1:]
        for number, (a, b) in enumerate(zip(firsts[:rendered], nexts, strict=False)):
            places, masks = [], []
            baseline = margin + number * line_height(self._size) + ascent
            for x, part, run, _ in self._placed(a, b - 1):
                face = faces[run.owner][self._size]
                mask, (dx, dy) = face.getmask2(part, "L", direction=run.direction, anchor="ls")
                if all(mask.size):
                    places.append((margin + x + dx, baseline + dy))
                    masks.append(mask)
            if masks:
                top = min(y for _, y in places)
                ends = (y + mask.size[1] for (_, y), mask in zip(places, masks, strict=True))
                marks.append(InkedLine(places, masks, top, max(ends)))
        return marks
