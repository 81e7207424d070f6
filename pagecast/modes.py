"""Vision modes: the sizes of pages, by name. Imports nothing slow: command lines show them."""

from __future__ import annotations

from typing import NamedTuple

CELL = 64  # pixels of a page's side that DeepSeek-OCR's encoder turns into one row of vision tokens


class VisionMode(NamedTuple):
    """A named page size: the side of a square, in pixels.

    >>> VisionMode("tiny", 512).vision_tokens
    73
    >>> VisionMode("tiny", 512).ratio(1000)
    13.7
    """

    name: str
    px: int

    @property
    def vision_tokens(self) -> int | None:
        """Tokens the encoder makes of a page: a square of cells, a newline a row, a separator.

        None where the side is not a whole number of cells: the encoder takes no such page.
        """
        cells, rest = divmod(self.px, CELL)
        return None if rest else cells * cells + cells + 1

    def ratio(self, context_tokens: int) -> float | None:
        """Return how many context tokens there are for each vision token, to one decimal."""
        return None if self.vision_tokens is None else round(context_tokens / self.vision_tokens, 1)


VISION_MODES = (
    VisionMode("tiny", 512),
    VisionMode("small", 640),
    VisionMode("base", 1024),
    VisionMode("large", 1280),
)
