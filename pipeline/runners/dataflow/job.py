"""What is special about a job on Dataflow: what it can reach, and how to make it but not run it."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlparse

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    DebugOptions,
    GoogleCloudOptions,
    PipelineOptions,
    StandardOptions,
    TestOptions,
    WorkerOptions,
)
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2

from pagecast import storage
from pipeline import graph
from pipeline.launch.assets import resolve_styles, resolve_tokenizer
from pipeline.options import RunOptions, UsageError, is_dataflow

PLACE = re.compile(r"gs://[a-z0-9][-_a-z0-9.]+[a-z0-9]/.*")


class Staged(NamedTuple):
    """A file that workers get: its name there, and where it is now."""

    name: str
    path: Path


def beam_options(options: RunOptions, **more: Any) -> PipelineOptions:
    """Return the options for Beam, for any runner."""
    if is_dataflow(options.runner):
        # Beam's command line can only turn it on, and it is on. A batch job has none and does not
        # look; the job says so all the same.
        more["enable_streaming_engine"] = False
    return PipelineOptions(
        list(options.beam_args),
        runner=options.runner,
        default_sdk_harness_log_level="INFO" if options.verbose else "WARN",
        **more,
    )


def check(options: RunOptions) -> None:
    """Refuse what Dataflow cannot do, before anything is written. No network is needed.

    Raises:
      UsageError: something is missing, or lies where workers cannot see it.
    """
    given = beam_options(options)
    if not is_dataflow(options.runner):
        if given.view_as(TestOptions).dry_run:
            raise UsageError(f"--dry_run has no effect with --runner {options.runner}")
        return
    try:
        importlib.import_module("apache_beam.runners.dataflow.internal.apiclient")
    except ImportError as error:
        raise UsageError(
            "Dataflow needs the extra dataflow: pip install 'pagecast[dataflow]'"
        ) from error
    if given.view_as(StandardOptions).streaming:
        raise UsageError("--streaming: this is a batch job")
    if not _is_elsewhere(given):
        return
    places = [*(("--input", path) for path in options.input), ("--output_dir", options.output_dir)]
    for option, path in places:
        if storage.is_local(path):
            raise UsageError(
                f"{option} {path} is on this machine, where Dataflow's workers cannot see it: "
                "it must be in a bucket, like gs://bucket/directory"
            )
    google = given.view_as(GoogleCloudOptions)
    for option, path in ("temp", google.temp_location), ("staging", google.staging_location):
        if path and not PLACE.fullmatch(path):
            raise UsageError(f"--{option}_location {path} must be like gs://bucket/directory")
    if not google.temp_location and not google.staging_location:  # Beam would make a bucket
        raise UsageError("a job on Dataflow needs --temp_location gs://bucket/directory")
    try:
        beam.Pipeline(options=beam_options(options, dry_run=True))
    except ValueError as error:
        told = str(error).partition(":")[2]  # after "Pipeline has validations errors"
        raise UsageError("; ".join(filter(None, map(str.strip, told.split("\n"))))) from error


def _is_elsewhere(given: PipelineOptions) -> bool:
    """Tell whether the job goes to the service, not to a stand-in on this machine."""
    endpoint = given.view_as(GoogleCloudOptions).dataflow_endpoint or ""
    return not urlparse(endpoint).netloc.startswith("localhost")


def is_dry_run(options: RunOptions) -> bool:
    """Tell whether the job is only to be built."""
    return bool(beam_options(options).view_as(TestOptions).dry_run)


def template_of(options: RunOptions) -> str | None:
    """Return where the job is written to as a template, if it is not to be run now."""
    if not is_dataflow(options.runner):
        return None
    return beam_options(options).view_as(GoogleCloudOptions).template_location


def dry_run(options: RunOptions) -> str:
    """Build the job as it would be sent, and return what it is as a table.

    Nothing is read of the input and nothing is written to the output: the graph has only paths. No
    credentials are needed.
    """
    out = options.output_dir.rstrip("/")
    tokenizer, styles = resolve_tokenizer(options), resolve_styles(options)
    given = beam_options(options)
    pipeline = beam.Pipeline(options=given)
    graph.build(pipeline, graph.Job(options, out, tokenizer.path(out), styles.sheet))
    return description(pipeline.run().job.proto_pipeline, given, options)


def staged_files(proto: Any) -> Iterator[Staged]:
    """Yield the files that go to the workers with a pipeline."""
    for environment in proto.components.environments.values():
        for artifact in environment.dependencies:
            if artifact.role_urn == common_urns.artifact_roles.STAGING_TO.urn:
                file = beam_runner_api_pb2.ArtifactFilePayload.FromString(artifact.type_payload)
                role = beam_runner_api_pb2.ArtifactStagingToRolePayload.FromString(
                    artifact.role_payload
                )
                yield Staged(role.staged_name, Path(file.path))


def description(proto: Any, given: PipelineOptions, options: RunOptions) -> str:
    """Return a table of a job that was built and not sent."""
    google, workers = given.view_as(GoogleCloudOptions), given.view_as(WorkerOptions)
    threads = given.view_as(DebugOptions).number_of_worker_harness_threads
    steps = sum(not t.subtransforms for t in proto.components.transforms.values())
    (image,) = {
        beam_runner_api_pb2.DockerPayload.FromString(environment.payload).container_image
        for environment in proto.components.environments.values()
    }
    rows = [
        ("job", f"{google.job_name} in {google.project}, {google.region}"),
        ("graph", f"{steps} steps, {proto.ByteSize():,} bytes"),
        *(("staged", f"{s.name}, {s.path.stat().st_size:,} bytes") for s in staged_files(proto)),
        ("image", image),
        (
            "workers",
            f"at most {workers.max_num_workers or 'as many as Dataflow likes'}, "
            f"{workers.machine_type or 'default machines'}, "
            f"{workers.disk_size_gb or 'default'} GB disk",
        ),
        ("threads", f"{threads or 'default'} in each of the processes, of which a core has one"),
        ("temp", google.temp_location),
        *(("input", path) for path in options.input),
        ("output", options.output_dir),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def job_url(result: Any, options: RunOptions) -> str | None:
    """Return where a job that was sent can be watched."""
    if not is_dataflow(options.runner) or not getattr(result, "has_job", False):
        return None
    google = beam_options(options).view_as(GoogleCloudOptions)
    return (
        f"job {result.job_id()}: https://console.cloud.google.com/dataflow/jobs/"
        f"{google.region}/{result.job_id()}?project={google.project}"
    )
