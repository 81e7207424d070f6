"""The demo on every runner: each file, private ones too, has the same bytes."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pagecast.dataset.layout import OPTIONS
from tests.conftest import SAMPLE, Outcome
from tests.support.runners import need_flink, prism

ROOT = Path(__file__).parents[3]
RUN = [sys.executable, "-m", "pipeline", "run"]


def one_process() -> list[str]:
    return [*RUN, "--workers", "1"]


def flink(version: str) -> list[str]:
    need_flink(version)
    return [str(ROOT / "run_flink.sh"), "--flink_version", version, "--taskmanagers", "1"]


def prism_here() -> list[str]:
    # Workers are threads of the launcher.
    return [
        *RUN, "--runner=PrismRunner", f"--prism_location={prism()}", "--environment_type=LOOPBACK"
    ]  # fmt: skip


RUNNERS: dict[str, Callable[[], list[str]]] = {
    "one process": one_process,
    "Flink 1.20": lambda: flink("1.20"),
    "Flink 2.2": lambda: flink("2.2"),
    "Prism": prism_here,
}


def hashes(out: Path) -> dict[str, str]:
    """Of all files but the one that says how many workers there were, and on what."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != OPTIONS
    }


@pytest.mark.parametrize("runner", RUNNERS)
def test_every_runner_writes_the_same_bytes(runner: str, demo: Outcome, tmp_path: Path) -> None:
    """The demo itself was made by Beam's local runner with two worker processes."""
    out = tmp_path / "out"
    command = [*RUNNERS[runner](), "--input", SAMPLE, "--output_dir", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    found = hashes(out)
    assert len(found) > 240
    assert found == hashes(demo.path)
