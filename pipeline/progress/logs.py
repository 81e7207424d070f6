"""Logs: what Beam and other libraries have to say, as far as a person wants to know it."""

from __future__ import annotations

import logging
import os
import sys

import pagecast
import transforms
from pipeline.progress import terminal

# These repeat, page after page, the trace of an error that reaches the launcher anyway.
ECHOES = (
    "apache_beam.runners.common",
    "apache_beam.runners.worker",
    "apache_beam.runners.portability.fn_api_runner",
)
# These warn each time that a job server is started, waited for or stopped, and repeat the trace of
# an error that is the job's anyway.
JOB_SERVERS = (
    "apache_beam.utils.subprocess_server",
    "apache_beam.runners.portability.portable_runner",
    "root",
)
NOISE = "apache_beam.typehints"  # a line for each type hint, some 160 of them
OURS = tuple(each.__path__[0] + os.sep for each in (pagecast, transforms))
# What a local worker logs comes out here, as the text of a message of Beam's protocol.
WORKERS = "apache_beam.runners.portability.local_job_service"


class Messages(logging.Handler):
    """Writes what is logged line by line, above what is at the bottom of the terminal."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a message, and the trace that goes with it."""
        try:
            for line in self.format(record).splitlines():
                terminal.write(terminal.one_line(line))
        except Exception:
            self.handleError(record)

    def format(self, record: logging.LogRecord) -> str:
        """Return a message as Pagecast's own look; below a warning with the name of its source."""
        text = super().format(record)
        source = "" if record.levelno >= logging.WARNING else f"{record.name}: "
        return f"pagecast: {record.levelname.lower()}: {source}{text}"


def begin() -> None:
    """Print what is logged from now on, unless somebody else does: before Beam is imported.

    Only errors until `choose`.
    """
    root = logging.getLogger()
    if not root.handlers:
        handler = Messages()
        handler.addFilter(_is_needed)
        root.addHandler(handler)
    root.setLevel(logging.ERROR)


def choose(verbose: bool) -> None:
    """Let through warnings, or with `verbose` all that Beam and other libraries tell."""
    logging.getLogger().setLevel(logging.INFO if verbose else logging.WARNING)
    logging.getLogger(NOISE).setLevel(logging.WARNING)
    for name in ECHOES:
        logging.getLogger(name).setLevel(logging.NOTSET)
    for name in JOB_SERVERS:
        logging.getLogger(name).removeFilter(_is_fatal)
    workers = logging.getLogger(WORKERS)
    for each in (_of_any_worker, _of_our_workers):
        workers.removeFilter(each)
    workers.addFilter(_of_any_worker if verbose else _of_our_workers)


def silence_echoes() -> None:
    """Leave out, of a job on this machine, what its error says anyway."""
    for name in ECHOES:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def silence_job_servers() -> None:
    """Leave out, of a job elsewhere, what its error says anyway."""
    for name in JOB_SERVERS:
        logging.getLogger(name).addFilter(_is_fatal)


def _is_needed(record: logging.LogRecord) -> bool:
    """Leave out what Beam warns of as it is imported: cloud libraries that are not needed here."""
    spec = getattr(sys.modules.get("apache_beam"), "__spec__", None)
    return record.levelno >= logging.ERROR or not getattr(spec, "_initializing", False)


def _is_fatal(record: logging.LogRecord) -> bool:
    return record.levelno > logging.ERROR


def _of_any_worker(record: logging.LogRecord) -> bool:
    """Make a readable message of a worker's."""
    _unwrap(record)
    return True


def _of_our_workers(record: logging.LogRecord) -> bool:
    """Make a readable message of a worker's; let through what Pagecast itself has to say."""
    return _unwrap(record).startswith(OURS) and record.levelno >= logging.WARNING


def _unwrap(record: logging.LogRecord) -> str:
    """Put a worker's own message in the place of the protocol's; return its source, or nothing."""
    from apache_beam.portability.api import beam_fn_api_pb2
    from google.protobuf import text_format

    entry = beam_fn_api_pb2.LogEntry()
    try:
        text_format.Parse(str(record.args[0]), entry)  # type: ignore[index]
    except (TypeError, LookupError, text_format.ParseError):
        return ""
    place = entry.log_location
    record.name = f"worker, {place.rsplit(os.sep, 1)[-1]}"
    record.msg, record.args = "\n".join(filter(None, (entry.message, entry.trace))), ()
    return place
