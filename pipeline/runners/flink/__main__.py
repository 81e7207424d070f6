"""`python -m pipeline.runners.flink`: `run` on a Flink cluster, or on one of its own."""

from __future__ import annotations

import json
import shutil
import sys
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

from pipeline import __main__ as program
from pipeline.cli.commandline import Call, given_or, new_app
from pipeline.cli.kinds import Count, Place, text
from pipeline.options import (
    ALL,
    HERE,
    HIDDEN,
    NOT_TYPED,
    WHERE,
    RunOptions,
    UsageError,
    usable_cpus,
)

WORKER_POOL = "localhost:50000"  # beside each TaskManager of a cluster that one has
DEFAULT_FLINK = "1.20"
OPEN_PORTS = (
    "while the job runs, Beam's part of Flink listens on all network interfaces, and whoever "
    'reaches it can read its options and run code: see "Who may reach it" in docs/clusters.md'
)


@dataclass(frozen=True)
class FlinkOptions:
    """What this command was asked to do beside what `run` is.

    Raises:
      UsageError: two values do not go together, or a file is not there.
    """

    flink_master: Annotated[
        str | None, text(WHERE, "a cluster's JobManager (REST); else one here", "HOST:PORT")
    ] = None
    workers: Annotated[
        Count | None, text(WHERE, "Python workers in all [all cores, or all slots]")
    ] = None
    flink_job_server_jar: Annotated[
        Place | None, text(WHERE, "Beam's, else fetched by Maven", "JAR")
    ] = None
    flink_version: Annotated[str | None, text(HERE, f"of Flink [{DEFAULT_FLINK}]", "V")] = None
    taskmanagers: Annotated[Count, text(HERE, "how many of them")] = 2

    def __post_init__(self) -> None:
        if self.flink_version and self.flink_master:
            raise UsageError(
                "--flink_version is for a cluster on this machine; --flink_master has one"
            )
        if self.flink_version:
            from pipeline.runners.flink.distribution import RELEASES

            if self.flink_version not in RELEASES:
                raise UsageError(
                    f"--flink_version {self.flink_version} is not one of {', '.join(RELEASES)}"
                )
        if self.flink_job_server_jar and not Path(self.flink_job_server_jar).is_file():
            raise UsageError(f"--flink_job_server_jar {self.flink_job_server_jar}: no such file")


APP = new_app(
    "run_flink.sh",
    "Run the job on Apache Flink: on a cluster, or on one that is started for it.",
    "./run_flink.sh --flink_master jobmanager:8081 --input ... --output_dir ...",
    "All other options are those of `pagecast run`, and Beam's own.",
    usage="run_flink.sh --input PATH ... --output_dir DIR [OPTIONS]",
    config=given_or(runner="FlinkRunner"),
)


@APP.default
def flink(
    *,
    asked: Annotated[FlinkOptions | None, ALL] = None,
    options: Annotated[RunOptions, HIDDEN],
    call: Annotated[Call, NOT_TYPED],
) -> int:
    """Run the job, after its cluster is started, if it has none."""
    from pipeline.commands.run import run
    from pipeline.progress.terminal import be_quiet, note
    from pipeline.runners.flink import rest
    from pipeline.runners.flink.cluster import ClusterSettings, LocalCluster
    from pipeline.runners.flink.distribution import flink_home
    from pipeline.runners.flink.jar import job_server, without_flink

    asked = asked or FlinkOptions()
    be_quiet(options.quiet)
    with ExitStack() as stack:
        jar = Path(asked.flink_job_server_jar) if asked.flink_job_server_jar else None
        if asked.flink_master:
            try:
                found = rest.overview(asked.flink_master)
            except ConnectionError as error:
                raise UsageError(str(error)) from error
            if not found.slots:
                raise UsageError(f"--flink_master {asked.flink_master} has no TaskManager")
            version, master = found.flink, asked.flink_master
            jar = jar or job_server(version)
            slots = -(-found.slots // found.taskmanagers)
            parallelism = asked.workers or found.slots
        else:
            if not shutil.which("java"):
                raise UsageError("Flink needs Java 11 or 17, and there is no `java` here")
            version = asked.flink_version or DEFAULT_FLINK
            jar = jar or job_server(version)
            slots = -(-(asked.workers or usable_cpus()) // asked.taskmanagers)
            parallelism = slots * asked.taskmanagers
            settings = ClusterSettings(
                flink_home(version), (without_flink(jar),), asked.taskmanagers, slots
            )
            cluster = LocalCluster(settings)
            master = cluster.master
            stack.enter_context(cluster)
            note(
                f"Flink {version} with {asked.taskmanagers} TaskManagers of {slots} slots: "
                f"{rest.base(master)}"
            )
            note(OPEN_PORTS)
        is_ours = not asked.flink_master
        more = beam_args(options, master, version, jar, slots, parallelism, is_ours=is_ours)
        return run(replace(options, beam_args=more), call.is_program, given=call.given)


def beam_args(
    options: RunOptions,
    master: str,
    flink: str,
    jar: Path,
    slots: int,
    parallelism: int,
    *,
    is_ours: bool,
) -> tuple[str, ...]:
    """Return Beam's options for a cluster: those that were given, and what they leave open.

    Args:
      flink: the cluster's version, e.g. "1.20".
      slots: how many workers a TaskManager has.
      parallelism: how many of them there are in all.
      is_ours: whether the cluster was started for this job.
    """
    from pipeline.runners.flink.cluster import WORKER_SECONDS
    from pipeline.runners.flink.rest import base

    defaults = {
        "--flink_master": base(master),
        "--flink_job_server_jar": str(jar),
        "--parallelism": str(parallelism),
        "--sdk_worker_parallelism": str(slots),
        "--job_server_java_launcher": str(Path(sys.executable).with_name("pagecast-java")),
        "--job_name": "pagecast",
    }
    if not is_ours:
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
    given = {argument.partition("=")[0] for argument in options.beam_args}
    chosen = [f"{name}={value}" for name, value in defaults.items() if name not in given]
    return (*options.beam_args, *chosen, *(s for s in switches if s not in given))


main = partial(program.main, app=APP)

if __name__ == "__main__":
    program.start(APP)
