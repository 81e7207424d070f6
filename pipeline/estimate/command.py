"""The command `plan`: say what a `run` would make, before an hour is spent. Writes nothing."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Annotated

from cyclopts import App

from pipeline import stores
from pipeline.commandline import AS_TYPED, Call
from pipeline.estimate.estimate import estimate, facts
from pipeline.estimate.outputs import UNKNOWN_BLOCK, disk_of, room_in
from pipeline.estimate.table import table, warnings
from pipeline.options import ALL, PlanOptions, RunOptions
from pipeline.prepare import look
from pipeline.progress import describe, one_line, say
from pipeline.streams import tell
from transforms import storage
from transforms.records import ArticleError, Failure
from transforms.redact import redact

DONE, FAILED = 0, 1
DRAWN, DRAWN_SHARE = 200, 25  # samples drawn at most; with more articles one in so many
MOST_FAILURES_SHOWN = 10


def plan(asked: PlanOptions, run: RunOptions, call: Call) -> int:
    """Say what a run would make, and return the exit code.

    Raises:
      UsageError: what was asked for is not there.
    """
    has_output = "output_dir" in call.given
    given = [
        *(("--input", path) for path in run.input),
        *(("--font", path) for path in run.font or ()),
    ]
    if has_output:
        given.append(("--output_dir", run.output_dir))
    stores.use(given, run.beam_args)
    sources = look(run, writes=has_output)
    local = has_output and storage.is_local(sources.output_dir)
    disk = disk_of(sources.output_dir) if local else None
    drawn = max(DRAWN, asked.sample // DRAWN_SHARE)
    block = disk.block if disk else UNKNOWN_BLOCK
    found = estimate(run, sources, block, asked.sample, drawn, asked.sample_seed)
    room = None
    if disk is not None:
        room = room_in(sources.output_dir, disk, found.outputs.peak, run.overwrite)
    known = facts(found, run, room)
    if asked.json:
        tell(json.dumps(known, indent=2))
    else:
        tell(table(known))
        tell(one_line(redact(command_line(call))))
    for warning in warnings(known):
        say(f"warning: {warning}")
    return _tell_failures(found.failures, found.measured.errors)


def command_line(call: Call) -> str:
    """Return the `run` that was asked about, for a shell."""
    own = App(default_parameter=AS_TYPED)
    own.default(_own)
    (_, _, words, _) = own.parse_known_args(call.words[1:])
    place = [] if "output_dir" in call.given else ["--output_dir", "DIR"]
    return shlex.join(["pagecast", "run", *words, *place])


def _own(*, asked: Annotated[PlanOptions | None, ALL] = None) -> None:
    """Take what is not for `run`."""


def _tell_failures(failures: Sequence[Failure], errors: Sequence[ArticleError]) -> int:
    """Name what cannot be read, as `run` does, and return the exit code."""
    records = [
        *({"kind": "input", **failure._asdict()} for failure in failures),
        *({"kind": "article", **error._asdict()} for error in errors),
    ]
    for record in records[:MOST_FAILURES_SHOWN]:
        say(describe(record))
    if len(records) > MOST_FAILURES_SHOWN:
        say(f"and {len(records) - MOST_FAILURES_SHOWN} more")
    return FAILED if failures else DONE
