"""Pages of the dataset as they can stand in a page of HTML: as data, until they are too large."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from PIL import Image

from pagecast.dataset.layout import NONE
from pagecast.dataset.sample import STYLE
from pagecast.reader import PageReader
from pagecast.render.png import encode_png
from pagecast.style.record import pages_of
from pipeline.report.survey import lost

SHEET_BYTES, WORST_BYTES = 3_000_000, 2_000_000  # of images, before base64 adds a third

Sample = dict[str, Any]


class Images:
    """The pages of a dataset.

    Only images that the job has written: what lies under the name of one, or behind a link of
    that name, may be another's and nothing to be shown around.
    """

    def __init__(self, reader: PageReader, form: str, level: int) -> None:
        self._reader, self._form, self._level = reader, form, level

    def png(self, sample: Mapping[str, Any], mode: str, page: int = 0) -> bytes:
        """Return a page's image as a file."""
        if self._form == NONE:
            return encode_png(self.image(sample, mode, page), self._level)
        return self._reader.checked_png(sample["id"], mode, page)

    def image(self, sample: Mapping[str, Any], mode: str, page: int = 0) -> Image.Image:
        """Return a page's image."""
        if self._form == NONE:
            return self._reader.image(sample, mode, page)
        return Image.open(io.BytesIO(self.png(sample, mode, page)), formats=["PNG"])

    def images(self, sample: Mapping[str, Any], mode: str) -> list[Image.Image]:
        """Return the images of all pages of a sample, in order."""
        pages = pages_of(sample["font_metadata"][mode]) or 1
        return [self.image(sample, mode, page) for page in range(pages)]


class Shown(NamedTuple):
    """A page to show: of which sample, its mode, what is known of it, the image in base64.

    data: None where it would make the report too large.
    """

    sample: Sample
    mode: str
    facts: str
    data: str | None


class Gallery(NamedTuple):
    """Pages of some samples, and how many are left out."""

    samples: list[tuple[Sample, list[Shown]]]
    omitted: int


def gallery(chosen: Sequence[tuple[bytes, Sequence[str]]], images: Images, most: int) -> Gallery:
    """Return pages to show, until their images have `most` bytes.

    Args:
      chosen: lines of samples, each with the modes to show it at.
    """
    left, omitted, found = most, 0, []
    for line, modes in chosen:
        sample = json.loads(line)
        pages = []
        for mode in modes:
            png = images.png(sample, mode)
            fits = len(png) <= left
            left -= len(png) * fits
            omitted += not fits
            data = base64.b64encode(png).decode("ascii") if fits else None
            pages.append(Shown(sample, mode, facts(sample["font_metadata"][mode]), data))
        found.append((sample, pages))
    return Gallery(found, omitted)


def facts(page: Mapping[str, Any]) -> str:
    """Return what is known of a page, in a few words."""

    def said() -> Iterator[str]:
        undrawn, clipped = lost(dict(page))
        if STYLE in page:
            yield str(page[STYLE])
        yield f"{page['font_size']} px"
        yield f"{page['total_lines']:,} lines"
        if page["is_truncated"]:
            yield f"truncated: {undrawn:,} lines not drawn"
        if clipped:
            yield f"{clipped:,} clipped lines"
        if page["missing_glyphs"]:
            yield f"{page['missing_glyphs']:,} missing glyphs"

    return ", ".join(said())


def ink(page: Image.Image) -> float:
    """Return how dark a page is, in percent: 0 is all white, 100 is all black.

    Too little is an empty page, too much is unreadable.
    """
    counts = page.convert("L").histogram()
    dark = sum((255 - value) * n for value, n in enumerate(counts))
    return 100 * dark / (255 * page.width * page.height)
