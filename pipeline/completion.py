"""The command `completion`: what makes a shell complete commands and options, by shtab."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import shtab

from pipeline.__main__ import COMMANDS
from pipeline.commandline import run_parser
from pipeline.download import download_parser
from pipeline.estimate.command import plan_parser
from pipeline.parser import Parser
from pipeline.report.command import parser as report_parser
from pipeline.streams import tell
from pipeline.verify import parser as verify_parser

DONE = 0
SHELLS = ("bash", "zsh", "tcsh")


def completion_parser() -> Parser:
    """Return the parser of `completion`."""
    it = Parser(
        "pagecast completion",
        "SHELL",
        "Print what makes a shell complete Pagecast's commands and options.",
        'eval "$(pagecast completion bash)"',
    )
    it.add_argument("shell", choices=SHELLS, metavar="SHELL", help=" or ".join(SHELLS))
    return it


def completion(argv: Sequence[str]) -> int:
    """Carry out a `completion` command line and return its exit code.

    Raises:
      UsageError: wrong use.
    """
    options = completion_parser().parse_args(argv)
    tell(shtab.complete(whole_parser(), options.shell))
    return DONE


def whole_parser() -> argparse.ArgumentParser:
    """Return a parser of all commands, for shtab to look at."""
    parsers = {
        "download": download_parser(),
        "plan": plan_parser(),
        "run": run_parser(),
        "verify": verify_parser(),
        "report": report_parser(),
        "completion": completion_parser(),
    }
    whole = argparse.ArgumentParser("pagecast")
    commands = whole.add_subparsers()
    for name, text in COMMANDS.items():
        commands.add_parser(name, help=text)
        commands.choices[name] = parsers[name]
    return whole
