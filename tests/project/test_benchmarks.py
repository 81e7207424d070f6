"""Each benchmark in its smallest form: that it runs and prints its rows, not how fast."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import render
from pipeline.runners.flink.__main__ import DEFAULT_FLINK
from tests.support.runners import need_flink

ROOT = Path(__file__).parents[2]
# What is tried is neither its tokenizer, which loads at once, nor its pages.
QUICK = (
    "--no_report --modes tiny --tokenizer SMALL "
    "--min_tokens 6000 --context_tokens 3000 --continuation_tokens 3000"
)


@pytest.mark.parametrize("layout", ["basic"])
def test_rendering(layout: str, capsys: pytest.CaptureFixture[str]) -> None:
    render.main(["--samples", "1", "--layout", layout])
    out = capsys.readouterr().out
    for row in ("oracle", "production", "bare stamping"):
        assert row in out


@pytest.mark.parametrize(
    ("name", "options", "row"),
    [
        ("reader", "--samples 6 --pages 6 --rounds 1", "Pillow on files"),
        ("opening", "--samples 30000 --looks 50 --rounds 1", "random access"),
        ("split", "--receipts 300 --max_samples 12000", "largest part"),
        ("languages", "--only eng arb", "English, basic: "),
        (
            "legibility",
            "--samples 1 --styles glyph --modes base",
            "glyph    base         1    9 px",
        ),
        ("styles", "--samples 1 --varied 12", "twelve / default: "),
        ("startup", "--runs 1", "bare graph's cpu time"),
        ("kills", f"--runs 1 --copies 1 '--options={QUICK}'", "1 runs, 0 failures"),
        ("pipeline", "--samples 4 --workers 1", "efficiency"),
        ("flink", "--samples 8 --rounds 1 --taskmanagers 1", "last / first: median 1.00"),
    ],
)
def test_jobs(name: str, options: str, row: str, small_tokenizer: Path) -> None:
    if name == "flink":
        need_flink(DEFAULT_FLINK)
    if name == "legibility" and not shutil.which("tesseract"):
        pytest.skip("no Tesseract is installed")
    words = shlex.split(options.replace("SMALL", str(small_tokenizer / "small")))
    command = [sys.executable, "-m", f"benchmarks.{name}", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, row in done.stdout) == (0, True), done.stdout + done.stderr
