"""All command lines, by Cyclopts: from the fields of options to help, completion and errors.

What is done here beside the library, and the test that fails without it:

- help in columns, since its panels take 54 lines for `run`:
  test_the_help_of_every_command_fits_a_screen;
- options that are not ours are looked up among Beam's, which drops a misspelt one silently:
  test_wrong_use_says_what_and_why_in_one_line;
- what is missing is said in a few words, after what is unknown, which may be it misspelt:
  test_a_misspelt_option_of_any_command_suggests_the_right_one.
"""

from __future__ import annotations

import argparse
import difflib
import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from inspect import BoundArguments
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from cyclopts import App, CycloptsError, MissingArgumentError, Parameter, UnknownCommandError
from cyclopts.argument import ArgumentCollection
from cyclopts.config import Dict
from cyclopts.help import HelpPanel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.cli.configfile import Given, begin, read_config
from pipeline.options import LOCAL_RUNNER, UsageError, is_dataflow
from pipeline.runners.environment import quick_imports

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

SCREEN = 80  # columns of the narrowest terminal in use
CLOSE = 0.75  # similarity of what was meant by a misspelt name, of 1
OPTION = re.compile(r"--(\w+)")
# Beam's options of how many workers there are, on any runner but ours.
WORKERS = re.compile(r"(workers|parallelism|_running_mode)$")
# Beam's options of which every one is another runner's, but for what any worker heeds.
ELSEWHERE = (
    "DirectOptions",
    "WorkerOptions",
    "PortableOptions",
    "JobServerOptions",
    "FlinkRunnerOptions",
    "SparkRunnerOptions",
    "PrismRunnerOptions",
)
HEEDED = (
    "--default_sdk_harness_log_level",
    "--sdk_harness_log_level_overrides",
    "--max_cache_memory_usage_mb",
    "--element_processing_timeout_minutes",
)
TAKEN = {"beam_args", "store_args"}  # fields for what is given beside the options
# Names have underscores; hyphens are taken too. A switch has no opposite, a list all that follows.
# What is given again wins, so that a script's options can be overruled after it.
AS_TYPED = Parameter(
    name_transform=str,
    negative="",
    consume_multiple=True,
    allow_repeating=True,
    show_choices=False,
)


class Call(NamedTuple):
    """What a command may want to know beside its options: the words, and which options they are.

    given: names of options of the command line and of its file. is_program: whether this process
    does nothing else.
    """

    words: Sequence[str]
    given: frozenset[str]
    is_program: bool = False


class Command(NamedTuple):
    """A function, and what to call it with."""

    function: Callable[..., Any]
    bound: BoundArguments


class Columns:
    """Help as Cyclopts lays it out, but with one line for each option, and none for borders."""

    def render_usage(self, console: Console, options: Any, usage: Any) -> None:
        """Say how the command is called."""
        console.print(f"usage: {usage}")

    def __call__(self, console: Console, options: Any, panel: HelpPanel) -> None:
        """Say which options there are, each with its default."""
        table = Table.grid(padding=(0, 2, 0, 0))
        for entry in panel.entries:
            if entry.default not in (None, "False"):
                entry.description.append(Text(f"[{entry.default}]"))
            table.add_row(
                Text(f"  {' '.join(entry.display_labels_with_metavar)}"), entry.description
            )
        if panel.entries:
            console.print(f"{panel.title}:", table, sep="\n")


class _App(App):
    """One whose help is in the fields: to search docstrings for it takes long."""

    def assemble_argument_collection(self, **how: Any) -> ArgumentCollection:
        return super().assemble_argument_collection(**{**how, "parse_docstring": False})


def new_app(
    name: str, about: str, example: str, more: str = "", config: Any = read_config, **how: Any
) -> App:
    """Return a command line without commands or options.

    Args:
      example: one command line that works.
      more: what else there is to know.
      config: see `given_or`.
    """
    return _App(
        name=name,
        help=about,
        help_format="plaintext",
        help_formatter=Columns(),
        help_epilogue=epilogue(example, more),
        default_parameter=AS_TYPED,
        config=config,
        help_flags=(),  # it is looked for before anything else
        version_flags=(),
        print_error=False,
        exit_on_error=False,
        verbose=False,
        **how,
    )


def given_or(**defaults: Any) -> list[Any]:
    """Return where options come from that are not typed: the file of `--config`, or these."""
    return [read_config, Dict(defaults, use_commands_as_keys=False)]


def epilogue(example: str, more: str = "") -> str:
    """Return what comes after the options in help."""
    return f"example:\n  {example}" + f"\n{more}" * bool(more)


def help_of(app: App, words: Sequence[str]) -> str:
    """Return the help of the command that the words name, whatever else is among them."""
    stream = io.StringIO()
    console = Console(
        file=stream, width=SCREEN, highlight=False, color_system=None, emoji=False, markup=False
    )
    app.help_print(words, console=console)
    return "\n".join(map(str.rstrip, stream.getvalue().rstrip().split("\n")))


def parse(app: App, words: Sequence[str], is_program: bool = False) -> Command:
    """Return the command that the words name, with its options.

    Raises:
      UsageError: an option is unknown, missing or wrong, on the command line or in its `--config`;
        the text is one line.
    """
    found = begin()
    try:
        try:
            function, bound, unused, ignored = app.parse_known_args(list(words))
        except MissingArgumentError as error:
            if found.arguments:  # else a value is missing, not an option
                refuse_unknown(app, found, error.unused_tokens or [], is_program)
            raise
        refuse_unknown(app, found, unused, is_program)
    except (CycloptsError, UsageError) as error:
        said = _told(app, words, error) if isinstance(error, CycloptsError) else str(error)
        names = OPTION.findall(said.partition(";")[0])  # then comes what may have been meant
        place = next((f"{found.places[name]}: " for name in names if name in found.places), "")
        raise UsageError(place + said) from error
    for name in ignored.keys() & TAKEN:
        others = (*found.others, *unused)
        bound.arguments["options"] = replace(bound.arguments["options"], **{name: others})
    if "call" in ignored:
        bound.arguments["call"] = Call(words, frozenset(found.names), is_program)
    return Command(function, bound)


def commands_of(app: App) -> str:
    """Return the names of the commands, as a sentence has them."""
    *others, last = app
    return f"{', '.join(others)} and {last}"


def _told(app: App, words: Sequence[str], error: CycloptsError) -> str:
    """Return what is wrong as one line, with the name of the option of which it is."""
    error.verbose = False
    if isinstance(error, UnknownCommandError) and "Did you mean" not in str(error):
        assert error.unused_tokens
        known = f"{commands_of(app)} (see `{app.name[0]} --help`)"
        return f'unknown command "{error.unused_tokens[0]}"; the commands are {known}'
    said = " ".join(str(error).split()).rstrip(".")
    name = error.argument.name if error.argument is not None else ""
    if name not in said:  # a converter of several values said it
        said = f"invalid value for {name}: {said}"
    if isinstance(error, MissingArgumentError):
        typed = error.keyword or next((w for w in words if w.partition("=")[0] == name), None)
        said = f"{typed} needs a value" if typed else f"{name} is required"
    command = " ".join([app.name[0], *(error.command_chain or ())])
    return f"{said[0].lower()}{said[1:]} (see `{command} --help`)"


def refuse_unknown(app: App, found: Given, unused: Sequence[str], is_program: bool = False) -> None:
    """Refuse what neither Pagecast nor Beam knows, or what means nothing here.

    Args:
      unused: words of the command line that are none of the command's options.

    Raises:
      UsageError: there is such a word, or one such in the file.
    """
    words, runner = [*found.others, *unused], found.runner
    if not words and runner == LOCAL_RUNNER:
        return
    with quick_imports(is_program, runner == LOCAL_RUNNER):
        classes = _classes(found)
    if runner == LOCAL_RUNNER:
        elsewhere = _Parser(each for each in classes if each.__name__ in ELSEWHERE).names
        for name in map(_with_underscores, words):
            if name in elsewhere and WORKERS.search(name):
                raise UsageError(f"{name} has no effect here; use --workers N")
            if name in elsewhere and name not in HEEDED:
                raise UsageError(f"{name} has no effect with --runner {LOCAL_RUNNER}")
    beam = _Parser(classes)
    # Other runners' job servers add options that cannot be known here, so those pass.
    is_all = runner == LOCAL_RUNNER or is_dataflow(runner)
    known = [*found.options, *beam.names] if is_all else list(found.options)
    see = f"(see `{' '.join([app.name[0], *found.commands])} --help`)"
    for argument in beam.parse_known_args(words)[1]:
        name = argument.partition("=")[0]
        if not name.startswith("--"):
            raise UsageError(f"unexpected argument {argument!r} {see}")
        if meant := difflib.get_close_matches(_with_underscores(argument), known, 1, CLOSE):
            raise UsageError(f"unknown option {name}; did you mean {meant[0]}?")
        if is_all:
            raise UsageError(f"unknown option {name} {see}")


class _Parser(argparse.ArgumentParser):
    """Beam's options are declared for argparse."""

    def __init__(self, classes: Iterable[type[PipelineOptions]]) -> None:
        super().__init__(add_help=False, allow_abbrev=False)
        for options in classes:
            options._add_argparse_args(self)
        self.names = list(self._option_string_actions)

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def _with_underscores(argument: str) -> str:
    """Return the name of an option as it is declared, however it was typed."""
    name = argument.partition("=")[0]
    return f"--{name[2:].replace('-', '_')}" if name.startswith("--") else name


def _classes(found: Given) -> list[type[PipelineOptions]]:
    """Return Beam's classes of options, imported only where they are asked for: that takes long.

    Raises:
      UsageError: the runner is none that Beam has, which else only the job finds.
    """
    taken = TAKEN & {argument.field_info.name for argument in found.arguments}
    if not taken:
        return []
    from apache_beam.options import pipeline_options as beam
    from apache_beam.runners import create_runner

    if "store_args" in taken:
        return [beam.S3Options, beam.GoogleCloudOptions]
    try:
        create_runner(found.runner)
    except (ValueError, ImportError, AttributeError) as error:
        raise UsageError(f"--runner {found.runner} cannot be used: {error}") from error
    return beam.PipelineOptions.__subclasses__()
