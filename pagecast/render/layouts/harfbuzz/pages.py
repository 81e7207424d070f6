"""Texts set by HarfBuzz and ICU, for the renderer of pages; these libraries are imported here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from pagecast.render.breaking import Source, broken, well_formed
from pagecast.render.lines import SetIn, SetLines
from pagecast.style.frame import Measure


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

    def prepare(self, source: Source) -> tuple[SetIn, Callable[[], int]]:
        """Return how to set a text, and what counts the clusters that no font shows."""
        if self._setter.is_full():
            self._setter = self._new_setter(self._fonts)
        source = source._replace(text=well_formed(source.text))
        text = self._setting.ShapedText(source, self._setter, self._fallback, self._line_break)

        @cache
        def set_in(size: int, measure: Measure) -> SetLines:
            set_text = self._setting.SetParagraphs(text, text.units, text.starts, size)
            if self._line_break == "spaces" or not (wide := set(set_text.wide(measure.narrowest))):
                return set_text
            pieces = broken(text.text, text.units, text.starts, wide)
            return self._setting.SetParagraphs(text, *pieces, size)

        return set_in, lambda: text.missing
