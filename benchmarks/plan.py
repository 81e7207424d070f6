"""What `plan` says against what is made: python -m benchmarks.plan [--articles N] [--copies N].

Two corpora: the built-in articles several times over, with pages, and synthetic articles of about
Wikipedia's spread of lengths, the earlier ones longer, without pages.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.kills import write_input
from pipeline.data import data_file

MEDIAN, SPREAD = 2_500, 0.93  # of the characters of an article, and of their logarithm
BLOCK = 4096  # of the file system, whose blocks `plan` counts


def synthetic(count: int) -> Iterator[dict[str, str]]:
    """Yield articles of random paragraphs of the built-in ones, always the same."""
    texts = pq.read_table(data_file("finewiki_sample.parquet"), columns=["text"])["text"]
    paragraphs = [line for text in texts.to_pylist() for line in text.split("\n") if line]
    chance = random.Random(0)
    for number in range(count):
        longer = 1.4 - 0.8 * number / count
        wanted = longer * chance.lognormvariate(math.log(MEDIAN), SPREAD)
        text = ""
        while len(text) < wanted:
            text += chance.choice(paragraphs) + "\n"
        text = text[: int(wanted)]
        yield {"id": f"bench/{number}", "title": f"Article {number}", "text": text}


def pagecast(*words: str) -> str:
    """Carry out a command and return what it printed."""
    command = [sys.executable, "-P", "-m", "pipeline", *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def made(output: Path) -> dict[str, int]:
    """Return what there is, by the names that `plan --json` uses."""
    counts = json.loads((output / "split_manifest.json").read_text("ascii"))["counts"]
    sizes = [path.stat().st_size for path in output.rglob("*") if path.is_file()]
    return {
        "kept": counts["kept"],
        "samples": counts["samples"],
        "disk": sum(-(-size // BLOCK) * BLOCK for size in sizes),
        "files": sum(1 for _ in output.rglob("*")) + 1,  # directories too, as a disk counts them
    }


def compare(name: str, corpus: Path, output: Path, options: Sequence[str]) -> None:
    """Plan a run, make it, and print the numbers of both."""
    words = ["--input", str(corpus), "--output_dir", str(output), *options]
    said: dict[str, Any] = json.loads(pagecast("plan", *words, "--json"))
    started = time.perf_counter()
    pagecast("run", *words, "--quiet")
    found = {**made(output), "seconds": round(time.perf_counter() - started)}
    said |= {f"{key}": said["all_asked_for"][key] for key in ("disk", "files")}
    looked_at = said["looked_at"]["articles"]
    print(f"{name}: {said['articles']} articles, {looked_at} of them looked at")
    print("              said          low         high         made")
    for key, value in found.items():
        low, high = said[key]["low"], said[key]["high"]
        inside = "inside" if low <= value <= high else f"{value / said[key]['estimate']:.3f} of it"
        print(f"{key:8} {said[key]['estimate']:12,} {low:12,} {high:12,} {value:12,}  {inside}")


def main() -> None:
    """Run the benchmark and print what it found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--articles", type=int, default=30_000, help="synthetic (default: 30000)")
    parser.add_argument("--copies", type=int, default=10, help="of the built-in (default: 10)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        built_in = write_input(place / "built-in.parquet", given.copies)
        compare("built-in", built_in, place / "built-in", [])
        table = pa.Table.from_pylist(list(synthetic(given.articles)))
        pq.write_table(table, place / "synthetic.parquet", row_group_size=256)
        compare("synthetic", place / "synthetic.parquet", place / "synthetic", ["--no_images"])


if __name__ == "__main__":
    main()
