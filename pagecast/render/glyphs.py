"""The glyphs of fonts as tables: ids, advances, reaches, kerning and masks, for BASIC layout.

Why tables per character may stand for Pillow's layout of a whole line (checked in Pillow's
`_imagingft.c`): BASIC layout maps each character to one glyph and puts its bitmap at the pixel
`(pen + 32) >> 6`, the pen being in 1/64 px. The bitmap itself never depends on the pen. The pen
moves by the glyph's advance and by the kerning with the next character, which depends on that
pair alone. So a glyph's mask and metrics are measured once, by Pillow, on the single character,
and a pair's kerning on the two characters together.

In an atlas of several fonts a glyph belongs to a character of one of them, and there is no kerning
from font to font. All stand on the baseline of the first.

Everything is measured when first met. An atlas that has grown too large is meant to be replaced
(`is_full`); nothing in it is needed for good.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFont

from pagecast.render.fonts.faces import Faces
from pagecast.style.style import LARGEST_FIT

if TYPE_CHECKING:
    from PIL._imaging import ImagingCore

Ints = NDArray[np.int64]
Mask: TypeAlias = "ImagingCore"  # Pillow's inner image, mode "L"

Position = TypeVar("Position", int, Ints)

COMPARED_AT = 2048  # px, where the least difference of kerning shows
UNIT = 64  # FreeType's 26.6 fixed point: 64 units are a pixel
MAX_CODEPOINTS = 0x110000
FEW_IDS = 512  # more than most texts of one script need

# An atlas within these limits takes some tens of MB, whatever the scripts.
MAX_CHARACTERS, MAX_PAIRS, MAX_MASKS = 8192, 65536, 24576


def distinct(ids: NDArray[np.integer[Any]]) -> set[int]:
    """Return which ids there are, all small numbers."""
    return set(np.flatnonzero(np.bincount(ids)).tolist())


def nearest_pixel(position: Position) -> Position:
    """Round positions in 1/64 px to whole pixels as Pillow does: halves go up."""
    return (position + UNIT // 2) >> 6


class GlyphAtlas:
    """All glyphs met so far of some fonts, at all sizes. Ids of characters count from 1.

    characters, owners: by id, the character and which font it is of.

    Args:
      font: a font, or several.
      before: what stands before a pair of characters whose kerning is measured.
      largest: font size in px that is asked for.
      units_per_em: of a font whose kerning scales as HarfBuzz does it, so that it is measured once;
        0 where it is measured at each size.
    """

    def __init__(
        self,
        font: bytes | Sequence[bytes],
        layout: ImageFont.Layout = ImageFont.Layout.BASIC,
        before: str = "",
        units_per_em: int = 0,
        largest: int = LARGEST_FIT,
    ) -> None:
        fonts = [font] if isinstance(font, bytes) else font
        self.faces_of = [Faces(each, layout) for each in fonts]
        self.before, self.units_per_em, self.largest = before, units_per_em, largest
        self.kerning: dict[tuple[int, int], int] = {}  # in units of an em, where it scales
        self.characters = [""]
        self.owners = [0]
        self.kerned_pairs = [(0, 0)]
        # 0 is "not met"; untouched pages are free.
        self._ids = np.zeros((len(fonts), MAX_CODEPOINTS), np.int32)
        self._units: dict[str, int] = {}
        self._odd: dict[str, int] = {}
        self._unkerned: set[int] = set()
        self._pairs: dict[int, int] = {}
        self._pair_table = np.full((FEW_IDS, FEW_IDS), -1, np.int32)  # of the first ids, quicker
        self._sized: dict[int, SizedGlyphs] = {}

    @property
    def faces(self) -> Faces:
        """The faces of the first font."""
        return self.faces_of[0]

    @property
    def is_mixed(self) -> bool:
        """Whether there are several fonts."""
        return len(self.faces_of) > 1

    def is_full(self) -> bool:
        """Tell whether the atlas has grown past its limits and should be replaced."""
        return (
            len(self.characters) > MAX_CHARACTERS
            or len(self._pairs) > MAX_PAIRS
            or sum(len(glyphs.masks) for glyphs in self._sized.values()) > MAX_MASKS
        )

    def at(self, size: int) -> SizedGlyphs:
        """Return the glyphs at a size in px."""
        if size not in self._sized:
            self._sized[size] = SizedGlyphs(self, size)
        return self._sized[size]

    def intern(self, text: str, owners: Sequence[int] | None = None) -> NDArray[np.int32]:
        """Return the id of each character of `text`; lone surrogates are characters too.

        Args:
          owners: which font each character is of; the first where that is not said.
        """
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        if owners is None:
            return self._intern(codes, 0)
        ids, by = np.zeros(len(codes), np.int32), np.array(owners, np.int64)
        for owner in range(len(self.faces_of)):
            ids[by == owner] = self._intern(codes[by == owner], owner)
        return ids

    def _intern(self, codes: NDArray[np.uint32], owner: int) -> NDArray[np.int32]:
        known = self._ids[owner]
        ids = known[codes]
        if not ids.all():
            for code in np.unique(codes[ids == 0]).tolist():
                known[code] = self._add(chr(code), owner)
            ids = known[codes]
        return ids

    def intern_unit(self, unit: str) -> int:
        """Return the id of a character, or of several that the font has one glyph for."""
        if unit not in self._units:
            self._units[unit] = int(self.intern(unit)[0]) if len(unit) == 1 else self._add(unit)
        return self._units[unit]

    def intern_odd(self, word: str) -> int:
        """Return the id of a word that is measured by itself, and neither kerned nor stamped."""
        if word not in self._odd:
            self._odd[word] = self._add(word)
            self._unkerned.add(self._odd[word])
        return self._odd[word]

    def _add(self, text: str, owner: int = 0) -> int:
        self.characters.append(text)
        self.owners.append(owner)
        return len(self.characters) - 1

    def intern_kerning(self, ids: NDArray[np.int32]) -> tuple[Ints, Ints]:
        """Find the kerned pairs of adjacent characters.

        Returns:
          The positions in `ids` of their first characters, and their pair numbers, from 1.
        """
        first, second = ids[:-1], ids[1:]
        if len(ids) and int(ids.max()) < FEW_IDS:
            table = self._pair_table
            new = table[first, second] < 0
            for a, b in {*zip(first[new].tolist(), second[new].tolist(), strict=True)}:
                table[a, b] = self._pair_number(a * MAX_CODEPOINTS + b)
            numbers = table[first, second].astype(np.int64)
        else:
            keys, where = np.unique(
                first.astype(np.int64) * MAX_CODEPOINTS + second, return_inverse=True
            )
            numbers = np.array([self._pair_number(key) for key in keys.tolist()], np.int64)[where]
        at = np.flatnonzero(numbers)
        return at, numbers[at]

    def _pair_number(self, key: int) -> int:
        number = self._pairs.get(key)
        if number is None:
            pair, number = divmod(key, MAX_CODEPOINTS), 0
            if self._may_be_kerned(pair):
                number = len(self.kerned_pairs)
                self.kerned_pairs.append(pair)
            self._pairs[key] = number
        return number

    def _may_be_kerned(self, pair: tuple[int, int]) -> bool:
        """Tell whether two characters may be kerned at any size up to the largest.

        FreeType scales the font's kerning to the size (and down once more below 25 px), then
        rounds to whole pixels: what is 0 at the largest size is 0 at all smaller ones.
        """
        if self.owners[pair[0]] != self.owners[pair[1]] or not self._unkerned.isdisjoint(pair):
            return False
        try:
            return self.at(self.largest).kerning(pair) != 0
        except OSError:  # a bitmap-only font without this size
            return True


class SizedGlyphs:
    """Tables of the atlas's glyphs at one size, indexed by character id.

    Per character, in 1/64 px from the pen: `advance`, how far the pen moves (without kerning);
    `reach`, no less than the glyph's right edge and the advance; `sure_reach`, one of these two,
    whichever is known exactly; `left`, the glyph's left edge where it is left of the pen, else 0.
    Per character, in px from the pen's pixel and the line's top: `dx`, and `top` and `bottom` of
    its ink (both 0 without ink). `masks` has the characters with ink.
    Per kerned pair: `kern` in 1/64 px.
    """

    def __init__(self, atlas: GlyphAtlas, size: int) -> None:
        # Without a cycle of references, an atlas that is replaced is freed at once.
        self._atlas, self.size = weakref.proxy(atlas), size
        self.masks: dict[int, Mask] = {}
        self._measured: set[int] = set()
        self._drawn: set[int] = set()
        self._kerned: set[int] = set()
        self._before = self.face.getlength(atlas.before)
        self.kern = np.zeros(1, np.int64)
        self._reserve(np.zeros((7, 0), np.int64))

    @property
    def face(self) -> ImageFont.FreeTypeFont:
        """Pillow's font at this size; of several the first."""
        return self._atlas.faces[self.size]

    def face_of(self, i: int) -> ImageFont.FreeTypeFont:
        """Return the face that a character is of."""
        return self._atlas.faces_of[self._atlas.owners[i]][self.size]

    def is_space(self, i: int) -> bool:
        """Tell whether a character is a space."""
        return self._atlas.characters[i] == " "

    def measure(self, ids: set[int], pairs: set[int]) -> None:
        """See to it that the metrics of these characters and kerned pairs are known."""
        if len(self._atlas.characters) > self._table.shape[1]:
            self._reserve(self._table)
        if len(self._atlas.kerned_pairs) > len(self.kern):
            self.kern = np.pad(self.kern, (0, 2 * len(self._atlas.kerned_pairs)))
        for i in ids - self._measured:
            self._measure(i)
            self._measured.add(i)
        for pair in pairs - self._kerned:
            self.kern[pair] = self.kerning(self._atlas.kerned_pairs[pair])
            self._kerned.add(pair)

    def kerning(self, pair: tuple[int, int]) -> int:
        """Return what is added to the pen between two characters, in 1/64 px."""
        if em := self._atlas.units_per_em:
            if pair not in self._atlas.kerning:
                large = self._atlas.at(COMPARED_AT)
                self._atlas.kerning[pair] = round(large._kerning(pair) * em / (COMPARED_AT * UNIT))
            # HarfBuzz's way to scale a length: by a factor in 1/65536, halves going up.
            return (self._atlas.kerning[pair] * ((self.size * UNIT << 16) // em) + 0x8000) >> 16
        return self._kerning(pair)

    def _kerning(self, pair: tuple[int, int]) -> int:
        self.measure(set(pair), set())
        first, second = (self._atlas.characters[i] for i in pair)
        face = self.face_of(pair[0])
        together = face.getlength(self._atlas.before + first + second) - self._before
        return round(together * UNIT) - int(self.advance[pair[0]] + self.advance[pair[1]])

    def draw(self, ids: set[int]) -> None:
        """See to it that the masks of these characters are there."""
        for i in ids - self._drawn:
            self._draw(i)
            self._drawn.add(i)

    def _reserve(self, table: Ints) -> None:
        """Make `table` the table of metrics, with room for twice the atlas's characters."""
        room = 2 * len(self._atlas.characters) - table.shape[1]
        self._table = np.pad(table, ((0, 0), (0, room)))
        self.advance, self.reach, self.sure_reach, self.left = self._table[:4]
        self.dx, self.top, self.bottom = self._table[4:]

    def _measure(self, i: int) -> None:
        """Measure one character.

        Pillow's box of a text always contains the pen's way from 0 to the advance. So a right
        edge beyond both is the glyph's own; any other only says that the glyph ends before it.
        Among several fonts the edges of the box are what counts.
        """
        character, face = self._atlas.characters[i], self.face_of(i)
        left, _, right, _ = (round(side) for side in face.getbbox(character))
        advance = round(face.getlength(character) * UNIT)
        overhangs = right > max(0, nearest_pixel(advance))
        self.advance[i] = advance
        mixed = self._atlas.is_mixed
        self.reach[i] = right * UNIT if mixed else max(right * UNIT, advance)
        self.sure_reach[i] = right * UNIT if overhangs or mixed else advance
        self.left[i] = left * UNIT

    def _draw(self, i: int) -> None:
        """Draw one character's mask, cut to its ink."""
        face = self.face_of(i)
        mask, (dx, top) = face.getmask2(self._atlas.characters[i], "L", anchor="ls")
        box = mask.getbbox()
        if box is not None:
            top += self.face.getmetrics()[0]  # the baseline is that of the first font
            self.masks[i] = mask.crop(box)
            self.dx[i], self.top[i], self.bottom[i] = dx + box[0], top + box[1], top + box[3]
