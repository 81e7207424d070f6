"""A font under libraqm, and what was measured with it."""

from __future__ import annotations

from PIL import ImageFont, features

from pagecast.render.faces import Faces
from pagecast.render.glyphs import GlyphAtlas
from pagecast.render.layouts.raqm.plain import (
    PLAIN_SCRIPTS,
    ShapedSize,
)
from pagecast.render.layouts.raqm.rules import read_rules
from pagecast.render.layouts.raqm.units import Units

MAX_EXTENTS = 131072  # measured words kept, at all sizes together


def require_raqm() -> None:
    """Check that Pillow can lay out text with libraqm.

    Raises:
      ValueError: libraqm or FriBiDi is missing.
    """
    for feature, name, package in (
        ("raqm", "libraqm", "a Pillow built with it, such as the wheels on PyPI"),
        ("fribidi", "FriBiDi", "it (Debian and Ubuntu: apt-get install libfribidi0)"),
    ):
        if not features.check(feature):
            raise ValueError(
                f"layout 'raqm' needs {name}, which Pillow does not find; "
                f"install {package}, or choose layout 'basic'"
            )


class Shaper:
    """A font under libraqm: its faces and rules, and what was measured of words."""

    def __init__(self, font: bytes) -> None:
        self.faces = Faces(font, ImageFont.Layout.RAQM)
        self.rules = read_rules(font)
        self._font = font
        self._plain: dict[tuple[int, str], ShapedSize] = {}
        self._atlases: dict[str, GlyphAtlas] = {}
        self._units: dict[str, Units] = {}

    def is_full(self) -> bool:
        """Tell whether so much is kept that this shaper should be replaced."""
        extents = sum(len(size.extents) for size in self._plain.values())
        return (
            extents > MAX_EXTENTS
            or any(atlas.is_full() for atlas in self._atlases.values())
            or any(units.is_full() for units in self._units.values())
        )

    def units(self, script: str) -> Units:
        """Return the words of a script that are units of one glyph each."""
        if script not in self._units:
            self._units[script] = Units(self.atlas(script), self.rules)
        return self._units[script]

    def atlas(self, script: str) -> GlyphAtlas:
        """Return the glyphs of words of a script that keep them."""
        if script not in self._atlases:
            before = PLAIN_SCRIPTS[script] + " "
            self._atlases[script] = GlyphAtlas(self._font, ImageFont.Layout.RAQM, before)
        return self._atlases[script]

    def plain(self, size: int, script: str) -> ShapedSize:
        """Return what other words in plain lines of a script are measured with."""
        if (size, script) not in self._plain:
            self._plain[size, script] = ShapedSize(self.faces[size], script)
        return self._plain[size, script]
