"""Vision modes: the sizes of pages, by name. Imports nothing slow: command lines show them."""

from __future__ import annotations

from typing import NamedTuple

CELL = 64  # pixels of a page's side that DeepSeek-OCR's encoder turns into one row of vision tokens


def vision_tokens(width: int, height: int) -> int | None:
    """Return how many tokens the encoder makes of a page: cells, a newline a row, a separator.

    None where a side in pixels is not a whole number of cells: the encoder takes no such page.
    """
    columns, rows = width // CELL, height // CELL
    return None if width % CELL or height % CELL else rows * (columns + 1) + 1


def ratio(context_tokens: int, tokens: int | None) -> float | None:
    """Return how many context tokens there are for each vision token, to one decimal."""
    return None if tokens is None else round(context_tokens / tokens, 1)


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
        """Tokens the encoder makes of a square page; None where it takes no such page."""
        return vision_tokens(self.px, self.px)

    def ratio(self, context_tokens: int) -> float | None:
        """Return how many context tokens there are for each vision token, to one decimal."""
        return ratio(context_tokens, self.vision_tokens)


VISION_MODES = (
    VisionMode("tiny", 512),
    VisionMode("small", 640),
    VisionMode("base", 1024),
    VisionMode("large", 1280),
)
