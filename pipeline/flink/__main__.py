"""`python -m pipeline.flink`: the command `run` on a Flink cluster, or on one of its own."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline import be_safe, streams

if TYPE_CHECKING:
    from pipeline.parser import Parser

WORKER_POOL = "localhost:50000"  # beside each TaskManager of a cluster that one has
DEFAULT_FLINK = "1.20"
OPEN_PORTS = (
    "while the job runs, Beam's part of Flink listens on all network interfaces, and whoever "
    'reaches it can read its options and run code: see "Who may reach it" in docs/clusters.md'
)


class FlinkOptions(NamedTuple):
    """What this command was asked to do; `arguments` are for `run`."""

    master: str | None
    version: str | None
    jar: str | None
    taskmanagers: int
    workers: int
    arguments: list[str]


def flink_parser() -> Parser:
    """Return the parser of this command."""
    from pipeline.parser import Parser

    parser = Parser(
        "run_flink.sh",
        "--input PATH ... --output_dir DIR",
        "Run the job on Apache Flink: on a cluster, or on one that is started for it.",
        "./run_flink.sh --flink_master jobmanager:8081 --input ... --output_dir ...",
        "All other options are those of `pagecast run`, and Beam's own.",
    )
    where = parser.group("where")
    where.add("flink_master", "a cluster's JobManager (REST); else one here", metavar="HOST:PORT")
    where.number("workers", "Python workers in all [all cores, or all slots]")
    where.add("flink_job_server_jar", "Beam's, else fetched by Maven", metavar="JAR")
    here = parser.group("a cluster here")
    here.add("flink_version", f"of Flink [{DEFAULT_FLINK}]", metavar="V")
    here.number("taskmanagers", "how many of them", 2)
    return parser


def parse(argv: Sequence[str]) -> FlinkOptions:
    """Return the options of a command line.

    Raises:
      UsageError: an option is wrong.
    """
    from pipeline import configfile
    from pipeline.commandline import parse_run
    from pipeline.flink.distribution import RELEASES
    from pipeline.options import UsageError, usable_cpus

    parser = flink_parser()
    known, rest = parser.parse_known_args(configfile.expand(argv))
    # What `run` will refuse is refused now, before anything is fetched or started.
    parse_run(["--runner=FlinkRunner", *rest], parser.names)
    for name in ("taskmanagers", "workers"):
        if (value := getattr(known, name)) is not None and value < 1:
            raise UsageError(f"--{name} is {value}; it must be at least 1")
    if known.flink_version and known.flink_master:
        raise UsageError("--flink_version is for a cluster on this machine; --flink_master has one")
    if known.flink_version and known.flink_version not in RELEASES:
        raise UsageError(
            f"--flink_version {known.flink_version} is not one of {', '.join(RELEASES)}"
        )
    if known.flink_job_server_jar and not Path(known.flink_job_server_jar).is_file():
        raise UsageError(f"--flink_job_server_jar {known.flink_job_server_jar}: no such file")
    return FlinkOptions(
        known.flink_master,
        known.flink_version,
        known.flink_job_server_jar,
        known.taskmanagers,
        known.workers or (0 if known.flink_master else usable_cpus()),
        rest,
    )


def arguments_for(
    options: FlinkOptions, master: str, flink: str, jar: Path, slots: int, parallelism: int
) -> list[str]:
    """Return the command line of `run` for a cluster.

    Args:
      flink: the cluster's version, e.g. "1.20".
      slots: how many workers a TaskManager has.
      parallelism: how many of them there are in all.
    """
    from pipeline.flink.cluster import WORKER_SECONDS
    from pipeline.flink.rest import base

    defaults = {
        "--runner": "FlinkRunner",
        "--flink_master": base(master),
        "--flink_job_server_jar": str(jar),
        "--parallelism": str(parallelism),
        "--sdk_worker_parallelism": str(slots),
        "--job_server_java_launcher": str(Path(sys.executable).with_name("pagecast-java")),
        "--job_name": "pagecast",
    }
    if options.master:
        # The jar takes all that workers need with it, and only the REST port is spoken to.
        switches = ["--flink_submit_uber_jar"]
        defaults["--environment_type"] = "EXTERNAL"
        defaults["--environment_config"] = WORKER_POOL
        defaults["--number_of_execution_retries"] = "3"
    else:
        switches = []
        boot = Path(sys.executable).with_name("pagecast-boot")
        defaults["--environment_type"] = "PROCESS"
        defaults["--environment_config"] = json.dumps({"command": str(boot)})
        defaults["--environment_cache_millis"] = str(1000 * WORKER_SECONDS)
    if not flink.startswith("1."):
        # What Flink 2 makes of side inputs behind Beam's optimizer fails (apache/beam#37583).
        switches.append("--experiments=pre_optimize=none")
    given = {argument.partition("=")[0] for argument in options.arguments}
    chosen = [f"{name}={value}" for name, value in defaults.items() if name not in given]
    return ["run", *options.arguments, *chosen, *(s for s in switches if s not in given)]


def main(argv: Sequence[str], is_program: bool = False) -> int:
    """Carry out a command line and return its exit code; errors are one line each."""
    from pipeline import __main__ as pagecast
    from pipeline import logs

    logs.begin()  # before Beam is imported
    from pipeline.flink import rest
    from pipeline.flink.cluster import ClusterSettings, LocalCluster
    from pipeline.flink.distribution import flink_home
    from pipeline.flink.jar import job_server, without_flink
    from pipeline.options import UsageError
    from pipeline.progress import be_quiet, note, say
    from pipeline.run import JobError

    with ExitStack() as stack:
        try:
            options = parse(argv)
            be_quiet("--quiet" in options.arguments)
            if options.master:
                found = rest.overview(options.master)
                if not found.slots:
                    raise UsageError(f"--flink_master {options.master} has no TaskManager")
                version = found.flink
                jar = Path(options.jar) if options.jar else job_server(version)
                slots, master = -(-found.slots // found.taskmanagers), options.master
                parallelism = options.workers or found.slots
            else:
                if not shutil.which("java"):
                    raise UsageError("Flink needs Java 11 or 17, and there is no `java` here")
                version = options.version or DEFAULT_FLINK
                jar = Path(options.jar) if options.jar else job_server(version)
                slots = -(-options.workers // options.taskmanagers)
                parallelism = slots * options.taskmanagers
                cluster = LocalCluster(
                    ClusterSettings(
                        flink_home(version), (without_flink(jar),), options.taskmanagers, slots
                    )
                )
                master = cluster.master
                stack.enter_context(cluster)
                note(
                    f"Flink {version} with {options.taskmanagers} TaskManagers of {slots} slots: "
                    f"{rest.base(master)}"
                )
                note(OPEN_PORTS)
        except (UsageError, ConnectionError) as error:
            say(f"error: {error}")
            return pagecast.WRONG_USE
        except JobError as error:
            say(f"error: {error}")
            return pagecast.FAILED
        except streams.OutputError as error:  # of --help
            if str(error):
                say(f"error: {error}")
            return error.code
        except KeyboardInterrupt:
            say("stopped before anything was done")
            return pagecast.INTERRUPTED
        arguments = arguments_for(options, master, version, jar, slots, parallelism)
        return pagecast.main(arguments, is_program)


if __name__ == "__main__":
    be_safe()
    streams.open_all()
    sys.exit(main(sys.argv[1:]))
