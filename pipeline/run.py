"""The command `run`: parse, prepare, run the graph, and say what came of it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from PIL import features

from pipeline import graph, output, plan, stores
from pipeline.assets import Asset, resolve_font, resolve_tokenizer
from pipeline.local import local_runner
from pipeline.options import LOCAL_RUNNER, RunOptions, UsageError, parse_run
from pipeline.progress import say, summary, watch
from transforms import storage
from transforms.filtered import find_whole
from transforms.outputs import ERRORS, MANIFEST, PLAN, TRACE
from transforms.planfile import plan_line
from transforms.records import Failure, Shard

DONE, FAILED = 0, 1  # exit codes; 2, wrong use, is the caller's
MOST_ERRORS_SHOWN = 10
WRAPPERS = re.compile(r"^(?:RuntimeError: )+(?=[\w.]+(?:Error|Exception|Exit)\b)")


class JobError(Exception):
    """The job stopped; the text says why, what is safe, and what to do."""


def run(argv: Sequence[str]) -> int:
    """Carry out a `run` command line and return its exit code.

    Raises:
      UsageError: wrong use; nothing was written.
      JobError: the job was stopped by something that is no single input's or article's fault.
    """
    started = time.monotonic()
    options = parse_run(argv)
    places = [("--input", path) for path in options.input]
    places += [("--output_dir", options.output_dir)]
    stores.use([*places, ("--font", options.font)], options.beam_args)
    job, shards = prepare(options)
    with watch(job.output_dir, shards):
        try:
            execute(job, options)
        except Exception as error:
            trace, told = storage.private(job.output_dir, TRACE), ""
            with contextlib.suppress(OSError):  # the store may be what failed
                storage.commit(trace, [traceback.format_exc().encode()])
                told = f"; the whole trace is in {trace}"
            raise JobError(
                f"{reason(error)}; finished shards are kept, and the same command goes on from "
                f"there{told}"
            ) from error
    return conclude(job, options, time.monotonic() - started)


def prepare(options: RunOptions) -> tuple[graph.Job, int]:
    """Look at input, assets and output; write configuration and plan; return job and shard count.

    Raises:
      UsageError: something that was asked for is not there or does not fit.
    """
    paths = plan.find_files(options.input)
    files = [plan.read_layout(path, options.shard_rows) for path in paths]
    if not any(file.rows or file.fault for file in files):
        raise UsageError(f"--input {' '.join(options.input)}: the files have no rows")
    tokenizer, font = resolve_tokenizer(options), resolve_font(options)
    local = storage.is_local(options.output_dir)
    out = os.path.abspath(options.output_dir) if local else options.output_dir.rstrip("/")

    plan.check_tokenized(files, tokenizer.content)
    output.claim(out, configuration(options, files, tokenizer, font), options.overwrite)
    output.retract(
        out,
        {**options.split._asdict(), "modes": options.deciding["modes"], "merge": options.merge},
        options.arrow,
    )
    shards = write_plan(out, plan.plan_shards(files, options.shard_rows, options.num_articles))
    for warning in plan.coarse_groups(files, options.shard_rows):
        say(f"warning: {warning}")
    job = graph.Job(
        output_dir=out,
        tokenizer_path=tokenizer.store(out),
        font_path=font.store(out),
        min_tokens=options.min_tokens,
        context_tokens=options.context_tokens,
        continuation_tokens=options.continuation_tokens,
        pages=options.pages,
        split=options.split,
        merge=options.merge,
        arrow=options.arrow,
        filtered=options.filtered,
        filtered_is_done=options.filtered and find_whole(out) is not None,
    )
    return job, shards


def write_plan(output_dir: str, entries: Iterable[Shard | Failure]) -> int:
    """Write the plan file and return how many shards it has."""
    shards = 0

    def lines() -> Iterator[bytes]:
        nonlocal shards
        for entry in entries:
            shards += isinstance(entry, Shard)
            yield plan_line(entry)

    storage.commit(storage.private(output_dir, PLAN), lines())
    return shards


def configuration(
    options: RunOptions, files: Sequence[plan.InputFile], tokenizer: Asset, font: Asset
) -> dict[str, Any]:
    """Return what decides the bytes of samples and pages, and where they come from."""
    names = plan.relative_names(files)
    return {
        "options": options.deciding,
        "shard_rows": options.shard_rows,
        "vision_modes": {
            mode.name: {
                "px": mode.px,
                "vision_tokens": mode.vision_tokens,
                "ratio": mode.ratio(options.context_tokens),
            }
            for mode in options.modes
        },
        "tokenizer": {"name": tokenizer.name, "sha256": tokenizer.sha256},
        "font": {"name": font.name, "sha256": font.sha256},
        "versions": versions(),
        "inputs": [
            {"path": name, "bytes": file.size, "rows": file.rows}
            for name, file in zip(names, files, strict=True)
        ],
    }


def versions() -> dict[str, str | None]:
    """Return the versions of what has a hand in the output."""
    return {
        "pagecast": metadata.version("pagecast"),
        "beam": beam.__version__,
        "pillow": metadata.version("pillow"),
        "freetype": features.version("freetype2"),
        "raqm": features.version("raqm"),
        "zlib_ng": metadata.version("zlib-ng"),
        "tokenizers": metadata.version("tokenizers"),
        "pyarrow": metadata.version("pyarrow"),
    }


def execute(job: graph.Job, options: RunOptions) -> None:
    """Run the graph to its end on the runner that the options name."""
    beam_options = PipelineOptions(
        list(options.beam_args), runner=options.runner, default_sdk_harness_log_level="WARNING"
    )
    runner = None
    if options.runner == LOCAL_RUNNER:
        runner = local_runner(beam_options, options.workers)
    pipeline = beam.Pipeline(runner=runner, options=beam_options)
    graph.build(pipeline, job)
    pipeline.run().wait_until_finish()


def reason(error: Exception) -> str:
    """Return an exception as one line; of a worker's trace its last line, which is the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return WRAPPERS.sub("", f"{type(error).__name__}: {lines[-1] if lines else ''}")


def conclude(job: graph.Job, options: RunOptions, seconds: float) -> int:
    """Print what came of the job and return the exit code."""
    kinds = _tell_errors(storage.private(job.output_dir, ERRORS))
    if kinds["input"]:
        say(
            "no split was written: replace or leave out what could not be read and run the same "
            "command again; finished shards are kept"
        )
        return FAILED
    manifest = json.loads(storage.read_bytes(storage.join(job.output_dir, MANIFEST)))
    if not manifest["counts"]["samples"]:
        say(f"warning: no article has {options.min_tokens} tokens or more; the dataset is empty")
    print(summary(manifest, job.output_dir, seconds))
    if kinds["article"] > options.max_errors:
        say(f"{kinds['article']} articles failed, --max_errors is {options.max_errors}")
        return FAILED
    return DONE


def _tell_errors(path: str) -> Counter[str]:
    """Print the first errors of the job, and count all by kind: input or article."""
    kinds: Counter[str] = Counter()
    with storage.open_read(path) as lines:
        for line in lines:
            error = json.loads(line)
            kinds[error["kind"]] += 1
            if kinds.total() <= MOST_ERRORS_SHOWN:
                say(_describe(error))
    if kinds.total() > MOST_ERRORS_SHOWN:
        say(f"and {kinds.total() - MOST_ERRORS_SHOWN} more")
    if kinds:
        say(f"all of them are in {path}")
    return kinds


def _describe(error: dict[str, Any]) -> str:
    if error["kind"] == "input":
        return f"cannot read {error['path']}, {error['where']}: {error['reason']}"
    article = f"article {error['wiki_id']} (row {error['row']})"
    return f"{article} failed to {error['step']}: {error['reason']}"
