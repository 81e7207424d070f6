"""How fast pages are made: python -m benchmarks.render [--samples N] [--layout raqm] [--level L].

Renders real contexts at all four modes, sample by sample with the oracle and the production
renderer in turn, so that both see the same machine; with another layout than basic, also in that.
The production renderer starts cold.
"""

from __future__ import annotations

import argparse
import io
import json
import platform
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import PIL
from PIL import Image, ImageDraw, features
from zlib_ng import zlib_ng

from pagecast.render import PageRenderer, encode_png
from pagecast.render.draw import WHITE, _stamp
from pagecast.render.oracle import OracleRenderer
from pagecast.render.page import draw, fit, place
from pagecast.render.png import filtered_rows
from pagecast.style import PageStyle

CONTEXTS = Path(__file__).parent.parent / "tests" / "data" / "sample.golden.jsonl"
SIZES = (512, 640, 1024, 1280)
Result = TypeVar("Result")


class Clock:
    """Adds up the time that named steps take."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def time(self, step: str, work: Callable[..., Result], *arguments: Any) -> Result:
        """Call `work` with the arguments and return its result."""
        start = time.perf_counter()
        result = work(*arguments)
        self.seconds[step] += time.perf_counter() - start
        return result


def contexts(count: int) -> list[str]:
    """Return `count` texts of 1000 tokens, spread over the built-in sample, or all it has."""
    lines = CONTEXTS.read_text("utf-8").splitlines()
    chosen = lines[:: max(1, len(lines) // count)][:count]
    return [json.loads(line)["context_text"] for line in chosen]


def plainly(oracle: OracleRenderer, text: str) -> list[bytes]:
    """Render and encode pages as is done without much thought."""
    files = [io.BytesIO() for _ in SIZES]
    for px, file in zip(SIZES, files, strict=True):
        oracle.render(text, px).image.convert("RGB").save(file, "PNG", optimize=True)
    return [file.getvalue() for file in files]


def production(renderer: PageRenderer, text: str, level: int) -> list[bytes]:
    return [encode_png(page.image, level) for page in renderer.render_sizes(text, SIZES)]


def pixels(png: bytes) -> bytes:
    """Decode a page as the trainer does."""
    with Image.open(io.BytesIO(png)) as image:
        return image.convert("RGB").tobytes()


def steps(clock: Clock, renderer: PageRenderer, text: str, level: int) -> None:
    """Time the steps one by one, and what they cannot do without: stamping and deflating."""
    settable, _ = clock.time("prepare", renderer._prepare, text)
    for px in SIZES:
        page = clock.time("fit", fit, settable, renderer._frame(px))
        image = clock.time("stamp", draw, page, 0)
        clock.time("encode", encode_png, image, level)

        lines = page.set_text.marks(list(place(page, range(page.rendered), page.frame.lefts[0])))
        lefts = [left for line in lines for left in line.lefts]
        tops = [top for line in lines for top in line.tops]
        masks = [mask for line in lines for mask in line.masks]
        paper, rows = Image.new("L", (px, px), WHITE), filtered_rows(image)
        whole = lines[0]._replace(lefts=lefts, tops=tops, masks=masks)
        drawing = ImageDraw.Draw(paper).draw
        clock.time("bare stamping", _stamp, drawing, whole)
        clock.time("bare zlib-ng", zlib_ng.compress, rows, level)


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, default=20, help="contexts, up to 59 (default: 20)")
    parser.add_argument("--layout", default="basic", help="basic or raqm (default: basic)")
    parser.add_argument("--level", type=int, default=5, help="PNG level (default: 5)")
    options = parser.parse_args(arguments)
    texts = contexts(options.samples)

    clock, size = Clock(), {"plain": 0, "ours": 0}
    style = PageStyle(layout=options.layout)
    oracle, renderer = OracleRenderer(style), PageRenderer(style)
    basic = PageRenderer() if options.layout != "basic" else None
    for text in texts:
        plain = clock.time("oracle", plainly, oracle, text)
        ours = clock.time("production", production, renderer, text, options.level)
        if basic:
            clock.time("basic", production, basic, text, options.level)
        size["plain"] += sum(map(len, plain))
        size["ours"] += sum(map(len, ours))
        if list(map(pixels, plain)) != list(map(pixels, ours)):
            raise SystemExit("production and oracle differ")
    for text in texts:
        steps(clock, renderer, text, options.level)
    print_table(len(texts), options.layout, options.level, clock.seconds, size)


def print_table(
    samples: int, layout: str, level: int, seconds: dict[str, float], size: dict[str, int]
) -> None:
    ms = {step: 1000 * value / samples for step, value in seconds.items()}
    whole = sum(ms[step] for step in ("prepare", "fit", "stamp", "encode"))
    floor = ms["bare zlib-ng"]
    print(
        f"{samples} samples at {', '.join(map(str, SIZES))} px, layout {layout}, level {level}; "
        f"Python {platform.python_version()}, Pillow {PIL.__version__}, "
        f"FreeType {features.version('freetype2')}, numpy {np.__version__}, "
        f"zlib-ng {zlib_ng.ZLIBNG_VERSION}"
    )
    print(f"{'':24}{'ms a sample':>12}{'share':>8}")
    for name in ("oracle", "production"):
        print(f"{name:24}{ms[name]:12.1f}")
    for step in ("prepare", "fit", "stamp", "encode"):
        print(f"  {step:22}{ms[step]:12.1f}{ms[step] / whole:8.0%}")
    for step in ("bare stamping", "bare zlib-ng"):
        print(f"{step:24}{ms[step]:12.1f}")
    print(f"{'oracle / production':24}{ms['oracle'] / ms['production']:12.0f}")
    if "basic" in ms:
        print(f"{'production in basic':24}{ms['basic']:12.1f}")
        print(f"{'layout / basic':24}{ms['production'] / ms['basic']:12.2f}")
    print(f"{'whole / floor':24}{whole / floor:12.2f}   floor: bare zlib-ng")
    ratio = size["ours"] / size["plain"]
    print(f"{'bytes a sample':24}{size['ours'] / samples:12,.0f}   {ratio:.3f} of RGB, optimized")


if __name__ == "__main__":
    main()
