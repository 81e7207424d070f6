"""What every command line does: help that fits a screen, and one line for each mistake."""

import re
from collections.abc import Callable

import pytest

from pipeline.__main__ import COMMANDS, main, usage
from pipeline.commandline import run_parser
from pipeline.completion import completion_parser, whole_parser
from pipeline.dataflow.__main__ import dataflow_parser
from pipeline.download import download_parser
from pipeline.estimate.command import plan_parser
from pipeline.flink.__main__ import flink_parser
from pipeline.options import UsageError
from pipeline.parser import Parser
from pipeline.report.command import parser as report_parser
from pipeline.verify import parser as verify_parser

PARSERS = [
    run_parser, plan_parser, verify_parser, report_parser, download_parser, completion_parser,
    flink_parser, dataflow_parser,
]  # fmt: skip
SCREEN = (80, 50)  # columns and lines
SMALL = 24  # lines of the smallest terminal, enough for all but the longest


def small_parser() -> Parser:
    it = Parser("pagecast x", "--size N", "About it.", "pagecast x --size 3", "One thing more.")
    first = it.group("one")
    first.number("size", "how large", 7)
    first.add("path", "where", required=True, nargs="+", metavar="PATH")
    it.group("two").switch("loud", "be loud")
    return it


def test_help_is_compact() -> None:
    assert (
        small_parser().format_help()
        == """\
usage: pagecast x --size N [options]

About it.

one:
  --size N         how large [7]
  --path PATH ...  where
two:
  --loud           be loud

example:
  pagecast x --size 3
One thing more.
"""
    )


@pytest.mark.parametrize("parser", PARSERS)
def test_the_help_of_every_command_fits_a_screen(parser: Callable[[], Parser]) -> None:
    it = parser()
    lines = it.format_help().splitlines()
    assert max(map(len, lines)) <= SCREEN[0]
    assert len(lines) <= (SCREEN[1] if it.prog == "pagecast run" else SMALL)
    assert lines[0].startswith(f"usage: {it.prog} ")
    assert lines.count("example:") == 1
    assert not [name for name in it.names if name != "--help" and name not in "\n".join(lines)]


def test_the_help_of_all_commands_fits_a_screen() -> None:
    lines = usage().splitlines()
    assert len(lines) <= SMALL
    assert not [name for name in COMMANDS if f"  {name} " not in usage()]


@pytest.mark.parametrize("parser", PARSERS)
def test_help_gives_every_default(parser: Callable[[], Parser]) -> None:
    shown = parser().format_help()
    for action in parser()._actions:
        if action.default not in (None, False, "==SUPPRESS=="):
            assert f"[{action.default}]" in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_exit_code_0(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"usage: pagecast {command} ")
    assert err == ""


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "completion"])
def test_a_misspelt_option_of_any_command_suggests_the_right_one(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where it was meant to be one that must be given."""
    assert main([command, "--ouput_dir", "x"]) == 2
    assert capsys.readouterr().err == (
        "pagecast: error: unknown option --ouput_dir; did you mean --output_dir?\n"
    )


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("--path a --siez 3", "unknown option --siez; did you mean --size?"),
        ("--path a --siez=3", "unknown option --siez; did you mean --size?"),
        ("--frob", "unknown option --frob (see `pagecast x --help`)"),
        ("--path a --size b", "argument --size: invalid int value: 'b' (see `pagecast x --help`)"),
        ("--size 3 4 --path a", "unexpected argument '4' (see `pagecast x --help`)"),
        ("--size 3", "the following arguments are required: --path (see `pagecast x --help`)"),
        ("--pat a", "unknown option --pat; did you mean --path?"),
    ],
)
def test_mistakes_are_one_line(args: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        small_parser().parse_args(args.split())


def test_options_are_parsed() -> None:
    known = small_parser().parse_args(["--path", "a", "b", "--loud"])
    assert vars(known) == {"path": ["a", "b"], "loud": True, "size": 7}


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_all_commands_and_options(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for name, parser in whole_parser()._subparsers._group_actions[0].choices.items():
        assert name in script
        assert not [o for o in parser.names if o != "--help" and o.lstrip("-") not in script]


def test_completion_knows_three_shells(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "fish"]) == 2
    assert "invalid choice: 'fish'" in capsys.readouterr().err
