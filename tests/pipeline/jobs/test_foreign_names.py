"""Control characters in names on the terminal, and foreign images in the report."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.progress.terminal import one_line
from tests.conftest import articles, write_parquet
from tests.support.bad import LONG, SMALL

FOREIGN = b"root:x:0:0:nobody shall see this"


def test_names_on_the_terminal_and_a_foreign_image_in_the_report(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "a\x1b[31m\nb\u202e"
    place.mkdir()
    path = write_parquet(place / "a.parquet", articles(LONG))
    out = place / "out"
    names = ["--input", str(path), "--output_dir", str(out)]
    for command in ("plan", "run"):
        assert main([command, *names, *SMALL.split()]) == 0
    for command in ("report", "verify"):
        assert main([command, "--output_dir", str(out)]) == 0
    told = capfd.readouterr().out
    assert one_line(str(out)) in told
    assert one_line(shlex.quote(str(out))) in told
    assert "\x1b" not in told
    assert "\u202e" not in told

    report = (out / "report.html").read_bytes()
    image = sorted((out / "images/tiny").iterdir())[0]
    foreign = tmp_path / "passwd"
    foreign.write_bytes(FOREIGN)
    for make in (lambda: image.symlink_to(foreign), lambda: os.mkfifo(image)):
        image.unlink()
        make()
        assert main(["report", "--output_dir", str(out)]) == 1
        (line,) = capfd.readouterr().err.splitlines()
        assert "not the one that was written" in line or "is a pipe" in line
        assert (out / "report.html").read_bytes() == report
