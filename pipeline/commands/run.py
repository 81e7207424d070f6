"""The command `run`: parse, prepare, run the graph, and say what came of it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineState

from pagecast import PageReader, ReaderError, storage
from pagecast.dataset.layout import ERRORS, MANIFEST, TRACE
from pagecast.storage.errors import StoreError
from pipeline import graph
from pipeline.commands.failure import JobError, reason
from pipeline.estimate.preflight import preflight
from pipeline.launch import languages, stores
from pipeline.launch.output import lock
from pipeline.launch.prepare import find_sources, prepare
from pipeline.options import LOCAL_RUNNER, RunOptions
from pipeline.progress import logs, terminal
from pipeline.progress.streams import complain, tell
from pipeline.progress.terminal import few_in_val, note, say, say_errors, summary
from pipeline.progress.watch import watch
from pipeline.report.make import ReportSettings, write_report
from pipeline.runners import signals, watchdog
from pipeline.runners.dataflow import job as dataflow
from pipeline.runners.forkserver import ForkServer, fork_server
from pipeline.runners.local import forget_directories, local_runner
from transforms.redact import redact

DONE, FAILED = 0, 1  # exit codes; 2, wrong use, is the caller's
LOOKED_AT = 200  # samples at the end, for what their pages lack
GO_ON = "finished shards are kept, and the same command goes on from there"


def run(
    options: RunOptions,
    is_program: bool = False,
    server: ForkServer | None = None,
    given: Collection[str] | None = None,
) -> int:
    """Make a dataset, or go on with it, and return the exit code.

    Args:
      is_program: whether this process is the command itself, so that it may be ended at once.
      server: what starts local workers, if that is begun already.
      given: the names of the options that were given, if that is known.

    Raises:
      UsageError: wrong use; nothing was written.
      JobError: the job was stopped by something that is no single input's or article's fault.
    """
    started = time.monotonic()
    terminal.be_quiet(options.quiet)
    logs.choose(options.verbose)
    options = languages.applied(options, given)
    dataflow.check(options)
    stores.use(
        [
            *(("--input", path) for path in options.input),
            ("--output_dir", options.output_dir),
            *(("--font", path) for path in options.font or ()),
            ("--style", options.style),
        ],
        options.beam_args,
        alone=options.runner == LOCAL_RUNNER and options.workers == 1,
    )
    if dataflow.is_dry_run(options):
        tell(dataflow.dry_run(options))
        note("this was a dry run: nothing was sent, read or written")
        return DONE
    sources = find_sources(options)
    preflight(options, sources)
    with lock.hold(sources.output_dir, options.force_unlock):
        job, shards = prepare(options, sources)
        if server:
            _warm(server, job, options, shards)
        with watch(job.output_dir, shards, job.modes), traced(job.output_dir):
            execute(job, is_program, server)
        if template := dataflow.template_of(options):
            note(f"the template {template} is written; {job.output_dir} is ready for its job")
            return DONE
        return conclude(job, time.monotonic() - started)


@contextmanager
def traced(output_dir: str) -> Iterator[None]:
    """Put the trace of what stops the job into a file, and its cause into one line."""
    try:
        yield
    except JobError:
        raise
    except Exception as error:
        trace, told = storage.private(output_dir, TRACE), ""
        with contextlib.suppress(OSError, StoreError):  # the disk or the store may be what failed
            storage.commit(trace, [redact(traceback.format_exc()).encode()])
            told = f"; the whole trace is in {trace}"
        raise JobError(f"{reason(error)}; {GO_ON}{told}") from error


def _warm(server: ForkServer, job: graph.Job, options: RunOptions, shards: int) -> None:
    """Let the server load what workers will need: no tokenizer where all shards are there."""
    done = storage.files_in(storage.private(job.output_dir, "shards"))
    is_done = sum(path.endswith(".json") for path in done) >= shards
    modules = stores.modules([*options.input, job.output_dir])
    server.load(modules, None if is_done else job.tokenizer_path, job.quick_tokenizer)


def leave(code: int) -> None:
    """End this process at once, whatever Beam's threads are waiting for."""
    terminal.release()
    forget_directories()
    for stream in sys.stdout, sys.stderr:
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)


def stay(_: int) -> None:
    """Leave it to the caller: this process has other things to do than this command."""


def execute(job: graph.Job, is_program: bool = False, server: ForkServer | None = None) -> None:
    """Run the graph to its end on the runner that its options name.

    Args:
      is_program: whether this process is the command itself and may be ended.
      server: see `run`.
    """
    options, beam_options = job.options, dataflow.beam_options(job.options)
    if not options.verbose:
        silence = (
            logs.silence_echoes if options.runner == LOCAL_RUNNER else logs.silence_job_servers
        )
        silence()
    if options.runner == LOCAL_RUNNER:
        run_watched(job, beam_options, is_program, server)
        return
    pipeline = beam.Pipeline(options=beam_options)
    graph.build(pipeline, job)
    finish(pipeline, options)


def finish(pipeline: beam.Pipeline, options: RunOptions) -> None:
    """Run the graph elsewhere, to its end.

    Raises:
      JobError: somebody else ended the job.
    """
    result = submit(pipeline)
    if found := dataflow.job_url(result, options):
        note(found)
    try:
        with signals.interruptible():
            state = result.wait_until_finish()
    except KeyboardInterrupt:
        note("cancelling the job")
        with contextlib.suppress(Exception):  # the runner may be what does not answer
            result.cancel()
        raise
    except Exception as error:
        state = getattr(getattr(error, "result", None), "state", None)
        if state != PipelineState.CANCELLED:
            raise
    if state not in (PipelineState.DONE, None):  # some runners say nothing
        raise JobError(f"the job ended as {state}; {GO_ON}")


def submit(pipeline: beam.Pipeline) -> Any:
    """Give the graph to its runner.

    Raises:
      JobError: the runner, which only knows its options now, refuses one of them.
    """
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):  # Beam would print pages about all options
            result = pipeline.run()
    except SystemExit as error:
        last = (told.getvalue().strip() or "no message").splitlines()[-1]
        raise JobError(f"the runner refuses an option: {last.rpartition('error: ')[2]}") from error
    if told.getvalue():
        complain(redact(told.getvalue().rstrip()))
    return result


def run_watched(
    job: graph.Job, beam_options: PipelineOptions, is_program: bool, begun: ForkServer | None
) -> None:
    """Run the graph on this machine, with an eye on the workers.

    Raises:
      JobError: one of them died, did not answer or got no further.
    """
    options = job.options
    trouble: list[str] = []
    server_pid = begun.pid if begun else None
    # Of a program that does more than this.
    others = [] if is_program else [c for c in signals.children() if c.pid != server_pid]

    def give_up(what: str) -> None:
        trouble.append(what)
        signals.kill_children(spared=others)
        if is_program:  # else Beam fails by itself, as far as it can
            say(f"error: {what}; {GO_ON}")
            leave(FAILED)

    # A process that is the command itself is stoppable from its first moment.
    stoppable = contextlib.nullcontext() if is_program else signals.stoppable(stay, others)
    with (
        contextlib.nullcontext(begun) if begun else fork_server(options) as server,
        stoppable,
        watchdog.Watchdog(
            server.start if server else None, give_up, options.stall_minutes
        ) as watch_workers,
    ):
        runner = local_runner(beam_options, options.workers, watch_workers.start)
        pipeline = beam.Pipeline(runner=runner, options=beam_options)
        graph.build(pipeline, job)
        try:
            pipeline.run().wait_until_finish()
        except Exception as error:
            watch_workers.wait_for_cause()
            if trouble:
                raise JobError(f"{trouble[0]}; {GO_ON}") from error
            raise


def conclude(job: graph.Job, seconds: float) -> int:
    """Print what came of the job and return the exit code."""
    options = job.options
    kinds = _tell_errors(storage.private(job.output_dir, ERRORS))
    if kinds["input"]:
        say(
            "no split was written: replace or leave out what could not be read and run the same "
            "command again; finished shards are kept"
        )
        return FAILED
    manifest = json.loads(storage.read_bytes(storage.join(job.output_dir, MANIFEST)))
    if not manifest["counts"]["samples"]:
        say(f"warning: {why_empty(manifest['counts'], options)}; the dataset is empty")
    else:
        if few := few_in_val(manifest):
            say(few)
        elif not manifest["split"]["val"]["samples"]:
            say(_no_val(options))
        with contextlib.suppress(ReaderError, OSError, StoreError):  # `verify` is for these
            train = PageReader(job.output_dir)["train"]
            if lacking := languages.lacking(islice(train, LOOKED_AT)):
                say(f"warning: {lacking}")
    if not options.no_report:
        _report(job.output_dir)
    tell(summary(manifest, job.output_dir, seconds))
    if kinds["article"] > options.max_errors:
        say(f"{kinds['article']} articles failed, --max_errors is {options.max_errors}")
        return FAILED
    return DONE


def why_empty(counts: dict[str, Any], options: RunOptions) -> str:
    """Say why a dataset has no sample, from the counts of its manifest."""
    kept, failed, rows = counts["kept"], counts["failed"], counts["rows_read"]
    if kept:
        tokens = options.context_tokens + options.continuation_tokens
        return f"no article that is kept has the {tokens} tokens of a sample"
    if failed and failed == rows:
        return "every article failed"
    none = "of the other articles none has" if failed else "no article has"
    failures = f"{failed} of {rows} articles failed, and " if failed else ""
    return f"{failures}{none} {options.min_tokens} tokens or more"


def _no_val(options: RunOptions) -> str:
    """Warn of an empty file, which `datasets` takes for a damaged one."""
    name = "val.jsonl" if options.merge else "the file of val"
    why, way = "only one article gave samples", "give more articles"
    if not options.val_size:
        why, way = "--val_size is 0", "give a larger --val_size"
    return (
        f'warning: {name} is empty, since {why}: load_dataset("json") refuses it, so leave it out '
        f"or {way}"
    )


def _report(output_dir: str) -> None:
    """Write the report; the dataset is whole without it, so nothing that fails here counts."""
    try:
        with terminal.working("making the report"):
            write_report(output_dir, ReportSettings())
    except Exception as error:
        say(f"warning: no report was made ({reason(error)}); `pagecast report` tries again")


def _tell_errors(path: str) -> Counter[str]:
    """Print the first errors of the job, and count all by kind: input or article."""
    with storage.open_read(path) as lines:
        kinds = say_errors(map(json.loads, lines))
    if kinds:
        say(f"all of them are in {path}")
    return kinds
