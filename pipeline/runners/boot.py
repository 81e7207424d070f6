"""Starting a worker where a runner asks for one and there is no container.

`pagecast-boot` is what a runner's environment PROCESS, or Beam's worker pool of an environment
EXTERNAL, calls with `--id` and `--provision_endpoint`, as it would call the program `boot` of a
container. It asks the runner for the job's options and staged files, installs the packages among
them where only workers of this job look, and becomes a worker. The contract is that of Beam's own
containers (sdks/python/container/boot.go there).
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format, text_format

from pipeline import be_safe
from pipeline.runners.environment import WORKER_ENVIRONMENT, quick_imports
from pipeline.runners.worker import be_remote

with quick_imports(without_clouds=False):
    from apache_beam.portability import common_urns
    from apache_beam.portability.api import (
        beam_artifact_api_pb2,
        beam_artifact_api_pb2_grpc,
        beam_provision_api_pb2,
        beam_provision_api_pb2_grpc,
        beam_runner_api_pb2,
        endpoints_pb2,
    )
    from apache_beam.runners.worker.log_handler import FnApiLogRecordHandler

PATIENCE = 60.0  # seconds that the runner may take to answer
STAGING_TO = common_urns.artifact_roles.STAGING_TO.urn
# What Beam makes of --requirements_file, --extra_package and --setup_file.
REQUIREMENTS, EXTRA, SOURCES = "requirements.txt", "extra_packages.txt", "workflow.tar.gz"


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the arguments that a runner gives; those of containers alone are ignored."""
    parser = argparse.ArgumentParser(prog="pagecast-boot", description=__doc__.splitlines()[0])
    parser.add_argument("--id", required=True, help="the worker's name")
    parser.add_argument("--provision_endpoint", required=True, help="HOST:PORT of the runner")
    for name in ("logging_endpoint", "artifact_endpoint", "control_endpoint"):
        parser.add_argument(f"--{name}", default="", help="where the runner does not say it itself")
    parser.add_argument("--semi_persist_dir", default=tempfile.gettempdir(), help="for its files")
    return parser.parse_known_args(argv)[0]


def ask(endpoint: str, worker_id: str) -> Any:
    """Return what the runner says of the job: its options, endpoints and staged files.

    Raises:
      grpc.RpcError: the runner does not answer.
    """
    with grpc.insecure_channel(endpoint) as channel:
        service = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        return service.GetProvisionInfo(
            beam_provision_api_pb2.GetProvisionInfoRequest(),
            metadata=[("worker_id", worker_id)],
            timeout=PATIENCE,
            wait_for_ready=True,
        ).info


def fetch(endpoint: str, worker_id: str, artifacts: Sequence[Any], directory: Path) -> list[str]:
    """Save the staged files in a directory, and return their names there.

    Raises:
      ValueError: a file has a name that is none.
      grpc.RpcError: the runner does not answer.
    """
    names = []
    with grpc.insecure_channel(endpoint) as channel:
        service = beam_artifact_api_pb2_grpc.ArtifactRetrievalServiceStub(channel)
        for artifact in artifacts:
            name = staged_name(artifact)
            request = beam_artifact_api_pb2.GetArtifactRequest(artifact=artifact)
            with open(directory / name, "wb") as file:
                for piece in service.GetArtifact(request, metadata=[("worker_id", worker_id)]):
                    file.write(piece.data)
            names.append(name)
    return names


def staged_name(artifact: Any) -> str:
    """Return under which name a staged file is wanted.

    Raises:
      ValueError: it names no file, or one elsewhere.
    """
    payload = beam_runner_api_pb2.ArtifactStagingToRolePayload.FromString(artifact.role_payload)
    name = payload.staged_name
    if artifact.role_urn != STAGING_TO or name in ("", ".", "..") or "/" in name or "\\" in name:
        raise ValueError(f"the runner staged a file with the name {name!r}")
    return name


def packages(staged: Path, names: Sequence[str]) -> list[str]:
    """Return pip's arguments for what is to be installed of the staged files."""
    wanted = []
    if REQUIREMENTS in names:
        wanted += ["--requirement", str(staged / REQUIREMENTS)]
    if EXTRA in names:
        wanted += [str(staged / name) for name in (staged / EXTRA).read_text("utf-8").split()]
    if SOURCES in names:
        wanted.append(str(staged / SOURCES))
    return wanted


def install(wanted: Sequence[str], staged: Path, below: Path) -> Path:
    """Install packages into a directory named by their content, if no worker did so before.

    What they need has to be in this worker's environment already.

    Raises:
      RuntimeError: pip failed, and the text is its last words; or the directory is another user's.
    """
    target = below / f"pagecast-{os.getuid()}-{digest(staged)}"
    if not target.exists():
        mine = Path(tempfile.mkdtemp(prefix=f"{target.name}-", dir=below))
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-input"]
        done = subprocess.run(
            [*pip, "--find-links", str(staged), "--target", str(mine), *wanted],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            shutil.rmtree(mine)
            last = (done.stderr.strip() or "no message").splitlines()[-1]
            raise RuntimeError(f"pip could not install the staged packages: {last}")
        try:
            mine.rename(target)
        except OSError:  # another worker was quicker, with the same files
            shutil.rmtree(mine)
    if target.stat().st_uid != os.getuid():
        raise RuntimeError(f"{target} belongs to another user: its code will not be run")
    return target


def digest(staged: Path) -> str:
    """Return a name for the content of a directory."""
    found = hashlib.sha256()
    for path in sorted(staged.iterdir()):
        content = path.read_bytes()
        found.update(f"{len(path.name)} {path.name} {len(content)} ".encode() + content)
    return found.hexdigest()[:32]


def descriptor(url: str) -> str:
    """Return the address of a service as Beam's worker reads it."""
    return text_format.MessageToString(endpoints_pb2.ApiServiceDescriptor(url=url))


def settings(given: argparse.Namespace, info: Any) -> dict[str, str]:
    """Return the environment variables that Beam's worker reads."""
    found = {
        **WORKER_ENVIRONMENT,
        "WORKER_ID": given.id,
        "PIPELINE_OPTIONS": json_format.MessageToJson(info.pipeline_options, indent=None),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
        "CONTROL_API_SERVICE_DESCRIPTOR": descriptor(
            info.control_endpoint.url or given.control_endpoint
        ),
    }
    if logging_endpoint := info.logging_endpoint.url or given.logging_endpoint:
        found["LOGGING_API_SERVICE_DESCRIPTOR"] = descriptor(logging_endpoint)
    if info.status_endpoint.url:
        found["STATUS_API_SERVICE_DESCRIPTOR"] = descriptor(info.status_endpoint.url)
    return found


def prepare(given: argparse.Namespace, info: Any) -> dict[str, str]:
    """Fetch and install what the job needs, and return the worker's environment variables."""
    found = settings(given, info)
    endpoint = info.artifact_endpoint.url or given.artifact_endpoint
    if not endpoint or not info.dependencies:
        return found
    with tempfile.TemporaryDirectory(prefix="pagecast-staged-") as directory:
        staged = Path(directory)
        names = fetch(endpoint, given.id, info.dependencies, staged)
        if wanted := packages(staged, names):
            target = install(wanted, staged, Path(given.semi_persist_dir))
            # Before what is installed here: the job's own code is the one to run.
            found["PYTHONPATH"] = os.pathsep.join(
                filter(None, [str(target), os.environ.get("PYTHONPATH")])
            )
    return found


def tell(environment: dict[str, str], text: str) -> None:
    """Send the runner a last word: what a process prints may be seen by nobody."""
    print(text, file=sys.stderr)
    if address := environment.get("LOGGING_API_SERVICE_DESCRIPTOR"):
        handler = FnApiLogRecordHandler(
            text_format.Parse(address, endpoints_pb2.ApiServiceDescriptor())
        )
        record = logging.LogRecord("pagecast", logging.CRITICAL, __file__, 0, text, None, None)
        handler.emit(record)
        handler.close()


def main() -> None:
    """Become a worker, or tell the runner why not."""
    be_safe()
    given = parse(sys.argv[1:])
    environment: dict[str, str] = {}
    os.environ["WORKER_ID"] = given.id  # which Beam's services are told with every call
    try:
        info = ask(given.provision_endpoint, given.id)
        environment = settings(given, info)
        environment = prepare(given, info)
    except Exception as error:
        why = " ".join(str(error).split())
        tell(environment, f"pagecast-boot: worker {given.id} cannot start: {why}")
        sys.exit(1)
    os.environ.update(environment)
    if "PYTHONPATH" in environment:
        # Anew, since what was imported here is not the job's.
        os.execv(
            sys.executable, [sys.executable, "-P", "-m", "pipeline.runners.worker", "--remote"]
        )
    be_remote()


if __name__ == "__main__":
    main()
