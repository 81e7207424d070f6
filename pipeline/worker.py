"""A local worker process: Beam's own, but one that says only what a person should know."""

import contextlib
import logging
import os
import signal

from pipeline.watchdog import beat_for_ever

if __name__ == "__main__":
    # Beam's messages go to the launcher through its logging service, and an error comes back as the
    # job's; Beam prints its trace here as well. Pagecast's own warnings go to the terminal, and so
    # does what ends the process.
    logging.getLogger().addHandler(logging.NullHandler())
    terminal = logging.StreamHandler()
    terminal.setFormatter(logging.Formatter("pagecast: warning: %(message)s"))
    logging.getLogger("transforms").addHandler(terminal)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the launcher decides
    beat_for_ever()
    from apache_beam.runners.worker import sdk_worker_main

    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stderr(nowhere):
        sdk_worker_main.main([])
