"""`python -m pipeline COMMAND`, also installed as `pagecast COMMAND`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

USAGE = """usage: pagecast run --input PATH [PATH ...] --output_dir DIR [options]

Turns Wikipedia articles (FineWiki parquet) into training data for vision-text compression.
`pagecast run --help` lists the options. Exit codes: 0 done, 1 failed, 2 wrong use."""
DONE, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out a command line and return its exit code; errors are one line each."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] in ("-h", "--help"):
        print(USAGE)
        return DONE
    # Before Beam is imported: it warns about cloud libraries that are not needed here.
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    from pipeline.options import UsageError
    from pipeline.progress import say
    from pipeline.run import run

    logging.getLogger().setLevel(logging.WARNING)
    if not arguments or arguments[0] != "run":
        given = f"unknown command {arguments[0]!r}" if arguments else "no command"
        say(f"{given}; the command is run (see `pagecast --help`)")
        return WRONG_USE
    try:
        return run(arguments[1:])
    except UsageError as error:
        say(f"error: {error}")
        return WRONG_USE
    except KeyboardInterrupt:
        say("stopped; the same command goes on from here")
        return INTERRUPTED
    except Exception as error:
        say(f"error: {reason(error)}")
        logging.debug("the whole trace", exc_info=True)
        return FAILED


def reason(error: Exception) -> str:
    """Return an exception as one line; of a worker's trace, its last line, which is the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else ''}"


if __name__ == "__main__":
    sys.exit(main())
