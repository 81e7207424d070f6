"""Pages: images of a text, as large as fits. Knows nothing of Beam, files or options."""

from __future__ import annotations

from pagecast.render.page import Page, PageMetadata, PageRenderer
from pagecast.render.png import encode_png

__all__ = ["Page", "PageMetadata", "PageRenderer", "encode_png"]
