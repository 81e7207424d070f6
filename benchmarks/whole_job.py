"""How well the whole job uses two workers, and what memory it takes, in one run.

    python benchmarks/whole_job.py [--samples 2000] [--modes tiny,small,base,large]

Repeats the built-in articles under new ids until there are enough samples, then runs the command
with one worker and with two. A job of one short article says what start-up costs with each; it is
taken off. Efficiency is the time of one worker over twice the time of two. Memory is the largest
resident set seen in the launcher and in any worker, in the first and the last third of the run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.data import data_file

SAMPLES_PER_COPY = 59  # what the built-in articles give
PAGE_KB = 4


class Measured(NamedTuple):
    """Wall seconds of a job, and (seconds, is launcher, megabytes) seen while it ran."""

    seconds: float
    seen: list[tuple[float, bool, float]]

    def peak(self, launcher: bool, start: float, end: float) -> float:
        """Return the most megabytes seen in a process between two fractions of the run."""
        first, last = start * self.seconds, end * self.seconds
        sizes = (mb for at, kind, mb in self.seen if kind is launcher and first <= at <= last)
        return max(sizes, default=0.0)


def write_corpus(directory: Path, copies: int) -> Path:
    """Write the built-in articles `copies` times, each with ids of its own, 64 rows a group."""
    table = pq.read_table(str(data_file("finewiki_sample.parquet")))
    directory.mkdir()
    with pq.ParquetWriter(directory / "articles.parquet", table.schema) as writer:
        for copy in range(0, copies, 2):
            parts = [with_new_ids(table, n) for n in (copy, copy + 1)]
            writer.write_table(pa.concat_tables(parts))
    return directory


def with_new_ids(table: pa.Table, copy: int) -> pa.Table:
    """Return the table with every id made another article's."""
    ids = pa.array([f"copy{copy}/{value}" for value in table["id"].to_pylist()])
    return table.set_column(table.schema.get_field_index("id"), "id", ids)


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


def run(corpus: Path, output: Path, workers: int, modes: str) -> Measured:
    """Run the command and watch its memory."""
    command = [sys.executable, "-m", "pipeline", "run", "--input", str(corpus)]
    command += ["--output_dir", str(output), "--workers", str(workers), "--modes", modes]
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--modes", default="tiny,small,base,large")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        copies = -(-given.samples // SAMPLES_PER_COPY)
        corpus = write_corpus(place / "corpus", copies)
        short = place / "short.parquet"
        pq.write_table(pa.table({"id": ["x"], "title": ["x"], "text": ["short"]}), short)
        net: dict[int, float] = {}
        for workers in (1, 2):
            start = run(short, place / f"start{workers}", workers, given.modes)
            job = run(corpus, place / f"out{workers}", workers, given.modes)
            net[workers] = job.seconds - start.seconds
            print(f"{workers} worker(s): {job.seconds:.1f} s, start-up {start.seconds:.1f} s")
            print(
                f"  launcher MB {job.peak(True, 0, 0.33):.0f}, later {job.peak(True, 0.67, 1):.0f}"
            )
            if workers > 1:
                early, late = job.peak(False, 0, 0.33), job.peak(False, 0.67, 1)
                print(f"  worker   MB {early:.0f}, later {late:.0f}")
    samples = copies * SAMPLES_PER_COPY
    print(f"{samples} samples: {samples / net[2]:.1f} samples/s without start-up")
    print(f"efficiency of 2 workers: {net[1] / (2 * net[2]):.2f}")


if __name__ == "__main__":
    main()
