"""Standard output and error that are closed, full, or read by nobody: said once, nothing lost."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.__main__ import main
from tests.conftest import articles, write_parquet
from tests.support.bad import LONG, SMALL

FULL = "pagecast: error: cannot write to standard output (No space left on device); this is all"
FULL += " that failed\n"


def to_a_full_disk() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def to_nobody() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("small")
    write_parquet(base / "a.parquet", articles(LONG, LONG))
    argv = ["run", "--input", str(base / "a.parquet"), "--output_dir", str(base / "out")]
    assert main([*argv, *SMALL.split(), "--no_report"]) == 0
    return base / "out"


@pytest.mark.parametrize("line", ["--help", "--version", "run --help", "plan", "run", "verify"])
@pytest.mark.parametrize(("to", "code"), [(to_a_full_disk, 1), (to_nobody, 141)])
def test_output_that_cannot_be_written(
    line: str, to: Callable[[], int], code: int, out: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    given = {
        "plan": f"plan --input {out.parent}/a.parquet {SMALL}",
        "run": f"run --input {out.parent}/a.parquet --output_dir {out} {SMALL} --no_report",
        "verify": f"verify --output_dir {out} --workers 1",
    }
    with os.fdopen(to(), "w") as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        assert main(given.get(line, line).split()) == code
    assert capsys.readouterr().err == (FULL if to is to_a_full_disk else "")
    assert main(["verify", "--output_dir", str(out), "--workers", "1"]) == 0


def test_an_error_stream_that_is_full_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w", encoding="utf-8") as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        assert main(["foo"]) == 2


@pytest.mark.parametrize(
    ("redirection", "line", "code", "told"),
    [
        (">&-", "--version", 1, "pagecast: error: cannot write to standard output (Bad file desc"),
        ("2>&-", "foo", 2, ""),
        (">&- 2>&- <&-", "foo", 2, ""),
    ],
)
def test_closed_streams(redirection: str, line: str, code: int, told: str) -> None:
    command = f'"{sys.executable}" -m pipeline {line} {redirection}'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(told)
    assert len(done.stderr.splitlines()) == bool(told)
