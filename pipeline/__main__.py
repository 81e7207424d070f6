"""`python -m pipeline COMMAND`, also installed as `pagecast COMMAND`."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from pipeline import be_safe
from pipeline.progress import streams
from pipeline.progress.streams import OutputError
from pipeline.runners import signals

if TYPE_CHECKING:
    from cyclopts import App

DONE, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130
STOPPED = "stopped; give the same command again to go on"
HELP = ("-h", "--help")


def main(
    argv: Sequence[str] | None = None, is_program: bool = False, app: App | None = None
) -> int:
    """Carry out a command line and return its exit code; errors are one line each.

    Args:
      is_program: whether this process does nothing else.
      app: another command line than Pagecast's own.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not is_program:
        signals.forget()
    from pipeline.options import UsageError

    failure, code, is_stopped = "", DONE, False
    try:
        code = _carry_out(words, is_program, app)
        streams.flush()
    except UsageError as error:
        failure, code = str(error), WRONG_USE
    except OutputError as error:
        failure, code = str(error), error.code
    except KeyboardInterrupt:
        is_stopped = True
    except Exception as error:
        from pipeline.commands.failure import JobError, reason

        failure, code = str(error) if isinstance(error, JobError) else reason(error), FAILED
    # What failed is what the stop broke off; a command may also say itself that it was stopped.
    if is_stopped or (signals.stopped() and code != INTERRUPTED):
        return _interrupted(is_program)
    if failure:
        from pipeline.progress.terminal import say

        say(f"error: {failure}")
    return code


def _carry_out(words: list[str], is_program: bool, app: App | None) -> int:
    """Do what a command line says; with --help it says only that, whatever else it says."""
    from pipeline.cli.commandline import commands_of, help_of, parse
    from pipeline.cli.commands import APP
    from pipeline.options import UsageError

    app = app or APP
    if app is APP and words[:1] == ["--version"]:
        from importlib import metadata

        streams.tell(f"pagecast {metadata.version('pagecast')}")
        return DONE
    if app is APP and words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    before = words[: words.index("--")] if "--" in words else words
    asked = [word for word in before if word not in HELP]
    if asked != before and (app is not APP or not asked or asked[0] in APP):
        streams.tell(help_of(app, asked))
        return DONE
    if app is APP and not words:
        raise UsageError(f"no command; the commands are {commands_of(APP)} (see `pagecast --help`)")
    from pipeline.progress import logs, terminal

    logs.begin()  # before Beam is imported
    logs.choose(verbose=False)
    terminal.be_quiet(False)
    command = parse(app, words, is_program)
    return int(command.function(*command.bound.args, **command.bound.kwargs) or DONE)


def _interrupted(is_program: bool) -> int:
    """Say that the command was stopped, and end this process if it is the command itself."""
    if is_program and "pipeline.commands.run" not in sys.modules:
        _leave_stopped(INTERRUPTED)  # without Beam, which takes seconds to import
    from pipeline.commands.run import leave
    from pipeline.progress.terminal import say

    say(STOPPED)
    if is_program:
        leave(INTERRUPTED)  # whatever Beam's threads still wait for
    return INTERRUPTED


def _leave_stopped(code: int) -> None:
    """End a process that does not come to its end after it was stopped."""
    from pipeline.progress import terminal

    terminal.release()
    with contextlib.suppress(OSError):
        os.write(2, f"pagecast: {STOPPED}\n".encode())
    os._exit(code)


def _begin() -> None:
    """Set up this process, which does nothing else, before anything large is imported."""
    be_safe()
    streams.open_all()
    # NumPy would start a thread for each processor, here and below, that looks for work at first.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def start(app: App, is_program: bool = False) -> NoReturn:
    """Carry out this process's own arguments as another command line than Pagecast's."""
    _begin()
    sys.exit(main(is_program=is_program, app=app))


def program() -> None:
    """Be the command: carry out this process's own arguments, and end it with the exit code."""
    _begin()
    try:
        with signals.stoppable(_leave_stopped):
            code = main(is_program=True)
            signals.be_deaf()  # all is done and said
        sys.exit(code)
    except KeyboardInterrupt:  # before there was a command
        streams.complain(f"pagecast: {STOPPED}")
        sys.exit(INTERRUPTED)
    except ModuleNotFoundError as error:  # another Python than the one that has it all
        sys.exit(
            f"pagecast: error: {sys.executable} has no {error.name}, which the commands need: pip "
            "install 'pagecast[pipeline]'; or ./run_local.sh installs all that is needed into "
            ".venv, and `. .venv/bin/activate` makes that the Python in use"
        )


if __name__ == "__main__":
    program()
