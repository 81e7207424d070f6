"""What styles cost: python -m benchmarks.styles [--samples N] [--varied N].

CPU time of drawing and encoding real contexts at all four modes, in this process, one style after
the other for each sample, so that all see the same machine; ratios are to the default style, the
last ones by pixel. Each has drawn some contexts before, which do not count: a job draws thousands.
Then twelve styles that samples vary between, over more contexts, against the default style for all
of them: what a run's workers do with pages, without reading, tokenizing, splitting and writing.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import PIL
from zlib_ng import zlib_ng

from benchmarks.render import SIZES, contexts
from pagecast.render import PageRenderer, encode_png
from pagecast.style import PageStyle
from pagecast.style.drawing import SheetRenderer
from pagecast.style.entry import StyleEntry, style_of
from pagecast.style.sheet import StyleSheet
from pipeline.cli.stylefile import read_styles
from pipeline.options import STYLES

WARM = 4  # contexts
KINDS: dict[str, dict[str, Any]] = {
    "default": {},
    "gray ink and paper": {"ink": 40, "paper": 235},
    "colours": {"ink": "#203040", "paper": "#fbf6e9"},
    "justify": {"align": "justify"},
    "center": {"align": "center"},
    "two columns, justify": {"columns": 2, "align": "justify"},
    "line height 1.0": {"line_height": 1.0},
    "size 12, more pages": {"size": 12},
    "newline break": {"newline": "break"},
    "newline mark": {"newline": "mark"},
    "shape 3:4": {"shape": "3:4"},
}
TWELVE: dict[str, dict[str, Any]] = {
    "plain": {},
    "airy": {"line_height": 1.5, "margins": 0.08},
    "gray": {"ink": 60, "paper": 245},
    "cream": {"ink": "#2b2620", "paper": "#fbf6e9"},
    "night": {"ink": "#d8dee9", "paper": "#1e222a"},
    "book": {"align": "justify", "newline": "break", "indent": 1.5},
    "journal": {"columns": 2, "align": "justify", "shape": "3:4", "ink": 26},
    "verse": {"align": "center", "newline": "break"},
    "marked": {"newline": "mark", "margins": 0.02},
    "tall": {"shape": "3:4", "line_height": 1.3},
    "blue": {"ink": "#1a3a6e", "margins": {"left": 0.12}},
    "tight": {"line_height": 1.05, "margins": 0.03, "paper": 250},
}


class Cost:
    """What a style's pages took: CPU seconds, pages, their pixels, and the bytes of their files."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.pages = self.pixels = self.size = 0

    def add(self, renderer: PageRenderer, text: str) -> None:
        """Draw and encode the pages of a text."""
        start = time.process_time()
        drawn = [page for pages in renderer.render_pages(text, SIZES) for page in pages.images]
        files = [encode_png(page) for page in drawn]
        self.seconds += time.process_time() - start
        self.pages += len(drawn)
        self.pixels += sum(page.width * page.height for page in drawn)
        self.size += sum(map(len, files))

    def row(self, name: str, samples: int, other: Cost) -> str:
        """Say what it was for each sample, and beside another."""
        ms, pages = 1000 * self.seconds / samples, self.pages / samples
        megapixels = self.pixels / samples / 1e6
        ratio, each = self.seconds / other.seconds, self.pixels / other.pixels
        return (
            f"{name:22}{ms:8.1f}{ratio:8.2f}{pages:8.1f}{megapixels:12.2f}{ratio / each:10.2f}"
            f"{self.size / samples:12,.0f}"
        )


HEAD = f"{'':22}{'ms':>8}{'ratio':>8}{'pages':>8}{'megapixels':>12}{'ratio/px':>10}{'bytes':>12}"


def kinds(texts: Sequence[str]) -> None:
    """Print a row for each kind of style, and for those that are shipped."""
    styles = {name: PageStyle(**fields) for name, fields in KINDS.items()}
    shipped = {f"shipped: {name}": read_styles(name).entries[0].first for name in STYLES[1:]}
    styles |= {name: style_of(fields) for name, fields in shipped.items()}
    renderers = {name: PageRenderer(style) for name, style in styles.items()}
    warm, costs = Cost(), {name: Cost() for name in styles}
    for number, text in enumerate([*texts[-WARM:], *texts]):
        for name, renderer in renderers.items():
            (costs[name] if number >= len(texts[-WARM:]) else warm).add(renderer, text)
    for name, cost in costs.items():
        print(cost.row(name, len(texts), costs["default"]))


def mixed(texts: Sequence[str], count: int) -> list[str]:
    """Return contexts of half of one text and half of another, no two alike."""
    pairs = ((n % len(texts), (n + 1 + n // len(texts)) % len(texts)) for n in range(count))
    return [texts[a][len(texts[a]) // 2 :] + texts[b][: len(texts[b]) // 2] for a, b in pairs]


def varied(texts: Sequence[str]) -> None:
    """Print what twelve styles take that samples vary between, beside the default style."""
    sheet = StyleSheet(tuple(StyleEntry.of(fields, name) for name, fields in TWELVE.items()))
    one, twelve = SheetRenderer(), SheetRenderer(sheet)
    plain, cost, drawn = Cost(), Cost(), Counter[str]()
    for number, text in enumerate(texts):
        sample, article = f"sample_{number:06}_chunk_0", f"enwiki/{number}"
        plain.add(one.of(sample, article)[1], text)
        label, renderer = twelve.of(sample, article)
        cost.add(renderer, text)
        drawn[label] += 1
    print(plain.row("default for all", len(texts), plain))
    print(cost.row("twelve styles varied", len(texts), plain))
    print(f"twelve / default: {cost.seconds / plain.seconds:.2f}, meant to be at most 1.3")
    print(f"samples of a style: {min(drawn.values())} to {max(drawn.values())} of {len(texts)}")


def main() -> None:
    """Run the benchmark and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--samples", type=int, default=20, help="contexts, up to 59 (default: 20)")
    parser.add_argument("--varied", type=int, default=1000, help="contexts (default: 1000)")
    given = parser.parse_args()
    print(
        f"{given.samples} samples at {', '.join(map(str, SIZES))} px, level 5; "
        f"Python {platform.python_version()}, Pillow {PIL.__version__}, "
        f"zlib-ng {zlib_ng.ZLIBNG_VERSION}\n{HEAD}"
    )
    kinds(contexts(given.samples))
    varied(mixed(contexts(59), given.varied))


if __name__ == "__main__":
    main()
