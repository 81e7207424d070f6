"""`python -m pipeline.dataflow`: the command `run` on Google Dataflow, with defaults for it."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline import be_safe, streams

if TYPE_CHECKING:
    from pipeline.options import RunOptions
    from pipeline.parser import Parser

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


class DataflowOptions(NamedTuple):
    """What this command was asked to do; `arguments` are for `run`."""

    project: str
    region: str
    bucket: str
    requirements_file: str | None
    dry_run: bool
    arguments: list[str]

    @property
    def given(self) -> set[str]:
        """The names of the options among the arguments."""
        names = {argument.partition("=")[0] for argument in self.arguments}
        return {ALIASES.get(name, name) for name in names}

    def below(self, name: str) -> str:
        """Return a path in the bucket."""
        return f"gs://{self.bucket}/pagecast/{name}"


def dataflow_parser() -> Parser:
    """Return the parser of this command."""
    from pipeline.parser import Parser

    parser = Parser(
        "run_dataflow.sh",
        "--project P --region R --bucket B",
        "Run the job on Google Dataflow.",
        EXAMPLE,
        MORE + "\n".join(f"  {name} {value}" for name, value in DEFAULTS.items()),
    )
    where = parser.group("where")
    texts = {
        "project": "whose job it is",
        "region": "where it runs",
        "bucket": "for its files, and output not named",
    }
    for name, variables in VARIABLES.items():
        where.add(name, f"{texts[name]} [${', $'.join(variables)}]", metavar=name[0].upper())
    how = parser.group("how")
    how.add("requirements_file", "what else pip is to install on the workers", metavar="FILE")
    how.switch("dry_run", "build the job and say what it is; send nothing")
    return parser


def parse(argv: Sequence[str]) -> DataflowOptions:
    """Return the options of a command line, or of the environment.

    Raises:
      UsageError: one is wrong or missing.
    """
    from pipeline import configfile
    from pipeline.options import UsageError

    known, rest = dataflow_parser().parse_known_args(configfile.expand(argv))
    found = {
        name: getattr(known, name) or next(filter(None, map(os.environ.get, variables)), "")
        for name, variables in VARIABLES.items()
    }
    found["bucket"] = found["bucket"].removeprefix("gs://").rstrip("/")
    if found["bucket"] and not BUCKET.fullmatch(found["bucket"]):
        raise UsageError(f"--bucket {found['bucket']} is not the name of a bucket")
    if (file := known.requirements_file) and not Path(file).is_file():
        raise UsageError(f"--requirements_file {file}: no such file")
    missing = [
        f"--{name} (or ${' or $'.join(VARIABLES[name])})" for name in VARIABLES if not found[name]
    ]
    if missing:
        raise UsageError(f"a job on Dataflow needs {' and '.join(missing)}")
    project, region, bucket = found.values()
    return DataflowOptions(project, region, bucket, file, known.dry_run, rest)


def arguments_for(options: DataflowOptions, now: datetime, scratch: Path) -> list[str]:
    """Return the command line of `run` for Dataflow.

    Args:
      now: goes into the job's name, since no two jobs at a time may have the same.
      scratch: a directory for a file that Beam sends to the workers.

    Raises:
      UsageError: the sources of this package are not here, and workers have them from nowhere else.
    """
    from pipeline.dataflow import workers

    given = options.given
    defaults = {
        "--runner": "DataflowRunner",
        "--project": options.project,
        "--region": options.region,
        "--job_name": f"pagecast-{now:%Y%m%d-%H%M%S}",
        "--temp_location": options.below("temp"),
        "--staging_location": options.below("staging"),
        "--input": options.below(DEMO),
        "--output_dir": options.below("output" if "--input" in given else "demo/output"),
        **DEFAULTS,
    }
    if "--sdk_container_image" not in given:  # which has all that workers need
        defaults["--requirements_file"] = workers.write_requirements(
            options.arguments, options.requirements_file, scratch
        )
        # The workers fetch them, as they do what the sources need; else Beam does it here.
        defaults["--requirements_cache"] = "skip"
        if "--setup_file" not in given:
            defaults["--setup_file"] = workers.setup_file()
    elif options.requirements_file:
        defaults["--requirements_file"] = options.requirements_file
    chosen = [f"{name}={value}" for name, value in defaults.items() if name not in given]
    chosen.append("--beam_plugin=pipeline.dataflow.container")  # beside others
    return ["run", *options.arguments, *chosen, *["--dry_run=True"] * options.dry_run]


def store_demo(options: RunOptions) -> None:
    """Put the built-in articles where the workers can read them.

    Raises:
      UsageError: the job cannot be run as it was asked for; nothing was written.
      OSError: the bucket cannot be written to.
    """
    from pipeline import stores
    from pipeline.data import data_file
    from pipeline.dataflow import job
    from transforms import storage

    job.check(options)
    (path,) = options.input
    stores.use([("--input", path)], options.beam_args)
    storage.commit(path, [data_file("finewiki_sample.parquet").read_bytes()])


def main(argv: Sequence[str], is_program: bool = False) -> int:
    """Carry out a command line and return its exit code; errors are one line each."""
    from pipeline import __main__ as pagecast
    from pipeline import logs

    logs.begin()  # before Beam is imported
    from pipeline.commandline import parse_run
    from pipeline.options import UsageError
    from pipeline.progress import say

    with tempfile.TemporaryDirectory(prefix="pagecast-") as scratch:
        try:
            options = parse(argv)
            arguments = arguments_for(options, datetime.now(UTC), Path(scratch))
            run_options = parse_run(arguments[1:], dataflow_parser().names)
            if "--input" not in options.given and not options.dry_run:
                store_demo(run_options)
        except UsageError as error:
            say(f"error: {error}")
            return pagecast.WRONG_USE
        except OSError as error:
            say(f"error: {error}")
            return pagecast.FAILED
        except streams.OutputError as error:  # of --help
            if str(error):
                say(f"error: {error}")
            return error.code
        except KeyboardInterrupt:
            say("stopped before anything was done")
            return pagecast.INTERRUPTED
        return pagecast.main(arguments, is_program)


if __name__ == "__main__":
    be_safe()
    streams.open_all()
    sys.exit(main(sys.argv[1:], is_program=True))
