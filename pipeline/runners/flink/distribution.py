"""Flink itself, from the Python package index: it needs neither a download page nor root."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from pipeline.options import UsageError
from pipeline.progress.terminal import note
from pipeline.runners.flink.jar import cache

# The release of each version that a cluster on this machine is made of.
RELEASES = {"1.20": "1.20.5", "2.2": "2.2.1"}
SCRIPTS = ("pyflink/bin/", "pyflink/conf/")


def flink_home(flink: str) -> Path:
    """Return the directory of a Flink such as "1.20", installed into the cache if need be.

    Raises:
      UsageError: pip cannot fetch it.
    """
    release = RELEASES[flink]
    target = cache() / f"flink-{release}"
    if not target.exists():
        note(f"fetching Flink {release} by pip (a minute, once)")
        with tempfile.TemporaryDirectory(dir=cache()) as directory:
            whole = Path(directory, "flink")
            _pip("install", f"--target={whole}", f"apache-flink-libraries=={release}")
            # Only the scripts are wanted of this one. Named by platform, because they are the same
            # on all, and not all have a wheel.
            _pip(
                "download", f"--dest={directory}", "--only-binary=:all:", "--python-version=3.11",
                "--platform=manylinux2014_x86_64", f"apache-flink=={release}",
            )  # fmt: skip
            (wheel,) = Path(directory).glob("*.whl")
            with zipfile.ZipFile(wheel) as files:
                wanted = [name for name in files.namelist() if name.startswith(SCRIPTS)]
                files.extractall(whole, wanted)
            for script in (whole / "pyflink" / "bin").iterdir():
                script.chmod(0o755)
            os.replace(whole, target)
    return target / "pyflink"


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        # Without what they need: that is for writing jobs in Flink's own Python, and an old Beam.
        [*command, *arguments, "--no-deps"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise UsageError(f"pip cannot fetch Flink: {last}; give a cluster with --flink_master")
