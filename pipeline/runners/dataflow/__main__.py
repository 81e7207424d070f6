"""`python -m pipeline.runners.dataflow`: `run` on Google Dataflow, with defaults for it."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from pipeline import __main__ as program
from pipeline.cli.commandline import Call, given_or, new_app
from pipeline.cli.kinds import Place, text
from pipeline.options import ALL, HIDDEN, HOW, NOT_TYPED, WHERE, RunOptions, UsageError

EXAMPLE = "./run_dataflow.sh --project P --region R --bucket B --input 'gs://B/*.parquet'"
MORE = "Others are those of `pagecast run`, and Beam's own; they win over the defaults:\n"
# Where each comes from if it is not given.
VARIABLES = {
    "project": ["GOOGLE_CLOUD_PROJECT"],
    "region": ["GOOGLE_CLOUD_REGION", "CLOUDSDK_COMPUTE_REGION"],
    "bucket": ["PAGECAST_BUCKET"],
}
BUCKET = re.compile(r"[a-z0-9][-_a-z0-9.]+[a-z0-9]")
DEFAULTS = {
    # 32 cores at most: 1.5 million samples, some 10 hours of one core, take less than an hour.
    "--max_num_workers": "8",
    # One maker's processors throughout, unlike e2: zlib-ng's bytes may differ between two of them.
    "--machine_type": "n2-standard-4",
    # Of each process, and Dataflow starts one for each core. More threads would share its
    # interpreter, and each would hold a shard.
    "--number_of_worker_harness_threads": "1",
    # The largest merged file is gathered on one worker's disk: samples.jsonl, 27 GB.
    "--disk_size_gb": "100",
}
ALIASES = {
    "--worker_machine_type": "--machine_type",
    "--worker_harness_container_image": "--sdk_container_image",
}
DEMO = "demo/finewiki_sample.parquet"  # in the bucket, where nothing else is named as input


def _variable(name: str, about: str) -> Parameter:
    about = f"{about} [${', $'.join(VARIABLES[name])}]"
    return text(WHERE, about, name[0].upper(), show_default=False)


def _of_environment(name: str) -> Any:
    return field(
        default_factory=lambda: next(filter(None, map(os.environ.get, VARIABLES[name])), "")
    )


@dataclass(frozen=True)
class DataflowOptions:
    """What this command was asked to do beside what `run` is.

    Raises:
      UsageError: a value is wrong or missing.
    """

    project: Annotated[str, _variable("project", "whose job it is")] = _of_environment("project")
    region: Annotated[str, _variable("region", "where it runs")] = _of_environment("region")
    bucket: Annotated[str, _variable("bucket", "for its files, and output not named")] = (
        _of_environment("bucket")
    )
    requirements_file: Annotated[
        Place | None, text(HOW, "what else pip is to install on the workers", "FILE")
    ] = None
    dry_run: Annotated[bool, text(HOW, "build the job and say what it is; send nothing")] = False

    def __post_init__(self) -> None:
        if self.name_of_bucket and not BUCKET.fullmatch(self.name_of_bucket):
            raise UsageError(f"--bucket {self.name_of_bucket} is not the name of a bucket")
        if (file := self.requirements_file) and not Path(file).is_file():
            raise UsageError(f"--requirements_file {file}: no such file")
        missing = [
            f"--{name} (or ${' or $'.join(VARIABLES[name])})"
            for name in VARIABLES
            if not getattr(self, name)
        ]
        if missing:
            raise UsageError(f"a job on Dataflow needs {' and '.join(missing)}")

    @property
    def name_of_bucket(self) -> str:
        """The bucket, which may be given as an address."""
        return self.bucket.removeprefix("gs://").rstrip("/")

    def below(self, name: str) -> str:
        """Return a path in the bucket."""
        return f"gs://{self.name_of_bucket}/pagecast/{name}"


APP = new_app(
    "run_dataflow.sh",
    "Run the job on Google Dataflow.",
    EXAMPLE,
    MORE + "\n".join(f"  {name} {value}" for name, value in DEFAULTS.items()),
    usage="run_dataflow.sh --project P --region R --bucket B [OPTIONS]",
    # The places are others, but known only with the bucket.
    config=given_or(runner="DataflowRunner", input=[DEMO], output_dir="output"),
)


@APP.default
def dataflow(
    *,
    asked: Annotated[DataflowOptions | None, ALL] = None,
    options: Annotated[RunOptions, HIDDEN],
    call: Annotated[Call, NOT_TYPED],
) -> int:
    """Send the job, with what it needs."""
    from pipeline.commands.run import run

    asked = asked or DataflowOptions()
    with tempfile.TemporaryDirectory(prefix="pagecast-") as scratch:
        options = completed(asked, options, call.given, datetime.now(UTC), Path(scratch))
        if "input" not in call.given and not asked.dry_run:
            store_demo(options)
        return run(options, call.is_program, given=call.given)


def completed(
    asked: DataflowOptions,
    options: RunOptions,
    given: Collection[str],
    now: datetime,
    scratch: Path,
) -> RunOptions:
    """Return the options of `run` for Dataflow, with defaults for what was left open.

    Args:
      given: the names of the options that were given.
      now: goes into the job's name, since no two jobs at a time may have the same.
      scratch: a directory for a file that Beam sends to the workers.

    Raises:
      UsageError: the sources of this package are not here, and workers have them from nowhere else.
    """
    from pipeline.runners.dataflow import workers

    if "input" not in given:
        options = replace(options, input=(asked.below(DEMO),))
    if "output_dir" not in given:
        place = asked.below("output" if "input" in given else "demo/output")
        options = replace(options, output_dir=place)
    names = {argument.partition("=")[0] for argument in options.beam_args}
    names = {ALIASES.get(name, name) for name in names}
    defaults = {
        "--project": asked.project,
        "--region": asked.region,
        "--job_name": f"pagecast-{now:%Y%m%d-%H%M%S}",
        "--temp_location": asked.below("temp"),
        "--staging_location": asked.below("staging"),
        **DEFAULTS,
    }
    if "--sdk_container_image" not in names:  # which has all that workers need
        defaults["--requirements_file"] = workers.write_requirements(
            options, asked.requirements_file, scratch
        )
        # The workers fetch them, as they do what the sources need; else Beam does it here.
        defaults["--requirements_cache"] = "skip"
        if "--setup_file" not in names:
            defaults["--setup_file"] = workers.setup_file()
    elif asked.requirements_file:
        defaults["--requirements_file"] = asked.requirements_file
    chosen = [f"{name}={value}" for name, value in defaults.items() if name not in names]
    chosen.append("--beam_plugin=pipeline.runners.dataflow.container")  # beside others
    chosen += ["--dry_run=True"] * asked.dry_run
    return replace(options, beam_args=(*options.beam_args, *chosen))


def store_demo(options: RunOptions) -> None:
    """Put the built-in articles where the workers can read them.

    Raises:
      UsageError: the job cannot be run as it was asked for; nothing was written.
      OSError: the bucket cannot be written to.
    """
    from pagecast import storage
    from pipeline.data import data_file
    from pipeline.launch import stores
    from pipeline.runners.dataflow import job

    job.check(options)
    (path,) = options.input
    stores.use([("--input", path)], options.beam_args)
    storage.commit(path, [data_file("finewiki_sample.parquet").read_bytes()])


main = partial(program.main, app=APP)

if __name__ == "__main__":
    program.start(APP, is_program=True)
