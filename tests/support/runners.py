"""Runners that a machine may have or not: where one is missing, the reason to skip its tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import apache_beam as beam
import pytest

from pipeline.options import UsageError
from pipeline.runners.flink.distribution import flink_home
from pipeline.runners.flink.jar import cache as downloads
from pipeline.runners.flink.jar import job_server


@cache
def flink_is_missing(version: str) -> str | None:
    """Return why Flink in this version cannot be run here."""
    for program in ("java", "mvn"):
        if not shutil.which(program):
            return f"there is no {program} here"
    try:
        job_server(version)
        flink_home(version)
    except UsageError as error:
        return str(error)
    return None


def need_flink(version: str) -> None:
    if why := flink_is_missing(version):
        pytest.skip(f"Flink {version}: {why}")


@cache
def prism() -> Path:
    """Return Beam's runner in Go, built from its Go module once for each version of Beam."""
    if not shutil.which("go"):
        pytest.skip("Prism: there is no go here to build it")
    into = downloads() / f"prism-{beam.__version__}"
    if not (into / "prism").exists():
        module = f"github.com/apache/beam/sdks/v2/go/cmd/prism@v{beam.__version__}"
        done = subprocess.run(
            # Quickly compiled, not optimized: a fifth of the time of all tests is else that.
            ["go", "install", "-gcflags=all=-N -l", "-ldflags=-s -w", module],
            env={**os.environ, "GOBIN": str(into)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            pytest.skip(f"Prism: go cannot build it: {done.stderr.strip().splitlines()[-1]}")
    return into / "prism"
