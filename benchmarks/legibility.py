"""How legible the shipped styles are: python -m benchmarks.legibility [--picture FILE].

Runs the built-in articles once in each style, and has Tesseract read the pages of the same samples
at all modes. Prints a row of each style and mode; --picture draws them too, as docs/legibility.md
shows them.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import PIL

from pipeline.data import data_file
from pipeline.options import STYLES
from pipeline.report.legibility.ocr import Read, load_tesseract
from pipeline.report.legibility.plot import plot
from pipeline.report.legibility.readings import Legibility, Reading, summary
from pipeline.report.make import measure_legibility, template

IN_COLUMNS = ("paper",)
HEAD = ("style", "mode", "pages", "font", "ratio", "least", "median", "most", "mean")


def run(style: str, output: Path, modes: list[str]) -> None:
    """Make the demo in a style; its pages are drawn when they are read."""
    options = ["--style", style, "--output_dir", str(output), "--no_images", "--no_report"]
    given = [*options, "--quiet", *(["--modes", *modes] if modes else [])]
    sample = str(data_file("finewiki_sample.parquet"))
    command = [sys.executable, "-P", "-m", "pipeline", "run", "--input", sample, *given]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def enlarged(read: Read, times: int) -> Read:
    """Return what shows pages to a reader so many times as large: Tesseract is made for scans."""
    return lambda page: read(page.resize((times * page.width, times * page.height)))


def readings(given: argparse.Namespace) -> Iterator[Reading]:
    """Yield what comes of reading the same samples in each style."""
    with tempfile.TemporaryDirectory() as directory:
        for style in given.styles:
            run(style, output := Path(directory) / style, given.modes)
            judge = load_tesseract("eng", style in IN_COLUMNS)
            read = enlarged(judge.read, given.enlarge)
            for reading in measure_legibility(str(output), read, given.samples):
                yield reading._replace(style=style)


def cells(of: Legibility) -> list[str]:
    """Return the row of a style and mode; rates are in percent."""
    ratio = "none" if of.ratio is None else f"{of.ratio:.1f}"
    rates = (f"{100 * rate:.1f}" for rate in (of.least, of.median, of.most, of.mean))
    return [of.style, of.mode, str(of.pages), f"{of.font_size} px", ratio, *rates]


def main() -> None:
    """Run the benchmark and print what it found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--samples", type=int, default=12, help="of each style (default: 12)")
    parser.add_argument("--styles", nargs="+", default=STYLES, help="default: all that are shipped")
    parser.add_argument("--modes", nargs="+", default=[], help="default: all")
    parser.add_argument("--enlarge", type=int, default=1, help="times, before reading (default: 1)")
    parser.add_argument("--picture", type=Path, help="an SVG to write")
    given = parser.parse_args()
    name = load_tesseract("eng", in_columns=False).name
    found = summary(readings(given))
    print(
        f"{given.samples} samples of each style, enlarged {given.enlarge} times, read by "
        f"{name}; Python {platform.python_version()}, Pillow {PIL.__version__}; "
        f"error rates in percent"
    )
    for row in (HEAD, *map(cells, found)):
        first, mode, *numbers = row
        print(f"{first:8} {mode:6}" + "".join(f"{number:>8}" for number in numbers))
    if given.picture:
        drawn = template("plot.svg").render(plot=plot(found), alone=True)
        given.picture.write_text(drawn + "\n", "utf-8")


if __name__ == "__main__":
    main()
