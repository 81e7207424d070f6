"""The commands and their exit codes: wrong use is one line, before anything is written."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.__main__ import main
from pipeline.commands.failure import reason
from tests.conftest import articles, tree, write_parquet

WRONG = {
    "--input missing.parquet --output_dir new": "--input missing.parquet: no parquet file there",
    "--input empty.parquet --output_dir new": "--input empty.parquet: the files have no rows",
    "--input good.parquet --output_dir full": "full already holds something else (thesis.tex)",
    "--input good.parquet --output_dir good.parquet": "good.parquet is a file, not a directory",
    "--input good.parquet --output_dir new --modes huge": "unknown mode 'huge'",
    "--input zip://a::s3://b/c.zip --output_dir new": "a URL inside another one (::) is not supp",
    "--input simplecache::s3://b/c --output_dir new": "a URL inside another one (::) is not supp",
    "--input good.parquet --output_dir new --context_tokens 0": 'value "0" for --context_tokens',
    "--input good.parquet --output_dir new --val_size 9 --max_samples 9": "--val_size 9 leaves no",
    "--input good.parquet --output_dir new --max_sample 9": "did you mean --max_samples?",
    "--input good.parquet --output_dir new --font good.parquet": "--font good.parquet cannot be",
    "--input good.parquet --output_dir new --tokenizer full": "--tokenizer full cannot be loaded",
    "--input good.parquet --output_dir new --layout x": 'Choose from: "basic", "raqm"',
    "--output_dir new": "--input is required",
}


@pytest.mark.parametrize("args", WRONG)
def test_wrong_use_exits_2_with_one_line_before_anything_is_written(
    args: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_parquet(tmp_path / "good.parquet", articles("x"))
    write_parquet(tmp_path / "empty.parquet", {n: pa.array([], pa.string()) for n in articles()})
    (tmp_path / "full").mkdir()
    (tmp_path / "full/thesis.tex").write_text("x")
    before = tree(tmp_path)
    assert main(["run", *args.split()]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("pagecast: error: ")
    assert WRONG[args] in err
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("argv", "code", "text"),
    [
        ([], 2, "are download, plan, preview, run, split, verify, report, publish and completion"),
        (["frob"], 2, 'unknown command "frob"; the commands are download, plan, preview, run,'),
        (["help", "frob"], 2, 'unknown command "frob"'),
        (["frob", "--help"], 2, 'unknown command "frob"'),
        (["rnu"], 2, 'unknown command "rnu". Did you mean "run"?'),
        (["reprot"], 2, 'unknown command "reprot". Did you mean "report"?'),
        (
            ["--help"],
            0,
            "  verify      Check a dataset, name every fault, and mend it if wanted.\n",
        ),
        (["--version"], 0, "pagecast 0.1.0\n"),
    ],
)
def test_commands(
    argv: list[str], code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == code
    assert text in "".join(capsys.readouterr())


def test_another_python_says_how_to_get_the_right_one(tmp_path: Path) -> None:
    """One without any package, and with this tree at hand, as before `activate`."""
    done = subprocess.run(
        [sys.executable, "-S", "-m", "pipeline", "run"],
        cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"pagecast: error: {sys.executable} has no cyclopts, which the commands need: pip "
        "install 'pagecast[pipeline]'; or ./run_local.sh installs all that is needed into "
        ".venv, and `. .venv/bin/activate` makes that the Python in use\n"
    )


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("plain"), "ValueError: plain"),
        (RuntimeError("Traceback ...\n  File x\nOSError: [Errno 28] No space left\n\n"),
         "OSError: [Errno 28] No space left"),
        (KeyError(), "KeyError: "),
    ],
)  # fmt: skip
def test_the_reason_of_a_workers_trace_is_its_last_line(error: Exception, line: str) -> None:
    assert reason(error) == line
