"""Beam's job server: fetched by Maven, put together where it is missing, bare for a cluster."""

import os
import zipfile
from pathlib import Path

import apache_beam as beam
import pytest

from pipeline.options import UsageError
from pipeline.runners.flink import jar

WHOLE = f"beam-runners-flink-1.20-job-server-{beam.__version__}.jar"
# Stands in for Maven: `$KNOWS` is what the index has, and what is asked for is added to `$ASKED`.
MAVEN = """#!/usr/bin/env bash
echo "$*" >>"$ASKED"
for argument; do
  case $argument in
    -Dartifact=*) artifact=${argument#*=} ;;
    -DoutputDirectory=*) into=${argument#*=} ;;
    --file=*) pom=${argument#*=} ;;
  esac
done
if [[ -n ${pom:-} && $KNOWS == *libraries* ]]; then
  mkdir -p "${pom%/*}/target" && echo built >"${pom%/*}/target/job-server.jar"
elif [[ -n ${artifact:-} && $KNOWS == *whole* ]]; then
  IFS=: read -r _ name version <<<"$artifact"
  echo whole >"$into/$name-$version.jar"
elif [[ $KNOWS == *nothing* ]]; then
  printf '\\033[1;31m[ERROR]\\033[0m Unknown host central\\n[ERROR] and more\\n'; exit 1
else
  echo "[ERROR] Could not find artifact ${artifact:-x}"; exit 1
fi
"""


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache and a Maven of this test's own; the path is where what it was asked is kept."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/mvn").write_text(MAVEN)
    (tmp_path / "bin/mvn").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    return tmp_path / "asked"


def test_the_job_server_of_this_beam_is_fetched_once(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KNOWS", "whole")
    found = jar.job_server("1.20")
    assert (found.name, found.read_text()) == (WHOLE, "whole\n")
    assert jar.job_server("1.20") == found
    assert index.read_text().count("\n") == 1


def test_where_it_is_missing_it_is_put_together_from_libraries_and_that_is_said(
    index: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KNOWS", "libraries")
    found = jar.job_server("1.20")
    assert found.read_text() == "built\n"
    assert "putting one together from the libraries of Beam 2." in capsys.readouterr().err
    assert jar.job_server("1.20") == found
    assert index.read_text().count("\n") == 2


@pytest.mark.parametrize(
    ("flink", "knows", "cause"),
    [
        ("2.2", "libraries", "Could not find artifact org.apache.beam:beam-runners-flink-2.2-job"),
        ("1.20", "nothing", "job-server:2.77.0: Unknown host central; give a jar"),
        ("1.20", "neither", "nor its libraries: Could not find artifact x"),
    ],
)
def test_what_cannot_be_fetched_is_said_in_a_line(
    flink: str, knows: str, cause: str, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KNOWS", knows)
    with pytest.raises(UsageError) as error:
        jar.job_server(flink)
    assert cause in str(error.value)
    assert "\n" not in str(error.value)
    assert not list(jar.cache().iterdir())


@pytest.mark.usefixtures("index")
def test_without_maven_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError, match=r"Maven .* is not installed, and fetches Beam's"):
        jar.job_server("1.20")


@pytest.mark.usefixtures("index")
def test_a_cluster_keeps_its_own_classes(tmp_path: Path) -> None:
    path = tmp_path / "server.jar"
    names = {
        "org/apache/flink/api/A.class", "org/slf4j/Logger.class", "org/apache/log4j/L.class",
        "flink-rpc-akka.jar", "org/apache/beam/runners/flink/B.class", "META-INF/services/x",
    }  # fmt: skip
    with zipfile.ZipFile(path, "w") as whole:
        for name in names:
            whole.writestr(name, name)
    bare = jar.without_flink(path)
    with zipfile.ZipFile(bare) as rest:
        assert set(rest.namelist()) == {
            "org/apache/beam/runners/flink/B.class",
            "META-INF/services/x",
        }
        assert rest.read("META-INF/services/x") == b"META-INF/services/x"
    changed = bare.stat().st_mtime_ns
    assert jar.without_flink(path).stat().st_mtime_ns == changed
