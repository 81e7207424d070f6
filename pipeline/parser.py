"""What all command lines have in common: help that fits a screen, and errors of one line."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from pipeline.options import UsageError
from pipeline.streams import tell

SCREEN = 80  # columns of the narrowest terminal in use
CLOSE = 0.75  # similarity of what was meant by a misspelt name, of 1


class Help(argparse.RawDescriptionHelpFormatter):
    """One line for each option, as far as that goes; `PATH ...` for one that takes several."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=SCREEN)

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        if action.nargs == "+":
            return f"{self._metavar_formatter(action, default_metavar)(1)[0]} ..."
        return super()._format_args(action, default_metavar)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are exceptions, for the caller to print.

    Args:
      command: what is typed before the options, e.g. "pagecast run".
      usage: the options without which it does not work, e.g. "--output_dir DIR".
      example: one command line that works.
      more: what else there is to know.
    """

    def __init__(self, command: str, usage: str, about: str, example: str, more: str = "") -> None:
        super().__init__(
            prog=command,
            usage=f"{command} {usage} [options]",
            description=about,
            epilog=f"example:\n  {example}" + f"\n{more}" * bool(more),
            formatter_class=Help,
            allow_abbrev=False,
            add_help=False,
        )
        self.add_argument("-h", "--help", action="help", help=argparse.SUPPRESS)
        self._needed: list[str] = []

    def group(self, title: str) -> Group:
        """Begin a group of options."""
        return Group(self, self.add_argument_group(title))

    def need(self, name: str) -> None:
        """Take note of an option that must be given."""
        self._needed.append(name)

    @property
    def names(self) -> list[str]:
        """The options, each as it is typed."""
        return [name for name in self._option_string_actions if name.startswith("--")]

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Return the options, all of which must be known.

        Raises:
          UsageError: one is unknown, missing or wrong.
        """
        known, unknown = self.parse_known_args(args, namespace)
        self.refuse(unknown)
        self.require(known)
        return known

    def refuse(self, unknown: Sequence[str], also: Iterable[str] = ()) -> None:
        """Refuse the first of the arguments that are not known, saying what may have been meant.

        Args:
          also: options that are none of this parser's, but taken beside them.
        """
        for argument in unknown:
            name = argument.split("=")[0]
            if not name.startswith("--"):
                self.error(f"unexpected argument {argument!r}")
            if meant := similar(name, [*self.names, *also]):
                raise UsageError(f"unknown option {name}; did you mean {meant}?")
            self.error(f"unknown option {name}")

    def require(self, known: argparse.Namespace) -> None:
        """Refuse a command line that lacks an option. Later than what is unknown: it may be that.

        Raises:
          UsageError: one is missing.
        """
        missing = [f"--{name}" for name in self._needed if getattr(known, name) is None]
        if missing:
            self.error(f"the following arguments are required: {', '.join(missing)}")

    def format_help(self) -> str:
        """Return the help, with no line between one group and the next."""
        return re.sub(r"(\n +\S[^\n]*)\n\n(?=[^\n]+:\n  -)", r"\1\n", super().format_help())

    def print_help(self, file: Any = None) -> None:
        """Print the help; argparse itself says nothing where that cannot be done."""
        tell(self.format_help().rstrip("\n"))

    def error(self, message: str) -> NoReturn:
        """Raise instead of leaving the process."""
        raise UsageError(f"{message} (see `{self.prog} --help`)")


class Group:
    """A group of options; each states its default."""

    def __init__(self, parser: Parser, group: argparse._ArgumentGroup) -> None:
        self._parser, self._group = parser, group

    def add(self, name: str, text: str, *, required: bool = False, **how: Any) -> None:
        """Add an option, as `ArgumentParser.add_argument` does."""
        default = how.get("default")
        shown = default is not None and default is not False
        if required:
            self._parser.need(name)
        self._group.add_argument(f"--{name}", help=text + " [%(default)s]" * shown, **how)

    def switch(self, name: str, text: str) -> None:
        """Add an option without a value."""
        self.add(name, text, action="store_true")

    def number(self, name: str, text: str, default: int | None = None) -> None:
        """Add an option whose value is a whole number."""
        self.add(name, text, type=int, default=default, metavar="N")


def similar(name: str, known: Iterable[str], close: float = CLOSE) -> str | None:
    """Return the one of the known names that was probably meant."""
    return next(iter(difflib.get_close_matches(name, list(known), 1, cutoff=close)), None)
