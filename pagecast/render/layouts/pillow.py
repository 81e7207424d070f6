"""Texts set as Pillow does it, in basic layout or by libraqm, for the renderer of pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise

from PIL import ImageFont

from pagecast.render.breaking import Source, Unit, broken, require_icu
from pagecast.render.fonts.characters import MissingGlyphs, covered_codepoints
from pagecast.render.fonts.faces import open_face
from pagecast.render.fonts.fallback import Fallback
from pagecast.render.glyphs import GlyphAtlas
from pagecast.render.layouts.raqm.raqm import ShapedText, raqm_text
from pagecast.render.layouts.raqm.shaper import Shaper, require_raqm
from pagecast.render.lines import SetIn, SetLines
from pagecast.render.typeset import Text
from pagecast.style.frame import Measure

ENGINES = {"basic": ImageFont.Layout.BASIC, "raqm": ImageFont.Layout.RAQM}
FIRST_SIZE_TRIED = 17  # by every search from 4 to 30
ALL = -1  # what is kept of glyphs for texts that take more than one font


class PillowPages:
    """Sets texts in some fonts.

    Glyphs are kept between texts, within bounds.

    Args:
      largest: font size in pixels.

    Raises:
      OSError: Pillow cannot open a font.
      ValueError: this Pillow cannot do the layout, ICU is not installed, or a font has no Unicode
        character map.
    """

    def __init__(self, fonts: Sequence[bytes], layout: str, line_break: str, largest: int) -> None:
        if line_break == "unicode":
            require_icu()
        if layout == "raqm":
            require_raqm()
        for font in fonts:
            open_face(font, FIRST_SIZE_TRIED, ENGINES[layout])
        self._fonts, self._layout, self._line_break = fonts, layout, line_break
        self._largest = largest
        self._fallback = Fallback([covered_codepoints(font) for font in fonts])
        self._missing = MissingGlyphs(fonts, layout)
        self._kept: dict[int, GlyphAtlas | Shaper] = {}

    def prepare(self, source: Source) -> tuple[SetIn, Callable[[], int]]:
        """Return how to set a text, and what counts its characters that no font shows."""
        text = source.text
        owners = self._fallback.owners(text) if len(self._fonts) > 1 else [0]
        used = set(owners) or {0}
        glyphs = self._glyphs_for(used.pop() if len(used) == 1 else ALL)

        def text_of(
            words: list[str], starts: Sequence[int], spaced: Sequence[int] | None = None
        ) -> Text | ShapedText:
            if isinstance(glyphs, GlyphAtlas):
                return Text(words, glyphs, starts, spaced, owners if glyphs.is_mixed else None)
            return raqm_text(words, glyphs, starts, spaced)

        def missing() -> int:
            return self._missing.count(text)

        if self._line_break == "unicode":
            return set_broken(source, text_of), missing
        set_at = cached_at(text_of(*source.words()))
        return lambda size, _: set_at(size), missing

    def _glyphs_for(self, font: int) -> GlyphAtlas | Shaper:
        """Return what is kept for texts that are drawn by one font alone, or by `ALL`."""
        kept = self._kept.get(font)
        if kept is None or kept.is_full():
            if self._layout == "basic":
                fonts = self._fonts if font == ALL else [self._fonts[font]]
                kept = GlyphAtlas(fonts, largest=self._largest)
            else:
                kept = Shaper(self._fonts[0], self._largest)
            self._kept[font] = kept
        return kept


def cached_at(text: Text | ShapedText) -> Callable[[int], SetLines]:
    """Return a text's `at`, which sets it in type of a size, once a size.

    What is set is kept here and not by the text: it refers to the text, and such a circle would
    keep a page's worth of tables until the garbage collector comes by.
    """

    @cache
    def set_at(size: int) -> SetLines:
        return text.at(size)

    return set_at


def set_broken(
    source: Source, text_of: Callable[[list[str], Sequence[int], Sequence[int]], Text | ShapedText]
) -> SetIn:
    """Return how to set a text whose lines may end where the rules of Unicode let them.

    Units that are wider than a line are broken into grapheme clusters.
    """

    def text_of_units(units: Sequence[Unit], starts: Sequence[int]) -> Text | ShapedText:
        words = [source.text[start:end] for start, end in units]
        gaps = [after.start - unit.end for unit, after in pairwise(units)]
        return text_of(words, starts, [*gaps, 0][: len(units)])

    units, starts = source.units("unicode")
    set_at = cached_at(text_of_units(units, starts))

    @cache
    def set_in(size: int, measure: Measure) -> SetLines:
        whole = set_at(size)
        if not (wide := set(whole.wide(measure.narrowest))):
            return whole
        return text_of_units(*broken(source.text, units, starts, wide)).at(size)

    return set_in
