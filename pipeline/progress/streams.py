"""Standard output and error as they may be: closed, on a full disk, or a pipe that nobody reads."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TextIO

FAILED, PIPE_CLOSED = 1, 141  # exit codes; the latter is what SIGPIPE gives to other programs


class OutputError(Exception):
    """What was to be printed could not be. The text is empty where the reader wants no more."""

    def __init__(self, error: OSError) -> None:
        is_closed = isinstance(error, BrokenPipeError)
        self.code = PIPE_CLOSED if is_closed else FAILED
        why = f"cannot write to standard output ({error.strerror}); this is all that failed"
        super().__init__("" if is_closed else why)


def open_all() -> None:
    """Put something in the place of closed ones: a file of the dataset would be opened there.

    Writing to standard output then fails, as it should: what was to be printed is lost.
    """
    for number, mode in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, mode), True)  # it is the lowest that is free
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False, errors="backslashreplace")


def tell(text: str) -> None:
    """Print a result.

    Raises:
      OutputError: it could not be written.
    """
    try:
        print(text, flush=True)
    except OSError as error:
        _silence(sys.stdout)
        raise OutputError(error) from error


def flush() -> None:
    """Write what others printed.

    Raises:
      OutputError: it could not be written.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        _silence(sys.stdout)
        raise OutputError(error) from error


def complain(line: str) -> None:
    """Write a line to the error stream; if that cannot be there is nobody to tell."""
    if sys.stderr is None:
        return
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        _silence(sys.stderr)


def _silence(stream: TextIO) -> None:
    """Let what is still to be written go nowhere: Python tries once more when it ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
