"""What a second TaskManager brings: python -m benchmarks.flink [--samples N] [--rounds N].

Makes a corpus like `benchmarks.pipeline`, and runs it on a Flink of its own with one TaskManager of
one slot and with two, in turn, each pinned to a processor of its own with its Python worker. Job
time is Flink's own, from the end of the first stage, in which the workers are started, to the end
of the job. JobManager and launcher have no processor to themselves.
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.pipeline import recombined
from pipeline.commands.run import run
from pipeline.data import data_file
from pipeline.options import RunOptions
from pipeline.runners.flink import rest
from pipeline.runners.flink.__main__ import DEFAULT_FLINK, beam_args
from pipeline.runners.flink.cluster import ClusterSettings, LocalCluster
from pipeline.runners.flink.distribution import flink_home
from pipeline.runners.flink.jar import job_server, without_flink

GROUP_ROWS = 16  # so that there are some shards for each slot


class Measured(NamedTuple):
    """Seconds of a job by Flink's clock: starting the workers, making the pages, all the rest."""

    start: float
    pages: float
    rest: float

    @property
    def job(self) -> float:
        """Seconds without the starting of the workers."""
        return self.pages + self.rest


def measure(taskmanagers: int, corpus: Path, out: Path) -> Measured:
    """Run the job on a cluster of its own."""
    jar = job_server(DEFAULT_FLINK)
    cpus = [{cpu} for cpu in sorted(os.sched_getaffinity(0))[:taskmanagers]]
    settings = ClusterSettings(
        flink_home(DEFAULT_FLINK), (without_flink(jar),), taskmanagers, 1, cpus
    )
    with LocalCluster(settings) as cluster:
        options = RunOptions((str(corpus),), str(out), runner="FlinkRunner")
        more = beam_args(options, cluster.master, DEFAULT_FLINK, jar, 1, taskmanagers, is_ours=True)
        if run(replace(options, beam_args=more)):
            raise SystemExit("the job failed")
        (job,) = rest.get(cluster.master, "jobs/overview")["jobs"]
        vertices = rest.get(cluster.master, f"jobs/{job['jid']}")["vertices"]
    ends = {vertex["name"]: vertex["end-time"] for vertex in vertices}
    # Flink names a stage by the composites that it has something of.
    rendered = next(end for name, end in ends.items() if "MakeSamples" in name)
    read = next(end for name, end in ends.items() if "FindWork" in name and end < rendered)
    times = (job["start-time"], read, rendered, job["end-time"])
    return Measured(*((b - a) / 1000 for a, b in pairwise(times)))


def main() -> None:
    """Run the benchmark and print what it found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--samples", type=int, default=1000, help="about so many (default: 1000)")
    parser.add_argument("--rounds", type=int, default=3, help="of runs, in turn (default: 3)")
    parser.add_argument(
        "--taskmanagers", type=int, nargs="+", default=[1, 2], help="of each cluster (default: 1 2)"
    )
    given = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    ratios = []
    with tempfile.TemporaryDirectory() as name:
        corpus = Path(name, "corpus.parquet")
        articles = recombined(str(data_file("finewiki_sample.parquet")), given.samples)
        pq.write_table(pa.Table.from_pylist(list(articles)), corpus, row_group_size=GROUP_ROWS)
        print("round  TaskManagers  workers up   pages    rest     job")
        for number in range(given.rounds):
            found = []
            for taskmanagers in given.taskmanagers:
                one = measure(taskmanagers, corpus, Path(name, f"{number}-{taskmanagers}"))
                found.append(one)
                print(
                    f"{number:5}  {taskmanagers:12}  {one.start:8.1f} s  {one.pages:5.1f} s "
                    f"{one.rest:5.1f} s {one.job:5.1f} s",
                    flush=True,
                )
            ratios.append(found[-1].job / found[0].job)
    print(f"last / first: median {median(ratios):.2f}, from {min(ratios):.2f} to {max(ratios):.2f}")


if __name__ == "__main__":
    main()
