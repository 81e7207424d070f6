"""The environment that the scripts make, with stand-ins for Python; a broken one is made again."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Answers like one with pip, and tells what it is asked; of it `-m venv` makes an environment.
PYTHON = """#!/bin/bash
echo "$* user=$PIP_USER target=$PIP_TARGET home=$PYTHONHOME" >>LOG
if [[ $* == *"-m venv"* ]]; then
  mkdir -p "${@: -1}/bin" && cp "$0" "${@: -1}/bin/python"
fi
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "ensure_venv.sh", tmp_path)
    (tmp_path / "setup.py").write_text("# as it is")
    (tmp_path / "bin").mkdir()
    program(tmp_path / "bin/python3", PYTHON.replace("LOG", str(tmp_path / "log")))
    return tmp_path


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def ensure(tree: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    script = f'set -euo pipefail; . "{tree}/ensure_venv.sh"; ensure_venv; echo "python=$python"'
    path = f"{tree}/bin:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", script], env={**os.environ, "PATH": path, **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("left", [None, "#!/bin/bash\nexit 1\n"])
def test_one_without_pip_is_made_anew(left: str | None, tree: Path) -> None:
    if left is not None:
        program(tree / ".venv/bin/python", left)
    asked = {"PIP_USER": "1", "PIP_TARGET": "/elsewhere", "PYTHONHOME": "/nowhere"}
    done = ensure(tree, **asked)
    assert (done.returncode, done.stdout) == (0, f"python={tree}/.venv/bin/python\n"), done.stderr
    lines = (tree / "log").read_text().splitlines()
    assert any("-m venv --clear" in line for line in lines)
    assert any("--editable" in line for line in lines)
    assert all(line.endswith("user=0 target= home=") for line in lines)
    (tree / "log").unlink()
    assert ensure(tree).returncode == 0
    assert not (tree / "log").exists()  # installed once


def test_a_link_is_left_alone(tree: Path) -> None:
    elsewhere = tree / "elsewhere"
    program(elsewhere / "bin/python", "#!/bin/bash\nexit 1\n")
    (tree / ".venv").symlink_to(elsewhere)
    done = ensure(tree)
    assert done.returncode == 2
    assert done.stderr == (
        f"pagecast: {tree}/.venv is a link to what has no Python with pip: remove it, and one is "
        "made\n"
    )
    assert (elsewhere / "bin/python").exists()


def test_no_python_that_can_make_one_is_one_line(tree: Path) -> None:
    for name in ("python3", "python3.13", "python3.12", "python3.11"):
        program(tree / "bin" / name, '#!/bin/bash\n[[ $* != *"-m venv"* ]]\n')
    done = ensure(tree)
    assert done.returncode == 2
    assert done.stderr == (
        "pagecast: needs Python 3.11 or later with venv (Debian: apt install python3-venv)\n"
    )
