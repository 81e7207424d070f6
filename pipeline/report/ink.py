"""How much of a page is ink: too little is an empty page, too much is unreadable."""

from __future__ import annotations

from PIL import Image


def ink(page: Image.Image) -> float:
    """Return how dark a gray page is, in percent: 0 is all white, 100 is all black."""
    counts = page.histogram()
    dark = sum((255 - value) * n for value, n in enumerate(counts))
    return 100 * dark / (255 * page.width * page.height)
