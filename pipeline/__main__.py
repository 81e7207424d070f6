"""`python -m pipeline COMMAND`, also installed as `pagecast COMMAND`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import metadata

USAGE = """usage: pagecast run --input PATH [PATH ...] --output_dir DIR [options]
       pagecast verify --output_dir DIR [--repair] [--sample N]
       pagecast report --output_dir DIR [--sample N] [--ocr N]
       pagecast download --language en --output_dir DIR [--revision R]

Turns Wikipedia articles (FineWiki parquet) into training data for vision-text compression, checks
and shows what came of it, and fetches the articles. `pagecast COMMAND --help` lists the options,
`pagecast --version` says which one this is.
Exit codes: 0 done, 1 failed or faulty, 2 wrong use."""
DONE, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None, is_program: bool = False) -> int:
    """Carry out a command line and return its exit code; errors are one line each.

    Args:
      is_program: whether this process does nothing else.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] in ("-h", "--help", "--version"):
        version = f"pagecast {metadata.version('pagecast')}"
        print(version if arguments[0] == "--version" else USAGE)
        return DONE
    # Before Beam is imported: it warns about cloud libraries that are not needed here.
    logging.basicConfig(level=logging.ERROR, format="pagecast: %(levelname)s: %(message)s")
    from pipeline.options import UsageError
    from pipeline.progress import say
    from pipeline.report.command import report
    from pipeline.run import JobError, leave, reason, run
    from pipeline.verify import verify

    logging.getLogger().setLevel(logging.WARNING)
    commands: dict[str, Callable[[Sequence[str]], int]]
    commands = {
        "run": partial(run, is_program=is_program),
        "verify": verify,
        "report": report,
        "download": _download,
    }
    if not arguments or arguments[0] not in commands:
        given = f"unknown command {arguments[0]!r}" if arguments else "no command"
        *others, last = commands
        names = f"{', '.join(others)} and {last}"
        say(f"{given}; the commands are {names} (see `pagecast --help`)")
        return WRONG_USE
    try:
        return commands[arguments[0]](arguments[1:])
    except UsageError as error:
        say(f"error: {error}")
        return WRONG_USE
    except KeyboardInterrupt:
        say("stopped; give the same command again to go on")
        if is_program:
            leave(INTERRUPTED)  # whatever Beam's threads still wait for
        return INTERRUPTED
    except Exception as error:
        say(f"error: {error if isinstance(error, JobError) else reason(error)}")
        return FAILED


def _download(argv: Sequence[str]) -> int:
    from pipeline.download import download  # what it needs of the hub is slow to import

    return download(argv)


def program() -> None:
    """Be the command: carry out this process's own arguments, and end it with the exit code."""
    sys.exit(main(is_program=True))


if __name__ == "__main__":
    program()
