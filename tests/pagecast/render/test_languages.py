"""The pages of docs/languages.md are what their texts give; its commands run in test_docs.py."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

from pagecast.render import PageRenderer
from pagecast.render.fonts import default_font
from pagecast.style import PageStyle
from pagecast.tokens.tokenizer import ArticleTokenizer

DOCS = Path(__file__).parents[3] / "docs/languages"
TOKENS = 600


class Language(NamedTuple):
    """How a page is made: the path and SHA-256 of its font, whether before DejaVu, and options."""

    font: str
    sha256: str
    goes_first: bool
    layout: str
    line_break: str

    def renderer(self) -> PageRenderer:
        """Return what draws the page; skip where Debian 12's font is not installed."""
        path = Path("/usr/share/fonts", self.font)
        if not path.exists():
            pytest.skip(f"{path} is not installed")
        if hashlib.sha256(content := path.read_bytes()).hexdigest() != self.sha256:
            pytest.skip(f"{path} is another version")
        fonts = (content, default_font()) if self.goes_first else (default_font(), content)
        return PageRenderer(PageStyle(fonts, self.layout, self.line_break))


LANGUAGES = {
    "japanese": Language(
        "opentype/ipafont-gothic/ipag.ttf",
        "503af4a8b84d1079b8e2e358dc7f7a7fb8cb7a1f212f35eaef6782dbfc75a55e",
        False,
        "basic",
        "unicode",
    ),
    "arabic": Language(
        "opentype/fonts-hosny-amiri/Amiri-Regular.ttf",
        "6f909d81f17de2919be4ce99fac51b07623794d9a46cfd1df53e2d6e669d9263",
        True,
        "harfbuzz",
        "spaces",
    ),
    "hindi": Language(
        "truetype/lohit-devanagari/Lohit-Devanagari.ttf",
        "245eef612b94246c6ab9640d07ce21d3d886fabeba6d4ba5beaa859ba58bc7d0",
        True,
        "harfbuzz",
        "spaces",
    ),
}


def context(name: str, tokenizer: ArticleTokenizer) -> str:
    tokens = tokenizer.encode((DOCS / f"{name}.txt").read_text("utf-8"))
    return tokenizer.decode(tokens[:TOKENS])


@pytest.mark.parametrize("name", LANGUAGES)
def test_the_images_are_those_of_the_texts(name: str, tokenizer: ArticleTokenizer) -> None:
    image, metadata = LANGUAGES[name].renderer().render(context(name, tokenizer), 640)
    assert metadata.missing_glyphs == metadata.clipped_lines == 0
    told = f"{name} {name} 0 {metadata.font_size} {metadata.total_lines} 0"
    assert told in (DOCS.parent / "languages.md").read_text("utf-8")
    with Image.open(DOCS / f"{name}.png") as shown:
        assert shown.tobytes() == image.tobytes()
    assert (DOCS / f"{name}.png").stat().st_size < 100_000
