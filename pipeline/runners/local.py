"""The runner for one machine: Beam's FnApiRunner in this process, with workers beside it.

Beam's own way to such workers listens on all network interfaces, and whoever connects can read
files, see the options and run code. Here one Unix socket serves all, in a directory that only its
owner can enter; there is no port. Options go by the environment, so of Beam's services those that
hand out options and files are left out.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import grpc
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.portability.api import (
    beam_fn_api_pb2_grpc,
    beam_provision_api_pb2,
    endpoints_pb2,
)
from apache_beam.runners.portability.fn_api_runner import worker_handlers
from apache_beam.runners.portability.fn_api_runner.fn_runner import (
    ExtendedProvisionInfo,
    FnApiRunner,
)
from apache_beam.runners.portability.local_job_service import BeamFnLoggingServicer
from apache_beam.runners.portability.portable_runner import JobServiceHandle
from apache_beam.runners.worker import data_plane
from apache_beam.transforms.environments import EmbeddedPythonEnvironment, Environment
from apache_beam.utils.thread_pool_executor import shared_unbounded_instance
from google.protobuf import json_format, text_format

from pipeline.runners.environment import WORKER_ENVIRONMENT
from pipeline.runners.watchdog import Process

URN = "pagecast:env:local_processes:v1"
MOST_PATH_BYTES = 100  # of a socket's path; systems have 104 or 108
NO_LIMIT = -1
SERVER_OPTIONS = [
    ("grpc.max_receive_message_length", NO_LIMIT),
    ("grpc.max_send_message_length", NO_LIMIT),
    # As often as Beam's workers ask whether the connection lives.
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 20_000),
]

# Starts a worker with these environment variables; the last tells whether it is at work.
Start = Callable[[Mapping[str, str], Callable[[], bool]], Process]


def local_runner(options: PipelineOptions, workers: int, start: Start) -> FnApiRunner:
    """Return Beam's in-process runner with `workers` subprocesses, or none for one worker.

    Made here because Beam's own DirectRunner first tries to download another runner.

    Args:
      start: what starts a worker's process, and keeps an eye on it.
    """
    direct = options.view_as(DirectOptions)
    direct.direct_num_workers = workers
    direct.direct_running_mode = None  # the environment says it
    for name, value in WORKER_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    environment = LocalProcesses() if workers > 1 else EmbeddedPythonEnvironment.default()
    encoded = JobServiceHandle.encode_pipeline_options(options.get_all_options())
    provision = ExtendedProvisionInfo(
        beam_provision_api_pb2.ProvisionInfo(pipeline_options=encoded)
    )
    return LocalRunner(start, default_environment=environment, provision_info=provision)


_directories: set[str] = set()  # in use


class LocalRunner(FnApiRunner):
    """Beam's runner, with `LocalServer` in the place of its servers."""

    def __init__(self, start: Start, **how: Any) -> None:
        super().__init__(**how)
        self._start = start

    def run_stages(self, *stages: Any) -> Any:
        """Run the graph; see Beam."""
        before = worker_handlers.GrpcServer
        # Beam makes it by this name where the first worker is needed; it has no other way in.
        worker_handlers.GrpcServer = partial(LocalServer, self._start)
        try:
            return super().run_stages(*stages)
        finally:
            worker_handlers.GrpcServer = before


class LocalServer:
    """Beam's control, data, state and logging services for workers, on one Unix socket."""

    def __init__(self, start: Start, state: Any, _: Any, manager: Any) -> None:
        self.start = start
        self.address = f"unix:{private_directory()}/beam"
        self.control_port = self.data_port = self.state_port = self.logging_port = self.address
        self.control_handler = worker_handlers.BeamFnControlServicer(manager)
        self.data_plane_handler = data_plane.BeamFnDataServicer(
            worker_handlers.DATA_BUFFER_TIME_LIMIT_MS
        )
        self._server = grpc.server(shared_unbounded_instance(), options=SERVER_OPTIONS)
        services = beam_fn_api_pb2_grpc
        services.add_BeamFnControlServicer_to_server(self.control_handler, self._server)
        services.add_BeamFnDataServicer_to_server(self.data_plane_handler, self._server)
        state_servicer = worker_handlers.GrpcStateServicer(state)
        services.add_BeamFnStateServicer_to_server(state_servicer, self._server)
        services.add_BeamFnLoggingServicer_to_server(BeamFnLoggingServicer(), self._server)
        self._server.add_insecure_port(self.address)
        self._server.start()

    def close(self) -> None:
        """End all connections."""
        self.control_handler.done()
        self._server.stop(5).wait()
        forget_directories()


def forget_directories() -> None:
    """Remove what a run would at its end, for who ends this process at once."""
    while _directories:
        shutil.rmtree(_directories.pop(), ignore_errors=True)


def private_directory() -> str:
    """Make a directory with a short path that nobody else can enter.

    Raises:
      OSError: there is no room for one anywhere.
    """
    for parent in dict.fromkeys([tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"]):
        try:
            path = tempfile.mkdtemp(prefix="pagecast-", dir=parent)
        except OSError:
            continue
        if len(os.fsencode(path)) <= MOST_PATH_BYTES - len("/beam"):
            _directories.add(path)
            return path
        os.rmdir(path)
    raise OSError(
        f"no directory for the workers' socket could be made in {tempfile.gettempdir()} or /tmp; "
        "make room there, or name another directory in TMPDIR"
    )


@Environment.register_urn(URN, bytes)
class LocalProcesses(Environment):
    """Beam's name for the workers below."""

    def to_runner_api_parameter(self, _: Any) -> tuple[str, bytes]:
        """Return what `LocalWorker` is found by."""
        return URN, b""

    @staticmethod
    def from_runner_api_parameter(*_: Any) -> LocalProcesses:
        """Read it back."""
        return LocalProcesses()


@worker_handlers.WorkerHandler.register_environment(URN, bytes)
class LocalWorker(worker_handlers.GrpcWorkerHandler):
    """A worker process as Beam's runner handles it."""

    def __init__(self, _: bytes, state: Any, provision_info: Any, server: LocalServer) -> None:
        super().__init__(state, provision_info, server)
        self._server = server

    def port_from_worker(self, port: str) -> str:
        """Return the address of a service."""
        return port

    def start_worker(self) -> None:
        """Start the process."""
        found = text_format.MessageToString(
            endpoints_pb2.ApiServiceDescriptor(url=self._server.address)
        )
        options = self.provision_info.provision_info.pipeline_options
        self._process = self._server.start(
            {
                **os.environ,
                "WORKER_ID": self.worker_id,
                "CONTROL_API_SERVICE_DESCRIPTOR": found,
                "LOGGING_API_SERVICE_DESCRIPTOR": found,
                "PIPELINE_OPTIONS": json_format.MessageToJson(options),
            },
            self.is_busy,
        )

    def is_busy(self) -> bool:
        """Tell whether Beam has asked the worker for something and has no answer yet."""
        return bool(self.control_conn._futures_by_id)

    def stop_worker(self) -> None:
        """Wait for its end, which the end of its connection brings."""
        self._process.wait()
