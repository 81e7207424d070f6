"""What a sample says of its pages of one mode: how its text was set, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pagecast.modes import vision_tokens
from pagecast.style.frame import frame
from pagecast.style.style import PageStyle

PAGES, VISION_TOKENS, RATIO, STYLE = "pages", "vision_tokens", "ratio", "style"


def pages_of(record: Mapping[str, Any]) -> int | None:
    """Return how many pages a sample has by its record; None where it does not count them."""
    return record.get(PAGES)


def costs(
    style: PageStyle, px: int, metadata: Mapping[str, Any], context_tokens: int
) -> dict[str, Any]:
    """Return how many pages there are, their vision tokens together, and the ratio to these.

    Args:
      metadata: of the pages. context_tokens: of the text.
    """
    pages = frame(style, px).pages(metadata["font_size"], metadata["rendered_lines"])
    tokens = vision_tokens(*style.page_size(px))
    return {
        PAGES: pages,
        VISION_TOKENS: None if tokens is None else tokens * pages,
        RATIO: None if tokens is None else round(context_tokens / (tokens * pages), 1),
    }
