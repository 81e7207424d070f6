"""A font under libraqm, and what was measured with it."""

from __future__ import annotations

from PIL import ImageFont, features

from pagecast.render.fonts.faces import Faces
from pagecast.render.glyphs import GlyphAtlas
from pagecast.render.layouts.raqm.rules import read_rules
from pagecast.render.layouts.raqm.units import PLAIN_SCRIPTS, Words
from pagecast.style.style import LARGEST_FIT


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
    """A font under libraqm: its faces and rules, and the words met of each plain script."""

    def __init__(self, font: bytes, largest: int = LARGEST_FIT) -> None:
        self.faces = Faces(font, ImageFont.Layout.RAQM)
        self.rules = read_rules(font)
        self._font, self._largest = font, largest
        self._words: dict[str, Words] = {}

    def is_full(self) -> bool:
        """Tell whether so much is kept that this shaper should be replaced."""
        return any(words.is_full() for words in self._words.values())

    def words(self, script: str) -> Words:
        """Return what words are in texts of a plain script."""
        if script not in self._words:
            before = PLAIN_SCRIPTS[script] + " "
            em = self.rules.units_per_em
            atlas = GlyphAtlas(self._font, ImageFont.Layout.RAQM, before, em, self._largest)
            self._words[script] = Words(script, atlas, self.faces, self.rules)
        return self._words[script]
