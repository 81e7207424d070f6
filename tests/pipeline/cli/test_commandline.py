"""What every command line does: help that fits a screen, and one line for each mistake."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
from cyclopts import App

from pipeline.__main__ import main
from pipeline.cli.commandline import help_of, new_app, parse
from pipeline.cli.commands import APP
from pipeline.cli.kinds import Count, Place, text
from pipeline.options import HOW, WHERE, UsageError
from pipeline.runners.dataflow.__main__ import APP as DATAFLOW
from pipeline.runners.flink.__main__ import APP as FLINK
from pipeline.runners.flink.pool import APP as POOL

COMMANDS = tuple(APP)
COMMAND_LINES = [
    *((APP, [name]) for name in COMMANDS),
    *((app, []) for app in (FLINK, DATAFLOW, POOL)),
]
SCREEN = 80
SEE = " (see `pagecast x --help`)"
SMALL = 24  # lines of the smallest terminal, enough for all but the longest
LARGE = 52


def own_options(app: App, words: list[str]) -> dict[str, object]:
    """Return the options that help is to show, with their defaults."""
    (*_, last) = app.parse_commands(words)[1]
    with app.app_stack(words):
        arguments = last.assemble_argument_collection()
    return {a.name: a.field_info.default for a in arguments if a.show and a.name.startswith("--")}


def small_app() -> App:
    app = new_app("pagecast x", "About it.", "pagecast x --size 3", "One thing more.")

    @app.default
    def _(
        *,
        path: Annotated[tuple[Place, ...], text(HOW, "where", "PATH ...")],
        size: Annotated[Count, text(WHERE, "how large")] = 7,
        home: Annotated[Place, text(WHERE, "where else")] = "here",
        loud: Annotated[bool, text(HOW, "be loud")] = False,
    ) -> None:
        pass

    return app


def test_help_is_compact() -> None:
    assert (
        help_of(small_app(), [])
        == """\
usage: pagecast x --path PATH ... [OPTIONS]

About it.

where:
  --size N    how large [7]
  --home DIR  where else [here]
how it runs:
  --path PATH ...  where
  --loud           be loud

example:
  pagecast x --size 3
One thing more."""
    )


@pytest.mark.parametrize(("app", "words"), COMMAND_LINES)
def test_the_help_of_every_command_fits_a_screen(app: App, words: list[str]) -> None:
    shown = help_of(app, words)
    lines = shown.splitlines()
    assert max(map(len, lines)) <= SCREEN
    assert len(lines) <= (LARGE if words == ["run"] else SMALL)
    assert lines[0].startswith(f"usage: {' '.join([app.name[0], *words])} ")
    assert lines.count("example:") == 1
    for name, default in own_options(app, words).items():
        assert re.search(rf"^  {name} ", shown, re.MULTILINE)
        if default and isinstance(default, int | str) and not isinstance(default, bool):
            assert f"[{default}]" in shown


def test_the_help_of_all_commands_fits_a_screen() -> None:
    shown = help_of(APP, [])
    assert len(shown.splitlines()) <= SMALL
    assert not [name for name in COMMANDS if f"  {name} " not in shown]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("line", ["{} --help", "help {}", "{} --nonsense --seed x -h"])
def test_help_is_exit_code_0_whatever_else_is_wrong(
    command: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line.format(command).split()) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"usage: pagecast {command} ")
    assert err == ""


HEAVY = ("apache_beam", "transformers", "pyarrow", "numpy", "tokenizers", "yaml", "PIL", "torch")
QUICK = f"""
import runpy, sys
sys.argv[0] = "pipeline"
try:
    runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
finally:
    assert not [name for name in {HEAVY} if name in sys.modules]
"""


@pytest.mark.parametrize("line", [
    "pipeline", *(f"pipeline {name}" for name in COMMANDS), "pipeline.runners.flink",
    "pipeline.runners.dataflow", "pipeline.runners.flink.pool",
])  # fmt: skip
def test_help_imports_nothing_that_is_slow_to(line: str) -> None:
    """Beam alone takes seconds. No clock says so, since other things run here too."""
    done = subprocess.run(
        [sys.executable, "-c", QUICK, *line.split(), "--help"], capture_output=True, text=True,
        cwd=Path(__file__).parents[3], check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "completion"])
def test_a_misspelt_option_of_any_command_suggests_the_right_one(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where it was meant to be one that must be given."""
    for typed in ("--ouput_dir", "--ouput-dir"):
        assert main([command, typed, "x"]) == 2
        assert capsys.readouterr().err == (
            f"pagecast: error: unknown option {typed}; did you mean --output_dir?\n"
        )


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("--path a --siez 3", "unknown option --siez; did you mean --size?"),
        ("--path a --siez=3", "unknown option --siez; did you mean --size?"),
        ("--frob", "unknown option --frob" + SEE),
        ("--path a --size b", "invalid value for --size: 'b' is not a whole number" + SEE),
        ("--path a --size 1.5", "invalid value for --size: '1.5' is not a whole number" + SEE),
        ("--path a --size 0", 'invalid value "0" for --size. Must be >= 1' + SEE),
        ("--path a --size", "--size needs a value" + SEE),
        ("--path a --loud=x", 'invalid value for --loud: unable to convert "x" into bool' + SEE),
        ("--size 3 4 --path a", "unexpected argument '4'" + SEE),
        ("--size 3", "--path is required" + SEE),
        ("--pat a", "unknown option --pat; did you mean --path?"),
    ],
)
def test_mistakes_are_one_line(args: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        parse(small_app(), args.split())


def parsed(line: str) -> dict[str, object]:
    return dict(parse(small_app(), line.split()).bound.arguments)


def test_options_are_parsed() -> None:
    assert parsed("--path a b --loud") == {"path": ("a", "b"), "loud": True}
    assert parsed("--size=3 --path a --size 4") == {"path": ("a",), "size": 4}


def test_a_tilde_is_the_home_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert parsed("--path=~/a ~/b --home=~/c") == {
        "path": ("/home/me/a", "/home/me/b"), "home": "/home/me/c",
    }  # fmt: skip


SHELLS = {"bash": "bash -n", "zsh": "zsh -n", "fish": "fish -n"}


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_knows_all_commands_and_options(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for name in COMMANDS:
        assert name in script
        assert not [o for o in own_options(APP, [name]) if o.lstrip("-") not in script]
    if shutil.which(shell):
        subprocess.run(SHELLS[shell].split(), input=script, text=True, check=True)


def test_zsh_is_told_whom_to_ask(capsys: pytest.CaptureFixture[str]) -> None:
    """As `eval` alone only defines a function."""
    assert main(["completion", "zsh"]) == 0
    script = capsys.readouterr().out
    assert f"\n{script.split()[-2]}() {{\n" in script
    assert script.endswith(" pagecast\n\n")


def test_bash_completes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A misspelt word is completed to none; a begun one as it goes on."""
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "complete.sh"
    script.write_text(capsys.readouterr().out)
    ask = """
source "$1"
function=$(complete -p pagecast | sed 's/.*-F \\([^ ]*\\).*/\\1/')
COMP_WORDS=(pagecast $2 "$3") COMP_CWORD=$(($# - 1)) COMP_LINE="pagecast $2 $3"
COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_POINT=${#COMP_LINE}
"$function" pagecast "$3"
echo "${COMPREPLY[@]}"
"""
    for before, begun, found in (
        ("", "ver", "verify"),
        ("run", "--num_art", "--num_articles"),
        ("run --layout", "ra", "raqm"),
        ("completion", "z", "zsh"),
    ):
        done = subprocess.run(
            ["bash", "-c", ask, "bash", script, before, begun], env=os.environ | {"LC_ALL": "C"},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.split() == [found], (before, begun)


def test_completion_knows_three_shells(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == 2
    assert 'invalid value "tcsh" for SHELL' in capsys.readouterr().err
