"""The command `plan`: say what a `run` would make, before an hour is spent. Writes nothing."""

from __future__ import annotations

import json
import shlex
from typing import Annotated

from cyclopts import App

from pagecast import storage
from pipeline.cli.asked import PlanOptions
from pipeline.cli.commandline import AS_TYPED, Call
from pipeline.estimate.estimate import estimate
from pipeline.estimate.outputs import disk_of
from pipeline.estimate.table import table, warnings
from pipeline.launch import languages, stores
from pipeline.launch.prepare import find_sources
from pipeline.options import ALL, RunOptions
from pipeline.progress.streams import tell
from pipeline.progress.terminal import one_line, say, say_errors
from transforms.redact import redact

DONE, FAILED = 0, 1
DRAWN, DRAWN_SHARE = 200, 25  # samples drawn at most; with more articles one in so many


def plan(asked: PlanOptions, run: RunOptions, call: Call) -> int:
    """Say what a run would make, and return the exit code.

    Raises:
      UsageError: what was asked for is not there.
    """
    run = languages.applied(run, call.given)
    has_output = "output_dir" in call.given
    stores.use(
        [
            *(("--input", path) for path in run.input),
            *(("--font", path) for path in run.font or ()),
            ("--style", run.style),
            ("--output_dir", run.output_dir if has_output else None),
        ],
        run.beam_args,
    )
    sources = find_sources(run, writes=has_output)
    local = has_output and storage.is_local(sources.output_dir)
    disk = disk_of(sources.output_dir) if local else None
    drawn = max(DRAWN, asked.sample // DRAWN_SHARE)
    known, errors = estimate(run, sources, disk, asked.sample, drawn, asked.sample_seed)
    if asked.json:
        tell(json.dumps(known, indent=2))
    else:
        tell(table(known))
        tell(one_line(redact(command_line(call))))
    for warning in warnings(known):
        say(f"warning: {warning}")
    kinds = say_errors(
        [
            *({"kind": "input", **failure} for failure in known["failures"]),
            *({"kind": "article", **error._asdict()} for error in errors),
        ]
    )
    return FAILED if kinds["input"] else DONE


def command_line(call: Call) -> str:
    """Return the `run` that was asked about, for a shell."""
    own = App(default_parameter=AS_TYPED)
    own.default(_own)
    (_, _, words, _) = own.parse_known_args(call.words[1:])
    place = [] if "output_dir" in call.given else ["--output_dir", "DIR"]
    return shlex.join(["pagecast", "run", *words, *place])


def _own(*, asked: Annotated[PlanOptions | None, ALL] = None) -> None:
    """Take what is not for `run`."""
