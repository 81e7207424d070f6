"""The contact sheet and the worst pages: pictures beside their text, which can be enlarged.

That needs no script: a link goes to the picture, and the style shows where it went at full size.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PIL import Image

from pipeline.report.markup import name, paragraph, section, text
from pipeline.report.survey import Page, lost
from transforms.pictures import NONE
from transforms.reader import PageReader
from transforms.render.png import encode_png

CHOSEN = 8  # samples on the contact sheet
MOST_TEXT = 20_000  # characters of a text that are shown
SHEET_BYTES, WORST_BYTES = 3_000_000, 2_000_000  # of pictures, before base64 adds a third

Sample = dict[str, Any]


class Pictures:
    """The pages of a dataset as they can stand in a page of HTML.

    Only pictures that the job has written: what lies under the name of one, or behind a link of
    that name, may be another's and nothing to be shown around.
    """

    def __init__(self, reader: PageReader, form: str, level: int) -> None:
        self._reader, self._form, self._level = reader, form, level

    def png(self, sample: Mapping[str, Any], mode: str) -> bytes:
        """Return a page's picture as a file."""
        if self._form == NONE:
            return encode_png(self.image(sample, mode), self._level)
        return self._reader.checked_png(sample["id"], mode)

    def image(self, sample: Mapping[str, Any], mode: str) -> Image.Image:
        """Return a page's picture."""
        if self._form == NONE:
            return self._reader.image(sample, mode)
        return Image.open(io.BytesIO(self.png(sample, mode)), formats=["PNG"])


class Budget:
    """Pictures for a part of the report, until so many bytes are spent."""

    def __init__(self, png: Callable[[Sample, str], bytes], left: int) -> None:
        self._png, self._left = png, left
        self.omitted = 0

    def figure(self, anchor: str, sample: Sample, mode: str, caption: str) -> str:
        """Return a page's picture with what is said of it, or only that where it is too large."""
        picture = self._png(sample, mode)
        if len(picture) > self._left:
            self.omitted += 1
            return f'<figure class="page omitted"><figcaption>{caption}</figcaption></figure>'
        self._left -= len(picture)
        data = base64.b64encode(picture).decode("ascii")
        of = f"Page of {text(sample['title'] or sample['id'])} in mode {text(mode)}"
        anchor = f"{anchor}-{text(sample['id'])}-{text(mode)}"
        return (
            f'<figure class="page" id="{anchor}">'
            f'<a class="open" href="#{anchor}" aria-label="Enlarge: {of}">'
            f'<img src="data:image/png;base64,{data}" alt="{of}; its text is in this section" '
            'loading="lazy"></a>'
            f'<a class="close" href="#at-{anchor}">Close</a>'
            f'<figcaption id="at-{anchor}">{caption}</figcaption></figure>'
        )

    def note(self) -> str:
        """Say what was left out."""
        if not self.omitted:
            return ""
        return paragraph(f"{self.omitted} pictures are left out, to keep this file small.")


def facts(page: Mapping[str, Any]) -> str:
    """Return what is known of a page, in a few words."""
    undrawn, clipped = lost(dict(page))
    said = [f"{page['font_size']} px", f"{page['total_lines']:,} lines"]
    said += [f"truncated: {undrawn:,} lines not drawn"] if page["is_truncated"] else []
    said += [f"{clipped:,} clipped lines"] if clipped else []
    said += [f"{page['missing_glyphs']:,} missing glyphs"] if page["missing_glyphs"] else []
    return ", ".join(said)


def contact_sheet(lines: Sequence[bytes], modes: Sequence[str], pictures: Pictures) -> str:
    """Return the section of samples chosen at random, at all modes beside their text."""
    budget = Budget(pictures.png, SHEET_BYTES)
    shown = [_sample(json.loads(line), modes, budget) for line in lines]
    return section(
        "samples",
        "Samples chosen at random",
        paragraph("Choose a picture to see it at full size."),
        *shown,
        budget.note(),
    )


def worst_pages(pages: Sequence[Page], pictures: Pictures, whereof: str) -> str:
    """Return the section of the pages that are hardest to read."""
    budget = Budget(pictures.png, WORST_BYTES)
    shown = []
    for line, mode in pages:
        sample = json.loads(line)
        caption = (
            f"<strong>{text(mode)}</strong>: {text(facts(sample['font_metadata'][mode]))}"
            f"<br>{name(sample['title'])}<br><small>{text(sample['id'])}</small>"
        )
        figure = budget.figure("worst", sample, mode, caption)
        shown.append(f"<li>{figure}{_text(sample)}</li>")
    return section(
        "worst",
        "Worst pages",
        paragraph(
            f"Of {whereof}: pages that lack lines, then those with most missing glyphs, then those "
            "with the smallest font. One page of a sample for each of these."
        ),
        f'<ol class="worst">{"".join(shown)}</ol>',
        budget.note(),
    )


def _sample(sample: Sample, modes: Sequence[str], budget: Budget) -> str:
    figures = [
        budget.figure(
            "sample", sample, mode,
            f"<strong>{text(mode)}</strong>: {text(facts(sample['font_metadata'][mode]))}",
        )
        for mode in modes
    ]  # fmt: skip
    return (
        f"<article><h3>{name(sample['title'] or sample['wiki_id'])}</h3>"
        f"<p><small>{text(sample['id'])}, article {name(sample['wiki_id'])}, "
        f"{sample['total_article_tokens']:,} tokens</small></p>"
        f'<div class="sample"><div class="pages">{"".join(figures)}</div>'
        f'<div class="text" tabindex="0" role="region" aria-label="Text of {text(sample["id"])}" '
        f'dir="auto">{text(sample["context_text"], MOST_TEXT)}</div></div></article>'
    )


def _text(sample: Sample) -> str:
    return (
        '<details><summary>Text</summary><div class="text" tabindex="0" dir="auto">'
        f"{text(sample['context_text'], MOST_TEXT)}</div></details>"
    )
