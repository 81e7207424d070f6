"""Java that ends with whoever started it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

JAVA = """#!/usr/bin/env bash
echo "$*" >"$SAID"
trap 'echo stopped >>"$SAID"; exit 7' TERM
echo $$ >"$SAID.pid"
while :; do sleep 0.1; done
"""
LAUNCHER = """
import subprocess, sys
process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.runners.flink.java", "-jar", "x.jar"]
    )
print(process.pid, flush=True)
process.wait()
"""


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for Java; the file has what it was told."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/java").write_text(JAVA)
    (tmp_path / "bin/java").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("SAID", str(tmp_path / "said"))
    return tmp_path / "said"


def pid_of(said: Path) -> int:
    path = said.with_name("said.pid")
    end = time.monotonic() + 600
    while not (path.exists() and path.read_text().strip()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return int(path.read_text())


def test_it_is_told_to_stop_and_its_exit_code_comes_back(said: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.runners.flink.java", "-jar", "x.jar"]
    )
    pid_of(said)
    process.send_signal(signal.SIGTERM)
    assert process.wait(600) == 7
    told, stopped = said.read_text().splitlines()
    assert told.endswith(" -jar x.jar")
    assert "-XX:TieredStopAtLevel=1" in told
    assert stopped == "stopped"


def test_it_ends_when_its_launcher_is_killed(said: Path) -> None:
    launcher = subprocess.Popen([sys.executable, "-c", LAUNCHER])
    java = psutil.Process(pid_of(said))
    launcher.kill()
    launcher.wait()
    java.wait(600)
