"""The job server: Beam's Java program that turns a graph into a Flink job, fetched by Maven."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import apache_beam as beam

from pipeline.options import UsageError
from pipeline.progress.terminal import note

COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
MISSING = re.compile(r"[Cc]ould not find artifact|was not found in|Failure to find")
OF_LIBRARIES = Path(__file__).with_name("job_server.xml")  # a Maven project, with its own versions
LIBRARIES = ("1.19", "1.20")  # versions of Flink that the job server from libraries is for
# What a cluster has already, and in its own version.
OF_FLINK = (
    "org/apache/flink/",
    "flink-rpc",
    "org/slf4j/",
    "org/apache/log4j/",
    "org/apache/logging/",
)


def cache() -> Path:
    """Return the directory for what is downloaded once."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    directory = Path(base) / "pagecast"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def job_server(flink: str) -> Path:
    """Return the job server's jar for a version of Flink such as "1.20".

    Its version is that of the Beam that is installed. A package index that lacks it may still have
    the libraries of an older release that it can be put together from, which is then said.

    Raises:
      UsageError: Maven is missing, or finds neither.
    """
    name = f"beam-runners-flink-{flink}-job-server"
    jar = cache() / f"{name}-{beam.__version__}.jar"
    built = cache() / f"{name}-of-{OF_LIBRARIES.stem}-{_version(OF_LIBRARIES)}.jar"
    for found in (jar, built):
        if found.exists():
            return found
    note(f"fetching Beam's job server for Flink {flink} by Maven (a minute, once)")
    artifact = f"org.apache.beam:{name}:{beam.__version__}"
    with tempfile.TemporaryDirectory(dir=cache()) as directory:
        said = _maven(f"{COPY}", f"-Dartifact={artifact}", f"-DoutputDirectory={directory}")
        if said is None:
            os.replace(Path(directory, jar.name), jar)
            return jar
        if flink not in LIBRARIES or not MISSING.search(said):
            raise UsageError(
                f"Maven cannot fetch {artifact}: {_cause(said)}; give a jar that you have with "
                "--flink_job_server_jar"
            )
        note(
            f"Maven finds no {artifact}; putting one together from the libraries of Beam "
            f"{_version(OF_LIBRARIES)}"
        )
        pom = shutil.copy(OF_LIBRARIES, directory)
        said = _maven("package", f"--file={pom}")
        if said is not None:
            raise UsageError(f"Maven cannot fetch {artifact}, nor its libraries: {_cause(said)}")
        os.replace(Path(directory, "target", "job-server.jar"), built)
    return built


def without_flink(jar: Path) -> Path:
    """Return a copy of the job server that has none of Flink's classes, for a cluster's own `lib`.

    Only where a cluster itself loads Beam's classes do workers outlive the stage that they were
    started for.
    """
    bare = jar.with_name(f"{jar.stem}-without-flink.jar")
    if bare.exists():
        return bare
    with tempfile.TemporaryDirectory(dir=cache()) as directory:
        path = Path(directory, bare.name)
        with (
            zipfile.ZipFile(jar) as whole,
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as rest,
        ):
            for entry in whole.infolist():
                if not entry.filename.startswith(OF_FLINK):
                    rest.writestr(entry, whole.read(entry))
        os.replace(path, bare)
    return bare


def _version(pom: Path) -> str:
    """Return the version of Beam that a Maven project is for."""
    found = re.search(r"<beam\.version>([^<]+)<", pom.read_text("utf-8"))
    assert found, f"{pom} has no beam.version"
    return found[1]


def _maven(*arguments: str) -> str | None:
    """Run Maven and return None, or what it printed if it failed."""
    command: Sequence[str] = ("mvn", "--batch-mode", "--quiet", *arguments)
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise UsageError(
            "Maven (`mvn`) is not installed, and fetches Beam's job server; or give a jar that you "
            "have with --flink_job_server_jar"
        ) from error
    return (done.stdout + done.stderr) if done.returncode else None


def _cause(said: str) -> str:
    """Return the first error of Maven's output as one line."""
    lines = [line.strip() for line in said.splitlines() if "ERROR" in line] or ["no message"]
    return re.sub(r"\x1b\[[0-9;]*m|\[ERROR\]", "", lines[0]).strip()
