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


def page_record(
    metadata: Mapping[str, Any], style: PageStyle, px: int, context_tokens: int, is_paged: bool
) -> dict[str, Any]:
    """Return what the `font_metadata` of a sample say of one mode.

    Args:
      metadata: how the text was set. px: of the mode. context_tokens: of the text.
      is_paged: whether samples of the dataset are lists of pages: then also how many there are,
        their vision tokens together, and the ratio to these.
    """
    if not is_paged:
        return dict(metadata)
    pages = frame(style, px).pages(metadata["font_size"], metadata["rendered_lines"])
    tokens = vision_tokens(*style.page_size(px))
    return {
        **metadata,
        PAGES: pages,
        VISION_TOKENS: None if tokens is None else tokens * pages,
        RATIO: None if tokens is None else round(context_tokens / (tokens * pages), 1),
    }
