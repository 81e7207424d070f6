"""The command `plan`: say what a `run` would make, before an hour is spent. Writes nothing."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import NamedTuple

from pipeline import configfile, stores
from pipeline.commandline import parse_run
from pipeline.estimate.estimate import estimate, facts
from pipeline.estimate.outputs import UNKNOWN_BLOCK, disk_of, room_in
from pipeline.estimate.table import table, warnings
from pipeline.options import RunOptions, UsageError
from pipeline.parser import Parser
from pipeline.prepare import look
from pipeline.progress import describe, one_line, say
from pipeline.streams import tell
from transforms import storage
from transforms.records import ArticleError, Failure
from transforms.redact import redact

DONE, FAILED = 0, 1
SAMPLE = 5000  # articles: some 10 seconds
FEWEST = 10  # below that nothing can be said of how uncertain it is
DRAWN, DRAWN_SHARE = 200, 25  # samples drawn at most; with more articles one in so many
MOST_FAILURES_SHOWN = 10


class PlanOptions(NamedTuple):
    """What `plan` was asked: about which run, given in these words, and how.

    has_output: whether an output directory was given.
    """

    run: RunOptions
    words: list[str]
    has_output: bool
    sample: int
    seed: int
    json: bool


def plan_parser() -> Parser:
    """Return the parser of what `plan` takes beside the options of `run`."""
    it = Parser(
        "pagecast plan",
        "--input PATH ... [--output_dir DIR]",
        "Say what a run will make, from a sample of its articles. Writes nothing.",
        "pagecast plan --input 'enwiki/*.parquet' --output_dir out --image_shards",
        "All other options are those of `pagecast run`, and Beam's own.",
    )
    about = it.group("what is looked at")
    about.number("sample", "articles to read, all if there are no more", SAMPLE)
    about.number("sample_seed", "another choice of them", 0)
    about.switch("json", "print the numbers as one JSON object")
    return it


def parse(argv: Sequence[str]) -> PlanOptions:
    """Return the options of a `plan` command line.

    Raises:
      UsageError: an option is unknown, missing or wrong.
    """
    parser = plan_parser()
    known, words = parser.parse_known_args(argv)
    if known.sample < FEWEST:
        raise UsageError(f"--sample is {known.sample}; it must be at least {FEWEST}")
    given = configfile.expand(words)
    has_output = any(word.partition("=")[0] == "--output_dir" for word in given)
    run = parse_run([*words, *([] if has_output else ["--output_dir=."])], parser.names)
    return PlanOptions(run, words, has_output, known.sample, known.sample_seed, known.json)


def plan(argv: Sequence[str]) -> int:
    """Carry out a `plan` command line and return its exit code.

    Raises:
      UsageError: wrong use, or what was asked for is not there.
    """
    options = parse(argv)
    run = options.run
    given = [
        *(("--input", path) for path in run.input),
        *(("--font", path) for path in run.font or ()),
    ]
    if options.has_output:
        given.append(("--output_dir", run.output_dir))
    stores.use(given, run.beam_args)
    sources = look(run, writes=options.has_output)
    local = options.has_output and storage.is_local(sources.output_dir)
    disk = disk_of(sources.output_dir) if local else None
    drawn = max(DRAWN, options.sample // DRAWN_SHARE)
    block = disk.block if disk else UNKNOWN_BLOCK
    found = estimate(run, sources, block, options.sample, drawn, options.seed)
    room = None
    if disk is not None:
        room = room_in(sources.output_dir, disk, found.outputs.peak, run.overwrite)
    known = facts(found, run, room)
    if options.json:
        tell(json.dumps(known, indent=2))
    else:
        tell(table(known))
        tell(one_line(redact(command_line(options))))
    for warning in warnings(known):
        say(f"warning: {warning}")
    return _tell_failures(found.failures, found.measured.errors)


def command_line(options: PlanOptions) -> str:
    """Return the `run` that was asked about, for a shell."""
    place = [] if options.has_output else ["--output_dir", "DIR"]
    return shlex.join(["pagecast", "run", *options.words, *place])


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
