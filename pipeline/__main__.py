"""`python -m pipeline COMMAND`, also installed as `pagecast COMMAND`."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import metadata

from pipeline import be_safe, signals, streams
from pipeline.streams import OutputError

COMMANDS = {
    "download": "fetch FineWiki from the Hugging Face hub",
    "plan": "say what a run will make, how long it takes, and if the disk has room",
    "run": "make samples, pages and a train/val split of articles",
    "verify": "check a dataset, and mend it",
    "report": "show a dataset in one HTML page",
    "completion": "print what makes a shell complete all this",
}
USAGE = """usage: pagecast COMMAND [options]

Turns Wikipedia articles (FineWiki parquet) into training data for vision-text compression.

{commands}

`pagecast COMMAND --help` lists the options, `pagecast --version` says which version this is.
Exit codes: 0 done, 1 failed or faulty, 2 wrong use, 130 stopped.

example:
  pagecast run --input 'enwiki/*.parquet' --output_dir out"""
DONE, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130
STOPPED = "stopped; give the same command again to go on"


def main(argv: Sequence[str] | None = None, is_program: bool = False) -> int:
    """Carry out a command line and return its exit code; errors are one line each.

    Args:
      is_program: whether this process does nothing else.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not is_program:
        signals.forget()
    if arguments and arguments[0] in ("-h", "--help", "help", "--version"):
        return _answer(_version() if arguments[0] == "--version" else usage())
    from pipeline import logs

    logs.begin()  # before Beam is imported
    from pipeline.options import UsageError
    from pipeline.progress import be_quiet, say
    from pipeline.run import JobError, reason

    logs.choose(verbose=False)
    be_quiet(False)
    failure, code = "", DONE
    try:
        try:
            code = _function(arguments, is_program)(arguments[1:])
        except SystemExit as done:  # of --help
            code = int(done.code or DONE)
        streams.flush()
    except UsageError as error:
        failure, code = str(error), WRONG_USE
    except OutputError as error:
        failure, code = str(error), error.code
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:
        failure, code = str(error) if isinstance(error, JobError) else reason(error), FAILED
    if signals.stopped() or code == INTERRUPTED:  # what failed is what the stop broke off
        return _interrupted(is_program)
    if failure:
        say(f"error: {failure}")
    return code


def _answer(text: str) -> int:
    """Print a text, and return the exit code."""
    try:
        streams.tell(text)
    except OutputError as error:
        if str(error):
            streams.complain(f"pagecast: error: {error}")
        return error.code
    return DONE


def _interrupted(is_program: bool) -> int:
    """Say that the command was stopped, and end this process if it is the command itself."""
    from pipeline.progress import say
    from pipeline.run import leave

    say(STOPPED)
    if is_program:
        leave(INTERRUPTED)  # whatever Beam's threads still wait for
    return INTERRUPTED


def _leave_stopped(code: int) -> None:
    """End a process that does not come to its end after it was stopped."""
    from pipeline import progress

    progress.release()
    with contextlib.suppress(OSError):
        os.write(2, f"pagecast: {STOPPED}\n".encode())
    os._exit(code)


def usage() -> str:
    """Return what `pagecast --help` says."""
    width = max(map(len, COMMANDS))
    lines = (f"  {name:<{width}}  {text}" for name, text in COMMANDS.items())
    return USAGE.format(commands="\n".join(lines))


def _version() -> str:
    return f"pagecast {metadata.version('pagecast')}"


def _function(arguments: Sequence[str], is_program: bool) -> Callable[[Sequence[str]], int]:
    """Import what the command needs, and nothing of the others: some are slow to."""
    command = _command(arguments)
    if command == "run":
        from pipeline.run import run

        return partial(run, is_program=is_program)
    if command == "plan":
        from pipeline.estimate.command import plan

        return plan
    if command == "verify":
        from pipeline.verify import verify

        return verify
    if command == "report":
        from pipeline.report.command import report

        return report
    if command == "download":
        from pipeline.download import download

        return download
    from pipeline.completion import completion

    return completion


def _command(arguments: Sequence[str]) -> str:
    from pipeline.options import UsageError
    from pipeline.parser import similar

    if arguments and arguments[0] in COMMANDS:
        return arguments[0]
    *others, last = COMMANDS
    given, hint = "no command", f"the commands are {', '.join(others)} and {last}"
    if arguments:
        given = f"unknown command {arguments[0]!r}"
        meant = similar(arguments[0], COMMANDS, 0.6)  # they are short
        hint = f"did you mean {meant}?" if meant else hint
    raise UsageError(f"{given}; {hint} (see `pagecast --help`)")


def program() -> None:
    """Be the command: carry out this process's own arguments, and end it with the exit code."""
    be_safe()
    streams.open_all()
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
            f"pagecast: error: {sys.executable} has no {error.name}: ./run_local.sh installs all "
            "that is needed into .venv, and `. .venv/bin/activate` makes that the Python in use"
        )


if __name__ == "__main__":
    program()
