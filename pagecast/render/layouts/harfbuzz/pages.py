"""Texts set by HarfBuzz and ICU, for the renderer of pages; these libraries are imported here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from pagecast.render.breaking import clusters

if TYPE_CHECKING:
    from pagecast.render.layouts.harfbuzz.setting import SetParagraph


class HarfbuzzPages:
    """Sets texts in some fonts.

    Raises:
      ValueError: HarfBuzz or ICU is not installed, or a font is not one.
    """

    def __init__(self, fonts: Sequence[bytes], line_break: str) -> None:
        try:
            from pagecast.render.layouts.harfbuzz import fallback, setting, shaping
        except ImportError as error:
            raise ValueError(
                f"layout 'harfbuzz' needs uharfbuzz and PyICU ({error}): "
                "pip install 'pagecast[harfbuzz]'"
            ) from error
        self._fonts, self._line_break = fonts, line_break
        self._new_setter, self._setting = shaping.Typesetter, setting
        self._setter = shaping.Typesetter(fonts)
        self._fallback = fallback.ClusterFallback(self._setter.covered)

    def prepare(self, text: str) -> tuple[Callable[[int, int], SetParagraph], int]:
        """Return how to set a text at a size for a box, and how many clusters no font shows."""
        if self._setter.is_full():
            self._setter = self._new_setter(self._fonts)
        paragraph = self._setting.Paragraph(text, self._setter, self._fallback, self._line_break)

        @cache
        def set_in(size: int, box: int) -> SetParagraph:
            set_text = self._setting.SetParagraph(paragraph, paragraph.units, size, box)
            if not (paragraph.is_broken_by_rules and (wide := set(set_text.wide(box)))):
                return set_text
            units = [
                piece
                for number, unit in enumerate(paragraph.units)
                for piece in (clusters(paragraph.text, unit) if number in wide else [unit])
            ]
            return self._setting.SetParagraph(paragraph, units, size, box)

        return set_in, paragraph.missing
