"""A worker process: Beam's own, one that ends with whoever started it."""

import contextlib
import logging
import os
import sys
from typing import NoReturn

from pipeline.runners.environment import quick_imports
from pipeline.runners.forkserver import serve
from pipeline.runners.watchdog import beat_for_ever


def be_local(launcher: int) -> None:
    """Work for a launcher on this machine, and say only what a person should know.

    Messages go to the launcher through Beam's logging service, and an error comes back as the
    job's; Beam prints its trace here as well. What ends the process goes to the terminal.
    """
    logging.getLogger().addHandler(logging.NullHandler())
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stderr(nowhere):
        work(launcher)


def be_remote() -> None:
    """Work for a cluster; all messages go to its logs."""
    work()


def work(launcher: int | None = None) -> NoReturn:
    """Do what the runner says until it ends, or until the process that started this one does.

    It does not return: the process ends with it.
    """
    beat_for_ever(launcher)
    with quick_imports(without_clouds=False):
        from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main([])
    # The runner is gone or needs this worker no more, so what is under way is of no use to it. The
    # interpreter would end threads inside gRPC, which now and then aborts with a line of its own.
    os._exit(0)


def prepare() -> None:
    """Import what workers need. Beam tells of what is not installed."""
    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        contextlib.redirect_stderr(nowhere),
        quick_imports(),
    ):
        import apache_beam.runners.worker.sdk_worker_main  # noqa: F401

        import pipeline.graph  # noqa: F401


if __name__ == "__main__":
    if sys.argv[1:] == ["--remote"]:
        be_remote()
    serve(int(sys.argv[-1]), prepare, be_local)
