"""What pages of each language take: python -m benchmarks.languages [--only eng arb] [--pages DIR].

Over translations of the Universal Declaration of Human Rights, each set as `--language` would, with
the fonts of this machine: four pages of its first 4000 characters, relative to English with the
defaults in the same run. Of a script its number of languages; the mean and the largest time; how
many languages have characters that no font shows; clipped lines and truncated pages. With --pages
the beginning of each text is drawn too, small, as in docs/languages.md.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import icu

from pagecast import VISION_MODES, PageMetadata, PageRenderer, PageStyle
from pagecast.render import encode_png
from pipeline.launch.fonts import choose, files, installed, read_face

TEXTS = Path(__file__).with_name("data") / "udhr.jsonl.gz"
CHARACTERS = 4000
SMALL_CHARACTERS, SMALL_PAGE = 330, 320  # of pages for documents; px
SIZES = [mode.px for mode in VISION_MODES]
ROUNDS = 3
FONTS = 16  # sets of them kept open: one of Han takes 20 MB


class Found(NamedTuple):
    """What the pages of a language took, in seconds, and how they came out."""

    script: str
    code: str
    seconds: float
    missing: int
    clipped: int
    truncated: int


def declarations() -> Iterator[tuple[str, str]]:
    """Yield codes and texts."""
    with gzip.open(TEXTS, "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            yield record["code"], record["text"][:CHARACTERS]


def draw(renderer: PageRenderer, text: str) -> tuple[float, list[PageMetadata]]:
    """Return the shortest time for the pages of a text, and what they say of themselves."""
    shortest, metadata = float("inf"), list[PageMetadata]()
    for _ in range(1 + ROUNDS):  # the first makes what is kept
        started = time.perf_counter()
        metadata = [page.metadata for page in renderer.render_sizes(text, SIZES)]
        shortest = min(shortest, time.perf_counter() - started)
    return shortest, metadata


def script_of(text: str) -> str:
    """Return the script of most letters of a text."""
    letters = Counter(character for character in text if character.isalpha())
    scripts: Counter[str] = Counter()
    for letter, count in letters.items():
        scripts[icu.Script.getScript(ord(letter)).getName()] += count
    return scripts.most_common(1)[0][0]


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="CODE", help="these languages")
    parser.add_argument("--pages", type=Path, metavar="DIR", help="draw a small page of each too")
    given = parser.parse_args()
    only = given.only
    fonts = installed(files())
    kept: dict[tuple[str, ...], PageRenderer] = {}

    @cache
    def english() -> float:
        text = next(text for code, text in declarations() if code == "eng")
        return draw(PageRenderer(), text)[0]

    found = []
    for code, text in declarations():
        if only and code not in only:
            continue
        chosen = choose(Counter(text), fonts).fonts
        names = tuple(font.name for font in chosen)
        if names not in kept:
            if len(kept) >= FONTS:
                kept.clear()
            contents = [
                read_face(font.path, font.number) if "#" in font.name else
                Path(font.path).read_bytes()
                for font in chosen
            ]  # fmt: skip
            kept[names] = PageRenderer(PageStyle(tuple(contents), "harfbuzz", "unicode"))
        if given.pages:
            page = kept[names].render(text[:SMALL_CHARACTERS], SMALL_PAGE)
            (given.pages / f"{code}.png").write_bytes(encode_png(page.image, 9))
        seconds, pages = draw(kept[names], text)
        found.append(
            Found(
                script_of(text),
                code,
                seconds / english(),
                pages[0].missing_glyphs,
                sum(page.clipped_lines for page in pages),
                sum(page.is_truncated for page in pages),
            )
        )
    table(found, english())


def table(found: list[Found], english: float) -> None:
    """Print a row for each script, the costliest first, and one for all."""
    by_script: defaultdict[str, list[Found]] = defaultdict(list)
    for one in found:
        by_script[one.script].append(one)
    rows = sorted(by_script.items(), key=lambda row: -mean(row[1]))
    print(f"English, basic: {1000 * english:.1f} ms for four pages")
    print(
        f"{'script':24}{'languages':>10}{'mean':>7}{'most':>7}  {'missing in':12}clipped  truncated"
    )
    for script, ones in [*rows, ("all", found)]:
        most = max(ones, key=lambda one: one.seconds)
        lacking = sum(one.missing > 0 for one in ones)
        print(
            f"{script:24}{len(ones):>10}{mean(ones):>7.1f}{most.seconds:>7.1f}  {lacking:<12}"
            f"{sum(one.clipped for one in ones):<9}{sum(one.truncated for one in ones)}"
        )
    for one in found:
        if one.missing:
            print(f"missing in {one.code}: {one.missing} clusters")


def mean(found: list[Found]) -> float:
    """Return the mean time."""
    return sum(one.seconds for one in found) / len(found)


if __name__ == "__main__":
    main()
