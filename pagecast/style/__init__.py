"""Page styles: what decides how a text becomes a page. Draws nothing."""

from __future__ import annotations

from pagecast.style.style import PageStyle

__all__ = ["PageStyle"]
