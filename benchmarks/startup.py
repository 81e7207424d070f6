"""What a start costs: python -m benchmarks.startup [--runs N].

The demo with two workers, without report, against the smallest graph of Beam that has workers
(`Create | Reshuffle | Map`) on Beam's own runner with two processes, and against the demo's pages
drawn in one process. Each is a whole process; they take turns, and the lowest of each counts.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.data import data_file

BARE = """
import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.environments import SubprocessSDKEnvironment
import sys
command = f"{sys.executable} -m apache_beam.runners.worker.sdk_worker_main"
environment = SubprocessSDKEnvironment(command_string=command)
options = PipelineOptions(["--direct_num_workers=2", "--direct_running_mode=multi_processing"])
with beam.Pipeline(FnApiRunner(default_environment=environment), options) as pipeline:
    pipeline | beam.Create(range(100)) | beam.Reshuffle() | beam.Map(str)
"""
PAGES = """
from benchmarks.render import CONTEXTS, SIZES
import json
from pagecast.render import PageRenderer, encode_png
renderer = PageRenderer()
for line in CONTEXTS.read_text("utf-8").splitlines():
    for page in renderer.render_sizes(json.loads(line)["context_text"], SIZES):
        encode_png(page.image)
"""


class Cost(NamedTuple):
    """Seconds of a command and all its processes."""

    wall: float
    cpu: float


def measure(command: Sequence[str]) -> Cost:
    """Run a command to its end."""
    before, started = os.times(), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall, after = time.perf_counter() - started, os.times()
    return Cost(
        wall,
        after.children_user + after.children_system - before.children_user - before.children_system,
    )


def main() -> None:
    """Run the benchmark and print what it found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=3, help="of each (default: 3)")
    given = parser.parse_args()
    sample = str(data_file("finewiki_sample.parquet"))
    found: dict[str, list[Cost]] = {"bare": [], "pages": [], "demo": []}
    with tempfile.TemporaryDirectory() as directory:
        for number in range(given.runs):
            output = str(Path(directory) / str(number))
            options = ["--output_dir", output, "--workers", "2", "--no_report", "--no_preflight"]
            demo = ["-P", "-m", "pipeline", "run", "--input", sample, *options]
            for name, how in ("bare", ["-c", BARE]), ("pages", ["-c", PAGES]), ("demo", demo):
                found[name].append(measure([sys.executable, *how]))
    print(f"         wall s  CPU s   (lowest of {given.runs})")
    lowest = {
        name: Cost(min(cost.wall for cost in costs), min(cost.cpu for cost in costs))
        for name, costs in found.items()
    }
    for name, cost in lowest.items():
        print(f"{name:8} {cost.wall:6.1f} {cost.cpu:6.1f}")
    for at, kind in enumerate(Cost._fields):
        ratio = (lowest["demo"][at] - lowest["pages"][at]) / lowest["bare"][at]
        print(f"without its pages the demo takes {ratio:.2f} of the bare graph's {kind} time")


if __name__ == "__main__":
    main()
