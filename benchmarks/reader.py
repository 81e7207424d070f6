"""How fast pages are read in training: python -m benchmarks.reader [--samples N] [--rounds N].

The built-in articles at `base`, in each form: files, tars, and drawn on demand; and the same files
opened by Pillow as a trainer would. Each page becomes an array of gray, by one loader process and
by two. They take turns, so that all see the same machine; medians of the rounds count. `ratio` is
of a process's own CPU time, which what else runs does not change as much as pages per second.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pagecast import PageReader
from pipeline.__main__ import main as pagecast
from pipeline.data import data_file

MODE = "base"
PLAIN = "Pillow on files"
FORMS = {"files": "", "tars": "--image_shards", "drawn": "--no_images"}
PROCESSES = (1, 2)
Read = Callable[[dict[str, Any]], Image.Image]


def make(directory: Path, samples: int) -> dict[str, Path]:
    """Write the dataset in each form."""
    sample = str(data_file("finewiki_sample.parquet"))
    # An article that is kept has a sample at least.
    sizes = f"--num_articles {samples} --max_samples {samples} --val_size 0"
    options = f"--modes {MODE} {sizes} --workers 1 --no_report --no_preflight"
    for name, form in FORMS.items():
        argv = ["run", "--input", sample, "--output_dir", str(directory / name)]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            assert pagecast([*argv, *options.split(), *form.split()]) == 0
    return {name: directory / name for name in FORMS}


def plain(directory: Path) -> Read:
    """Return what opens an image by its name."""
    return lambda sample: Image.open(directory / f"images/{MODE}/{sample['id']}.png")


def read_all(
    read: Read, samples: list[dict[str, Any]], pages: int, barrier: Any, took: Any
) -> None:
    """Read so many pages, from the first sample on again and again, once all are warm."""
    for sample in samples:
        np.asarray(read(sample))
    barrier.wait()
    started, cpu = time.perf_counter(), time.process_time()
    for number in range(pages):
        np.asarray(read(samples[number % len(samples)]))
    took.put((time.perf_counter() - started, time.process_time() - cpu))


def speed(
    read: Read, samples: list[dict[str, Any]], pages: int, processes: int
) -> tuple[float, float]:
    """Return pages per second of so many processes, forked from one that has read.

    Of all of them by the clock, and of one of them by its CPU time.
    """
    fork = multiprocessing.get_context("fork")
    barrier, took = fork.Barrier(processes), fork.Queue()
    work = [
        fork.Process(target=read_all, args=(read, samples, pages, barrier, took))
        for _ in range(processes)
    ]
    for each in work:
        each.start()
    walls, cpus = zip(*(took.get() for _ in work), strict=True)
    for each in work:
        each.join()
    return processes * pages / max(walls), processes * pages / sum(cpus)


def ratio(mine: list[tuple[float, float]], plain: list[tuple[float, float]]) -> float:
    """Return how a form's speed is to that of plain files, by CPU time and in the same round."""
    return statistics.median(a / b for (_, a), (_, b) in zip(mine, plain, strict=True))


def main() -> None:
    """Run the benchmark and print what it found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--samples", type=int, default=50, help="at most (default: 50)")
    parser.add_argument("--pages", type=int, default=200, help="of a process (default: 200)")
    parser.add_argument("--rounds", type=int, default=7, help="of each (default: 7)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        paths = make(Path(directory), given.samples)
        readers = {name: PageReader(path) for name, path in paths.items()}
        samples = list(readers["files"]["train"])
        reads: dict[str, Read] = {PLAIN: plain(paths["files"])}
        reads |= {
            name: lambda sample, reader=reader: reader.image(sample, MODE)  # type: ignore[misc]
            for name, reader in readers.items()
        }
        found: dict[tuple[str, int], list[tuple[float, float]]] = {}
        for _ in range(given.rounds):
            for processes in PROCESSES:
                for name, read in reads.items():
                    speeds = found.setdefault((name, processes), [])
                    speeds.append(speed(read, samples, given.pages, processes))
    print("".join(f"{f'{n} process' + 'es' * (n > 1):>21}" for n in PROCESSES).rjust(58))
    print(" " * 16 + f"{'pages/s':>12} {'ratio':>8}" * len(PROCESSES))
    for name in reads:
        cells = [
            f"{statistics.median(wall for wall, _ in found[name, processes]):12.0f} "
            + f"{ratio(found[name, processes], found[PLAIN, processes]):8.2f}"
            for processes in PROCESSES
        ]
        print(f"{name:16}{''.join(cells)}")


if __name__ == "__main__":
    main()
