"""How fast the whole job is: python -m benchmarks.pipeline [--samples N] [--workers N].

Makes a corpus of paragraphs of real articles, recombined, then runs the real command with one
worker and with several. A job of one short article says what start-up costs; it is taken off.
Efficiency is the samples a second over what the workers would do if they only made pages
(workers / ms a sample, measured in this process in the same run).
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.render import SIZES, contexts
from pagecast.render import PageRenderer, encode_png
from pipeline.data import data_file

CHARACTERS_PER_SAMPLE = 2000 * 5.1  # English, with this tokenizer, about
ARTICLE_CHARACTERS = (4_000, 40_000)
GROUP_ROWS = 64
PAGE_KB = 4  # of memory, in /proc


class Measured(NamedTuple):
    """Wall seconds of a job, and (seconds, is launcher, megabytes) seen while it ran."""

    seconds: float
    seen: list[tuple[float, bool, float]]

    def peak(self, launcher: bool, start: float, end: float) -> float:
        """Return the most megabytes seen in a process between two fractions of the run."""
        first, last = start * self.seconds, end * self.seconds
        sizes = (mb for at, kind, mb in self.seen if kind is launcher and first <= at <= last)
        return max(sizes, default=0.0)


def recombined(source: str, samples: int) -> Iterator[dict[str, str]]:
    """Yield articles of random paragraphs of those in `source`: no two alike, always the same."""
    texts = pq.read_table(source, columns=["text"])["text"].to_pylist()
    paragraphs = [line for text in texts for line in text.split("\n") if len(line) > 40]
    chance = random.Random(0)
    made = 0.0
    for number in range(10**9):
        if made >= samples:
            return
        wanted, lines = chance.randint(*ARTICLE_CHARACTERS), [f"# Article {number}"]
        while sum(map(len, lines)) < wanted:
            lines.append(chance.choice(paragraphs))
        text = "\n".join(lines)
        made += len(text) // CHARACTERS_PER_SAMPLE
        yield {"id": f"bench/{number}", "title": f"Article {number}", "text": text}


def milliseconds_a_sample(count: int = 20) -> float:
    """Measure what all pages of a sample cost in one process, once it is warm."""
    renderer, texts = PageRenderer(), contexts(count)
    for _ in range(2):
        started = time.perf_counter()
        for text in texts:
            for page in renderer.render_sizes(text, SIZES):
                encode_png(page.image)
        seconds = time.perf_counter() - started
    return 1000 * seconds / len(texts)


def resident(pid: int) -> float:
    """Return a process's resident set in megabytes, 0 if it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * PAGE_KB / 1024


def children(pid: int) -> list[int]:
    """Return the processes that a process started."""
    try:
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return [int(p) for t in tasks for p in (t / "children").read_text().split()]
    except OSError:
        return []


def run(corpus: Path, output: Path, workers: int) -> Measured:
    """Run the command and watch its memory."""
    command = [sys.executable, "-m", "pipeline", "run", "--input", str(corpus)]
    command += ["--output_dir", str(output), "--workers", str(workers)]
    seen: list[tuple[float, bool, float]] = []
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as job:
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.2):
                at = time.perf_counter() - started
                seen.append((at, True, resident(job.pid)))
                seen.extend((at, False, resident(pid)) for pid in children(job.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        code = job.wait()
        seconds = time.perf_counter() - started
        done.set()
        watcher.join()
    if code:
        raise SystemExit(f"the job failed with exit code {code}")
    return Measured(seconds, seen)


def report(workers: int, start: Measured, job: Measured, output: Path, ms: float) -> None:
    """Print what one job came to."""
    manifest = json.loads((output / "split_manifest.json").read_text("ascii"))
    samples = manifest["counts"]["samples"]
    megabytes = sum(f.stat().st_size for f in output.rglob("*") if f.is_file()) / 1e6
    net = job.seconds - start.seconds
    print(
        f"{workers} worker(s): {samples} samples, {job.seconds:.1f} s, start-up {start.seconds:.1f}"
    )
    print(f"  without start-up  {samples / net:6.1f} samples/s, {megabytes / net:.0f} MB/s written")
    print(f"  efficiency        {samples / net * ms / 1000 / workers:6.2f}")
    for name, launcher in (("launcher", True), ("largest worker", False)):
        early, late = job.peak(launcher, 0, 0.33), job.peak(launcher, 0.67, 1)
        if late:
            print(f"  {name:16}  {early:6.0f} MB in the first third, {late:.0f} MB in the last")


def main() -> None:
    """Run the benchmark and print what it found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--samples", type=int, default=2000, help="about so many (default: 2000)")
    parser.add_argument("--workers", type=int, default=2, help="beside one alone (default: 2)")
    parser.add_argument("--articles", default=str(data_file("finewiki_sample.parquet")))
    given = parser.parse_args()
    ms = milliseconds_a_sample(min(20, given.samples))
    print(f"pages of a sample: {ms:.1f} ms in one process")
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        corpus, short = place / "corpus.parquet", place / "short.parquet"
        made = pa.Table.from_pylist(list(recombined(given.articles, given.samples)))
        pq.write_table(made, corpus, row_group_size=GROUP_ROWS)
        pq.write_table(pa.table({"id": ["x"], "title": ["x"], "text": ["short"]}), short)
        for workers in sorted({1, given.workers}):
            output = place / f"out{workers}"
            start = run(short, place / f"start{workers}", workers)
            report(workers, start, run(corpus, output, workers), output, ms)


if __name__ == "__main__":
    main()
