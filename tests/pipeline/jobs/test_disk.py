"""A disk that is full or read-only: one line with the path and the reason, and nothing lost.

On a small file system of its own where this process may mount one, and by a limit on the size of
files everywhere.
"""

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.__main__ import main
from tests.conftest import SAMPLE, Outcome, tree

ANYHOW = "--no_preflight"
Job = Callable[..., Outcome]


def mount(*args: str) -> bool:
    done = subprocess.run(["mount", *args], capture_output=True, check=False)
    return done.returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 20 MB; the demo takes twice as much."""
    path = tmp_path / "disk"
    path.mkdir()
    if sys.platform != "linux" or not mount("-t", "tmpfs", "-o", "size=20m", "tmpfs", str(path)):
        pytest.skip("no file system can be mounted here")
    yield path
    gc.collect()  # an error that was caught may hold a file open
    subprocess.run(["umount", str(path)], check=True)


@pytest.fixture
def job(capfd: pytest.CaptureFixture[str]) -> Job:
    """Run the demo in small shards: in this process where there is not to be another."""

    def start(out: Path, workers: int, limit: int | None = None, *more: str) -> Outcome:
        words = [
            "run", "--input", SAMPLE, "--output_dir", str(out), "--workers", str(workers),
            "--shard_rows", "2", "--arrow", "--no_report", *more,
        ]  # fmt: skip
        capfd.readouterr()
        if workers == 1 and limit is None:
            return Outcome(main(words), *capfd.readouterr(), out)

        command = [sys.executable, "-m", "pipeline", *words]
        if limit is not None:
            # Not by `preexec_fn`: then this process forks, and gRPC in the fork may abort before
            # the command begins (grpc/grpc#43055).
            command = ["bash", "-c", f'ulimit -f {limit // 1024} && exec "$@"', "bash", *command]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=out.parent)
        return Outcome(done.returncode, done.stdout, done.stderr, out)

    return start


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if " shards, " not in line]


def same(out: Path, demo: Outcome) -> bool:
    arrow = [path.name for path in out.glob("*_arrow/*")]
    return tree(out, "split_manifest.json", *arrow) == tree(demo.path, "split_manifest.json")


def test_a_disk_that_is_too_small_is_refused_before_anything_is_written(
    small_disk: Path, job: Job
) -> None:
    found = job(small_disk / "out", 1)
    assert (found.code, found.out) == (2, "")
    (line,) = lines(found.err)
    assert line.startswith("pagecast: error: this run needs about 2")
    assert f" MB; 21.0 MB are free on the disk of {small_disk}; use --no_images, " in line
    assert not list(small_disk.iterdir())


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_stops_the_job_and_a_larger_one_lets_it_go_on(
    small_disk: Path, demo: Outcome, job: Job, workers: int
) -> None:
    out = small_disk / "out"
    found = job(out, workers, None, ANYHOW)
    assert (found.code, found.out) == (1, "")
    (line,) = lines(found.err)
    assert line.startswith("pagecast: error: OSError: [Errno 28] No space left on device: '")
    assert f"'{out}/" in line
    assert "finished shards are kept, and the same command goes on from there" in line
    assert not (out / "split_manifest.json").exists()
    done = len(list((out / "_pagecast/shards").glob("*.json")))
    assert 0 < done < 16
    assert main(["verify", "--output_dir", str(out), "--workers", "1"]) == 1
    assert job(out, workers, None, ANYHOW).code == 1  # still full
    assert mount("-o", "remount,size=100m", str(small_disk))
    assert job(out, workers).code == 0
    assert same(out, demo)
    assert not list(out.rglob("*pagecast-tmp*"))
    assert main(["verify", "--output_dir", str(out), "--workers", "1"]) == 0


def test_a_read_only_disk_is_named(small_disk: Path, job: Job) -> None:
    assert mount("-o", "remount,ro", str(small_disk))
    found = job(small_disk / "out", 1, None, ANYHOW)
    assert (found.code in (1, 2), found.out) == (True, "")
    (line,) = lines(found.err)
    assert "Read-only file system" in line
    assert f"{small_disk}/out" in line


def test_files_that_may_not_grow_stop_the_job(tmp_path: Path, demo: Outcome, job: Job) -> None:
    """What a quota does: samples.jsonl is the first file of more than 300 kB."""
    out = tmp_path / "out"
    found = job(out, 1, limit=300 << 10)
    assert (found.code, found.out) == (1, "")
    (line,) = lines(found.err)
    assert "[Errno 27] File too large: '" in line
    assert f"'{out}/" in line
    assert job(out, 1).code == 0
    assert same(out, demo)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_directory_without_permission_is_named(tmp_path: Path, job: Job) -> None:
    tmp_path.chmod(0o500)
    found = job(tmp_path / "out", 1)
    tmp_path.chmod(0o700)
    (line,) = lines(found.err)
    assert "Permission denied" in line
    assert f"{tmp_path}/out" in line
