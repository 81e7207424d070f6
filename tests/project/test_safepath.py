"""What lies in the working directory is not part of the program, whatever it is called."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.data import data_file

ROOT = Path(__file__).parents[2]
# Standard modules, packages that are installed, and our own two.
NAMES = ("random", "threading", "tempfile", "email", "psutil", "yaml", "transforms", "pipeline")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory of somebody's with modules of common names; each tells when it is imported."""
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text(f"print('FOREIGN {name}', flush=True)")
    return tmp_path


def result(*command: str | Path, cwd: Path) -> tuple[int, str]:
    """Return how a command ends in a directory, and all it says."""
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, check=False, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    "module", ["pipeline", "pipeline.runners.flink", "pipeline.runners.dataflow"]
)
def test_a_module_is_started_without_its_neighbours(module: str, project: Path) -> None:
    (project / "pipeline.py").unlink()  # else it is what `-m pipeline` names
    code, said = result(sys.executable, "-m", module, "--help", cwd=project)
    assert (code, "FOREIGN" in said) == (0, False), said


@pytest.mark.parametrize("script", ["run_flink.sh", "run_dataflow.sh"])
def test_a_script_starts_this_program(script: str, project: Path) -> None:
    code, said = result(ROOT / script, "--help", cwd=project)
    assert (code, "FOREIGN" in said, f"usage: {script}" in said) == (0, False, True), said


def test_a_whole_run_is_ours(project: Path) -> None:
    few = "--num_articles 3 --min_tokens 100 --context_tokens 50 --continuation_tokens 50"
    small = f"{few} --modes tiny --workers 2".split()
    command = [ROOT / "run_local.sh", "--input", data_file("finewiki_sample.parquet")]
    code, said = result(*command, "--output_dir", "out", *small, cwd=project)
    assert (code, "FOREIGN" in said) == (0, False), said
    assert (project / "out" / "report.html").exists()
    # Its processes are spawned, which is another way to start one.
    script = Path(sys.executable).with_name("pagecast")
    code, said = result(script, "verify", "--output_dir", "out", "--workers", "2", cwd=project)
    assert (code, "FOREIGN" in said) == (0, False), said


def test_a_program_that_uses_these_modules_keeps_its_path(project: Path) -> None:
    (project / "mine").mkdir()
    (project / "mine" / "__init__.py").write_text("import transforms")
    for name in NAMES:
        (project / f"{name}.py").unlink()
    (project / "beside.py").write_text("")
    (project / "mine" / "__main__.py").write_text("import pipeline, beside; print('all there')")
    assert result(sys.executable, "-m", "mine", cwd=project) == (0, "all there\n")
