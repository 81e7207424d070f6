"""What draws the pages of a style sheet: a renderer for each sample, over as few as can be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from pagecast.render import PageRenderer
from pagecast.style.entry import style_of
from pagecast.style.sheet import StyleSheet
from pagecast.style.style import PageStyle


class SheetRenderer:
    """Draws each sample's pages in its own style. For one thread at a time.

    >>> label, renderer = SheetRenderer().of("sample_000001_chunk_0", "enwiki/1")
    >>> label, renderer.style == PageStyle()
    ('style', True)

    What is kept of glyphs is shared by all styles of the same fonts, layout and line break.

    Args:
      fonts: the contents of the sheet's fonts by their names there; None for a sheet without.

    Raises:
      OSError, ValueError: as `PageRenderer`, here or when a style is first drawn.
    """

    def __init__(
        self, sheet: StyleSheet | None = None, fonts: Mapping[str, bytes] | None = None
    ) -> None:
        self.sheet = sheet or StyleSheet()
        self._fonts = fonts
        self._kept: dict[tuple[tuple[bytes, ...], str, str, int], PageRenderer] = {}

    def of(self, sample: str, wiki_id: str) -> tuple[str, PageRenderer]:
        """Return the label of a sample's style and what draws its pages, by its id and article."""
        if not self.sheet.is_varied:
            return self._only
        label, style = self.sheet.style_of(sample, wiki_id, self._fonts)
        return label, self._renderer(style)

    @cached_property
    def _only(self) -> tuple[str, PageRenderer]:
        return next(self.firsts())

    def firsts(self) -> Iterator[tuple[str, PageRenderer]]:
        """Yield the name of each style, and what draws pages with its fields' first values."""
        for entry in self.sheet.entries:
            yield entry.name, self._renderer(style_of(entry.first, self._fonts))

    def representatives(self) -> Iterator[PageRenderer]:
        """Yield what draws plain pages with all fonts, layouts and line breaks of the styles."""
        for values in self.sheet.representatives():
            yield self._renderer(style_of(values, self._fonts))

    def _renderer(self, style: PageStyle) -> PageRenderer:
        if style.setting not in self._kept:
            self._kept[style.setting] = PageRenderer(style)
        return self._kept[style.setting].with_style(style)
