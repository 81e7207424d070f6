"""What a sample says of its pages of one mode: how its text was set, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pagecast.dataset.sample import STYLE
from pagecast.modes import ratio, vision_tokens
from pagecast.style.frame import frame
from pagecast.style.sheet import StyleSheet
from pagecast.style.style import PageStyle

PAGES, VISION_TOKENS, RATIO = COSTS = "pages", "vision_tokens", "ratio"


def pages_of(record: Mapping[str, Any]) -> int | None:
    """Return how many pages a sample has by its record; None where it does not count them."""
    return record.get(PAGES)


def costs_of_mode(sheet: StyleSheet, px: int, context_tokens: int) -> dict[str, Any]:
    """Return the vision tokens of a page of a mode, and the ratio of the context's to these.

    None where these are not the same for all samples, or the encoder takes no such page.
    """
    found = {vision_tokens(*size) for size in sheet.page_sizes(px)}
    tokens = found.pop() if len(found) == 1 else None
    return {
        VISION_TOKENS: tokens,
        RATIO: None if sheet.is_paged else ratio(context_tokens, tokens),
    }


def page_record(
    metadata: Mapping[str, Any],
    sheet: StyleSheet,
    drawn: tuple[str, PageStyle],
    px: int,
    context_tokens: int,
) -> dict[str, Any]:
    """Return what the `font_metadata` of a sample say of one mode.

    Where texts may take more than one page that is also how many there are, their vision tokens
    together, and the ratio to these; where styles vary, the label of this one.

    Args:
      metadata: how the text was set. drawn: the label and the style of its pages. px: of the mode.
      context_tokens: of the text.
    """
    label, style = drawn
    record = dict(metadata)
    if sheet.is_paged:
        pages = frame(style, px).pages(metadata["font_size"], metadata["rendered_lines"])
        of_one = vision_tokens(*style.page_size(px))
        tokens = None if of_one is None else of_one * pages
        record |= {PAGES: pages, VISION_TOKENS: tokens, RATIO: ratio(context_tokens, tokens)}
    if sheet.is_varied:
        record[STYLE] = label
    return record
