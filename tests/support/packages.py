"""Packages of this project, as others get them: installed where there is nothing else."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from pagecast.render.fonts import default_font
from pipeline.data import data_file

LOAD_ASSETS = """
import hashlib, json, pipeline, transforms
from pipeline.launch.assets import builtin_tokenizer
from pipeline.data import data_file
from pagecast.render.fonts import default_font
contents = [data_file("finewiki_sample.parquet").read_bytes(), default_font(), builtin_tokenizer()]
print(json.dumps([pipeline.__file__, *(hashlib.sha256(c).hexdigest() for c in contents)]))
"""


def command(
    *args: str | Path, cwd: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command that has to succeed."""
    done = subprocess.run(
        list(map(str, args)), cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def install(python: Path, *wanted: str | Path) -> None:
    """Install packages in an environment that may have had an earlier build of this project.

    With all that they say they need: what is there already is only looked at. By uv where it is
    installed here, which takes a tenth of pip's time.
    """
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    installer = pip
    if find_spec("uv"):
        installer = [sys.executable, "-m", "uv", "pip"]
    command(*pip, "uninstall", "--quiet", "--yes", "pagecast", cwd=python.parent)
    where = ["--python", python] if installer != pip else ["--no-compile"]
    command(*installer, "install", "--quiet", *where, *wanted, cwd=python.parent)
    command(*pip, "check", cwd=python.parent)


@contextmanager
def with_more(python: Path, requirements: Path) -> Iterator[None]:
    """Have a requirements file installed for a while."""
    pip = [python, "-m", "pip", "--disable-pip-version-check"]

    def names() -> set[str]:
        listed = command(*pip, "list", "--format", "json", cwd=python.parent).stdout
        return {package["name"] for package in json.loads(listed)}

    before = names()
    command(*pip, "install", "--quiet", "--requirement", requirements, cwd=python.parent)
    yield
    command(*pip, "uninstall", "--quiet", "--yes", *names() - before, cwd=python.parent)


def check_assets(python: Path) -> None:
    """Load every asset in an environment away from the sources; they are what the sources have."""
    done = command(python, "-I", "-c", LOAD_ASSETS, cwd=python.parent)
    where, *hashes = json.loads(done.stdout)
    assert Path(where).is_relative_to(python.parents[1])
    here = [data_file("finewiki_sample.parquet").read_bytes(), default_font()]
    assert hashes[:2] == [hashlib.sha256(content).hexdigest() for content in here]
    assert hashes[2].startswith("a02f8fd5228c9025")


def contents(archive: Path) -> dict[str, bytes]:
    """Return the files of a source distribution: name to content."""
    with tarfile.open(archive) as files:
        return {
            member.name.split("/", 1)[1]: file.read()
            for member in files.getmembers()
            if (file := files.extractfile(member)) is not None
        }
