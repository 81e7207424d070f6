"""A job killed at random moments, again and again: the bytes must be as if nothing had happened.

    python -m benchmarks.kills [--runs 30] [--seed 0] [--options "--arrow --image_shards"]

Each run takes a job of some 300 samples with two workers and kills, with SIGKILL at a random
moment of its life, the launcher (even runs) or a worker (odd runs). The same command is then given
until it ends with 0. Prints a table: what was killed, when, how many shards were finished by then,
how many commands it took, whether all public files equal those of an undisturbed job, and what
`verify` says. Exits 1 if anything differs.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.data import data_file

COPIES = 5  # of the built-in articles: 295 samples
MOST_COMMANDS = 5


def write_input(path: Path, number: int = COPIES) -> Path:
    """Write the built-in articles several times over, each time under other ids."""
    table = pq.read_table(data_file("finewiki_sample.parquet"), columns=["id", "title", "text"])
    ids = table.column("id").to_pylist()
    copies = [
        table.set_column(0, "id", pa.array([f"{one}/{copy}" for one in ids]))
        for copy in range(number)
    ]
    pq.write_table(pa.concat_tables(copies), path, row_group_size=8)
    return path


def hashes(out: Path) -> dict[str, str]:
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and "_pagecast" not in path.parts
    }


def workers_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        children = psutil.Process(process.pid).children(recursive=True)
        return [
            child for child in children if "pipeline.runners.worker" in " ".join(child.cmdline())
        ]
    except psutil.Error:
        return []


def kill(process: subprocess.Popen[bytes], worker: bool, rng: random.Random) -> str:
    """Kill the launcher, or one of its workers as soon as there is one."""
    if not worker:
        alive = process.poll() is None
        process.kill()
        return "launcher" if alive else "nothing"
    while process.poll() is None:
        if found := workers_of(process):
            try:
                rng.choice(found).kill()
            except psutil.Error:
                continue
            return "worker"
        time.sleep(0.05)
    return "nothing"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--options", default="--arrow")
    parser.add_argument("--copies", type=int, default=COPIES, help="of the built-in articles")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    failures = 0
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory)
        source = write_input(base / "in.parquet", options.copies)

        def command(out: Path) -> list[str]:
            given = ["run", "--input", str(source), "--output_dir", str(out), "--workers", "2"]
            return [sys.executable, "-m", "pipeline", *given, *options.options.split()]

        started = time.monotonic()
        subprocess.run(command(base / "whole"), check=True, capture_output=True)
        whole, seconds = hashes(base / "whole"), time.monotonic() - started
        print(f"undisturbed: {seconds:.1f} s, {len(whole)} files, options {options.options!r}")
        print("run  killed    at s  shards  commands  equal  verify")
        for number in range(options.runs):
            out, killed = base / str(number), "nothing"
            while killed == "nothing":  # it may have ended before its moment came
                shutil.rmtree(out, ignore_errors=True)
                process = subprocess.Popen(
                    command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
                moment = rng.uniform(0, seconds)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(moment)
                killed = kill(process, bool(number % 2), rng)
            shards = len(list((out / "_pagecast/shards").glob("*.json")))
            code, commands = process.wait(), 1
            while code != 0 and commands < MOST_COMMANDS:
                commands += 1
                code = subprocess.run(command(out), check=False, capture_output=True).returncode
            equal = hashes(out) == whole
            verify = subprocess.run(
                [sys.executable, "-m", "pipeline", "verify", "--output_dir", str(out)],
                check=False, capture_output=True, text=True,
            )  # fmt: skip
            said = verify.stdout.strip().rsplit(": ", 1)[-1]
            failures += not (equal and code == 0 and verify.returncode == 0)
            print(
                f"{number:3}  {killed:8} {moment:5.1f} {shards:7} {commands:9}  "
                f"{'yes' if equal else 'NO':5}  {said}",
                flush=True,
            )
            shutil.rmtree(out)
    print(f"{options.runs} runs, {failures} failures; {os.cpu_count()} cores")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
