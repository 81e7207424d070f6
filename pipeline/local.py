"""The runner for one machine: Beam's FnApiRunner in this process, with workers beside it."""

from __future__ import annotations

import os
import shlex
import sys

from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner.fn_runner import (
    ExtendedProvisionInfo,
    FnApiRunner,
)
from apache_beam.runners.portability.portable_runner import JobServiceHandle
from apache_beam.transforms.environments import (
    EmbeddedPythonEnvironment,
    SubprocessSDKEnvironment,
)

from pipeline.environment import WORKER_ENVIRONMENT


def local_runner(options: PipelineOptions, workers: int) -> FnApiRunner:
    """Return Beam's in-process runner with `workers` subprocesses, or none for one worker.

    Made here because Beam's own DirectRunner first tries to download another runner. Subprocesses
    get their pipeline options from the provision info and from nowhere else.
    """
    direct = options.view_as(DirectOptions)
    direct.direct_num_workers = workers
    direct.direct_running_mode = None  # the environment below says it, with the path quoted
    for name, value in WORKER_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    environment = EmbeddedPythonEnvironment.default()
    if workers > 1:
        environment = SubprocessSDKEnvironment.from_command_string(
            f"exec {shlex.quote(sys.executable)} -m pipeline.worker"
        )
    encoded = JobServiceHandle.encode_pipeline_options(options.get_all_options())
    provision = ExtendedProvisionInfo(
        beam_provision_api_pb2.ProvisionInfo(pipeline_options=encoded)
    )
    return FnApiRunner(default_environment=environment, provision_info=provision)
