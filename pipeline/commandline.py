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
from dataclasses import fields, is_dataclass, replace
from inspect import BoundArguments, signature
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from cyclopts import App, CycloptsError, MissingArgumentError, Parameter
from cyclopts.help import HelpPanel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.configfile import Given, given, read_config
from pipeline.options import LOCAL_RUNNER, UsageError, is_dataflow

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

SCREEN = 80  # columns of the narrowest terminal in use
CLOSE = 0.75  # similarity of what was meant by a misspelt name, of 1
OPTION = re.compile(r"--([a-z_]+)")
# Beam's options of how many workers there are, on any runner but ours.
WORKERS = (
    "--num_workers",
    "--max_num_workers",
    "--parallelism",
    "--max_parallelism",
    "--sdk_worker_parallelism",
    "--direct_num_workers",
    "--direct_running_mode",
)
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


def new_app(
    name: str, about: str, example: str, more: str = "", config: Any = read_config, **how: Any
) -> App:
    """Return a command line without commands or options.

    Args:
      example: one command line that works.
      more: what else there is to know.
    """
    return App(
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
    with given() as found:
        try:
            function, bound, unused, ignored = app.parse_known_args(list(words))
        except CycloptsError as error:
            if isinstance(error, MissingArgumentError) and found.arguments is not None:
                refuse_unknown(app, found, error.unused_tokens or [], _taken_by(found))
            raise UsageError(_in_file(found, *_told(app, words, error))) from error
        except UsageError as error:
            names = OPTION.findall(str(error))
            raise UsageError(_in_file(found, str(error), names)) from error
        if found.arguments is None:
            return Command(function, bound)  # Cyclopts' own, e.g. of completion
        refuse_unknown(app, found, unused, ignored)
        others = tuple(argument for _, argument in found.others) + tuple(unused)
        for name, value in bound.arguments.items():
            bound.arguments[name] = _with(value, others)
        if "call" in signature(function).parameters:
            bound.arguments["call"] = Call(words, frozenset(found.names), is_program)
        return Command(function, bound)


def _with(options: Any, others: tuple[str, ...]) -> Any:
    """Return options with those that are Beam's, if they take any."""
    if not is_dataclass(options) or isinstance(options, type):
        return options
    for field in fields(options):
        if field.name in ("beam_args", "store_args"):
            return replace(options, **{field.name: others})
    return options


def _taken_by(found: Given) -> list[str]:
    """Return the names of what is parsed into beside the options, e.g. `beam_args`."""
    return [argument.field_info.name for argument in found.arguments or () if not argument.parse]


def _told(app: App, words: Sequence[str], error: CycloptsError) -> tuple[str, list[str]]:
    """Return what is wrong as one line, and the options of which it is."""
    error.verbose = False
    said = " ".join(str(error).split()).rstrip(".")
    name = error.argument.name if error.argument is not None else ""
    if name not in said:  # a converter of several values said it
        said = f"invalid value for {name}: {said}"
    if isinstance(error, MissingArgumentError):
        typed = error.keyword or next((w for w in words if w.partition("=")[0] == name), None)
        said = f"{typed} needs a value" if typed else f"{name} is required"
    command = " ".join([app.name[0], *(error.command_chain or ())])
    return f"{said[0].lower()}{said[1:]} (see `{command} --help`)", [name.lstrip("-")]


def _in_file(found: Given, said: str, names: Iterable[str]) -> str:
    """Return what is wrong, after the place in the file where it stands, if it does."""
    place = next((found.places[name] for name in names if name in found.places), None)
    return said if place is None else f"{place}: {said}"


def refuse_unknown(app: App, found: Given, unused: Sequence[str], taken: Iterable[str]) -> None:
    """Refuse what neither Pagecast nor Beam knows, or what means nothing here.

    Args:
      unused: words of the command line that are none of the command's options.
      taken: what the command takes beside them: `beam_args`, `store_args` or nothing of Beam's.

    Raises:
      UsageError: there is such a word, or one such in the file.
    """
    if not found.others and not unused and found.runner == LOCAL_RUNNER:
        return
    beam = _Beam(app, found, taken)
    for place, argument in found.others:
        try:
            beam.refuse([argument])
        except UsageError as error:
            raise UsageError(f"{place}: {error}") from error
    beam.refuse(unused)


class _Parser(argparse.ArgumentParser):
    """Beam's options are declared for argparse."""

    def __init__(self) -> None:
        super().__init__(add_help=False, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


class _Beam:
    """Those of Beam's options that a command takes."""

    def __init__(self, app: App, found: Given, taken: Iterable[str]) -> None:
        self.command, self.runner, self.own = found.command(app), found.runner, found.options
        self.parser, self.elsewhere = _Parser(), _Parser()
        for options in _classes(set(taken)):
            options._add_argparse_args(self.parser)
            if options.__name__ in ELSEWHERE:
                options._add_argparse_args(self.elsewhere)
        if "beam_args" in taken:
            _refuse_unusable(self.runner)

    def refuse(self, args: Sequence[str]) -> None:
        for argument in args if self.runner == LOCAL_RUNNER else ():
            name = _with_underscores(argument)
            if name in WORKERS:
                raise UsageError(f"{name} has no effect here; use --workers N")
            if name in self.elsewhere._option_string_actions and name not in HEEDED:
                raise UsageError(f"{name} has no effect with --runner {LOCAL_RUNNER}")
        _, unknown = self.parser.parse_known_args(args)
        # Other runners' job servers add options that cannot be known here, so those pass.
        has_no_job_server = self.runner == LOCAL_RUNNER or is_dataflow(self.runner)
        for argument in unknown:
            name = argument.partition("=")[0]
            if not name.startswith("--"):
                raise UsageError(f"unexpected argument {argument!r} (see `{self.command} --help`)")
            beams = list(self.parser._option_string_actions) if has_no_job_server else []
            if meant := similar(_with_underscores(argument), [*self.own, *beams]):
                raise UsageError(f"unknown option {name}; did you mean {meant}?")
            if has_no_job_server:
                raise UsageError(f"unknown option {name} (see `{self.command} --help`)")


def _with_underscores(argument: str) -> str:
    """Return the name of an option as it is declared, however it was typed."""
    name = argument.partition("=")[0]
    return f"--{name[2:].replace('-', '_')}" if name.startswith("--") else name


def _classes(taken: set[str]) -> list[type[PipelineOptions]]:
    """Return Beam's classes of options, imported only where they are asked for: that takes long."""
    if not taken & {"beam_args", "store_args"}:
        return []
    from apache_beam.options import pipeline_options as beam

    if "store_args" in taken:
        return [beam.S3Options, beam.GoogleCloudOptions]
    return beam.PipelineOptions.__subclasses__()


def _refuse_unusable(runner: str) -> None:
    """Refuse a runner that Beam does not have, which else only the job finds."""
    from apache_beam.runners import create_runner

    try:
        create_runner(runner)
    except (ValueError, ImportError, AttributeError) as error:
        raise UsageError(f"--runner {runner} cannot be used: {error}") from error


def similar(name: str, known: Iterable[str], close: float = CLOSE) -> str | None:
    """Return the one of the known names that was probably meant."""
    return next(iter(difflib.get_close_matches(name, list(known), 1, cutoff=close)), None)
