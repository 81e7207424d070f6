"""Fonts under HarfBuzz: shaping in the font's own units, and masks of glyphs.

Shaped without hinting, a text has the same glyphs at all sizes, and widths that scale.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import lcm
from typing import NamedTuple, TypeVar

import numpy as np
import uharfbuzz as hb
from numpy.typing import NDArray
from PIL import Image

from pagecast.render.glyphs import Mask
from pagecast.render.layouts.harfbuzz.paragraph import Run

Ints = NDArray[np.int64]
Position = TypeVar("Position", int, Ints)

MAX_MASKS = 24576  # of all fonts at all sizes, some 10 MB


class Glyphs(NamedTuple):
    """The glyphs of a stretch from left to right; lengths in the typesetter's units.

    cluster: the first character of the text that each is of. breaks: whether the text could end
    before its cluster and both sides stay what they are, where that was asked for.
    """

    id: Ints
    cluster: Ints
    advance: Ints
    dx: Ints
    dy: Ints
    breaks: NDArray[np.bool_]


class Stamp(NamedTuple):
    """The mask of a glyph, and where its top left pixel is from the pen's pixel on the baseline."""

    mask: Mask
    dx: int
    dy: int


class Stamps:
    """The stamps of a font at a size that were met so far, as tables by glyph.

    Left, top and bottom are in px from the pen on the baseline; the latter two are 0 without ink,
    and then there is no mask.
    """

    def __init__(self, font: hb.Font, size: int) -> None:
        self._font, self._size = font, size
        self.left, self.top, self.bottom = np.zeros((3, font.face.glyph_count), np.int32)
        self.masks = np.empty(font.face.glyph_count, object)
        self.met: set[int] = set()

    def meet(self, glyphs: Ints) -> None:
        """See to it that the stamps of these glyphs are there."""
        for glyph in set(glyphs.tolist()) - self.met:
            self.met.add(glyph)
            if stamp := rasterize(self._font, glyph, self._size):
                self.masks[glyph] = stamp.mask
                self.left[glyph], self.top[glyph] = stamp.dx, stamp.dy
                self.bottom[glyph] = stamp.dy + stamp.mask.size[1]


class Typesetter:
    """Some fonts, the unit in which all their lengths are whole, and the masks met so far.

    unit: how many of it an em has.

    Raises:
      ValueError: a font has no glyphs, or is not a font.
    """

    def __init__(self, fonts: Sequence[bytes]) -> None:
        faces = [hb.Face(font) for font in fonts]
        for face in faces:
            if not face.glyph_count:
                raise ValueError("it is not a TrueType or OpenType font")
        self.fonts = [hb.Font(face) for face in faces]
        for font, face in zip(self.fonts, faces, strict=True):
            font.scale = (face.upem, face.upem)
        self.unit = lcm(*(face.upem for face in faces))
        self._factors = [self.unit // face.upem for face in faces]
        self.covered = [frozenset(face.unicodes) for face in faces]
        self._stamps: dict[tuple[int, int], Stamps] = {}

    def is_full(self) -> bool:
        """Tell whether so much is kept that this typesetter should be replaced."""
        return sum(len(stamps.met) for stamps in self._stamps.values()) > MAX_MASKS

    def shape(self, text: str, run: Run, ends: Collection[int] = ()) -> Glyphs:
        """Return the glyphs of a run of a text, by itself.

        Args:
          ends: characters before which the text may be broken, to be told whether it can.
        """
        buffer = hb.Buffer()
        buffer.add_codepoints(list(map(ord, text[run.start : run.end])))
        buffer.direction = "rtl" if run.level % 2 else "ltr"
        buffer.script = run.script
        buffer.language = "und"
        buffer.cluster_level = hb.BufferClusterLevel.MONOTONE_CHARACTERS
        hb.shape(self.fonts[run.font], buffer)
        infos, positions = buffer.glyph_infos, buffer.glyph_positions
        table = np.array(
            [
                (i.codepoint, i.cluster, p.x_advance, p.x_offset, p.y_offset)
                for i, p in zip(infos, positions, strict=True)
            ],
            np.int64,
        ).reshape(-1, 5)
        ids, cluster, advance, dx, dy = table.T
        cluster = cluster + run.start
        factor = self._factors[run.font]
        # Each flag takes a microsecond, so few are looked at.
        breaks = np.zeros(len(ids), bool)
        for place in [n for n, one in enumerate(cluster.tolist()) if one in ends] if ends else ():
            breaks[place] = not infos[place].flags & hb.GlyphFlags.UNSAFE_TO_BREAK
        return Glyphs(ids, cluster, advance * factor, dx * factor, dy * factor, breaks)

    def baseline(self, size: int, line: int) -> int:
        """Return how far below the top of a line of so many px the baseline is, in px.

        The first font's ascent and descent are in the middle of a line, whether they fit or not.
        """
        font = self.fonts[0]
        extents, em = font.get_font_extents("ltr"), font.face.upem
        return (line * em + (extents.ascender + extents.descender) * size + em) // (2 * em)

    def pixel(self, length: Position, size: int) -> Position:
        """Return a length in px at a size, rounded: halves go up."""
        return (2 * length * size + self.unit) // (2 * self.unit)

    def stamps(self, font: int, size: int) -> Stamps:
        """Return the stamps of a font at a size in px."""
        if (font, size) not in self._stamps:
            self._stamps[font, size] = Stamps(self.fonts[font], size)
        return self._stamps[font, size]


def rasterize(font: hb.Font, glyph: int, size: int) -> Stamp | None:
    """Draw a glyph whose em is `size` px, its origin at the corner of a pixel."""
    scale = size / font.face.upem
    drawing = hb.RasterDraw()
    drawing.transform = (scale, 0, 0, scale, 0, 0)
    drawing.draw_glyph(font, glyph)
    image = drawing.render()
    extents = image.extents
    if not extents.width or not extents.height:
        return None
    upside_down = Image.frombuffer(
        "L", (extents.width, extents.height), image.buffer, "raw", "L", extents.stride, -1
    )
    box = upside_down.getbbox()
    if box is None:
        return None
    left, top, _, _ = box
    above = extents.y_origin + extents.height  # rows of pixels from the baseline up
    return Stamp(upside_down.crop(box).im, extents.x_origin + left, top - above)
