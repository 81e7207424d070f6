"""What starts a worker without a container, against a runner's services in this process."""

import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from apache_beam.portability.api import (
    beam_artifact_api_pb2,
    beam_artifact_api_pb2_grpc,
    beam_fn_api_pb2_grpc,
    beam_provision_api_pb2,
    beam_provision_api_pb2_grpc,
    beam_runner_api_pb2,
    endpoints_pb2,
)
from google.protobuf import json_format, struct_pb2

from pipeline.runners import boot

SETUP = "from setuptools import setup; setup(name='staged', version='1', py_modules=['staged'])"


class Runner(
    beam_provision_api_pb2_grpc.ProvisionServiceServicer,
    beam_artifact_api_pb2_grpc.ArtifactRetrievalServiceServicer,
    beam_fn_api_pb2_grpc.BeamFnLoggingServicer,
):
    """A runner that answers all workers alike, and keeps what they tell it."""

    def __init__(self, endpoint: str, staged: dict[str, bytes]) -> None:
        self.staged = staged
        self.asked: list[str] = []
        self.logged: list[str] = []
        options = struct_pb2.Struct()
        options.update({"beam:option:job_name:v1": 'it\'s "quoted"', "é": [1]})
        service = endpoints_pb2.ApiServiceDescriptor(url=endpoint)
        self.info = beam_provision_api_pb2.ProvisionInfo(
            pipeline_options=options,
            control_endpoint=service,
            logging_endpoint=service,
            artifact_endpoint=service,
            runner_capabilities=["one", "two"],
            dependencies=[artifact(name) for name in staged],
        )

    def GetProvisionInfo(self, _: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self.asked.append(dict(context.invocation_metadata())["worker_id"])
        return beam_provision_api_pb2.GetProvisionInfoResponse(info=self.info)

    def GetArtifact(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:  # noqa: N802
        self.asked.append(dict(context.invocation_metadata())["worker_id"])
        content = self.staged[boot.staged_name(request.artifact)]
        for piece in (content[:5], content[5:]):
            yield beam_artifact_api_pb2.GetArtifactResponse(data=piece)

    def Logging(self, entries: Any, _: grpc.ServicerContext) -> Iterator[Any]:  # noqa: N802
        for batch in entries:
            self.logged += [entry.message for entry in batch.log_entries]
        yield from ()


def artifact(name: str, role: str = boot.STAGING_TO) -> Any:
    payload = beam_runner_api_pb2.ArtifactStagingToRolePayload(staged_name=name)
    return beam_runner_api_pb2.ArtifactInformation(
        role_urn=role, role_payload=payload.SerializeToString()
    )


class Serving(NamedTuple):
    runner: Runner
    endpoint: str


@pytest.fixture
def serve() -> Iterator[Any]:
    """Give a function that starts a runner with these staged files."""
    servers = []

    def start(staged: dict[str, bytes]) -> Serving:
        server = grpc.server(ThreadPoolExecutor(4))
        servers.append(server)
        endpoint = f"localhost:{server.add_insecure_port('localhost:0')}"
        runner = Runner(endpoint, staged)
        beam_provision_api_pb2_grpc.add_ProvisionServiceServicer_to_server(runner, server)
        beam_artifact_api_pb2_grpc.add_ArtifactRetrievalServiceServicer_to_server(runner, server)
        beam_fn_api_pb2_grpc.add_BeamFnLoggingServicer_to_server(runner, server)
        server.start()
        return Serving(runner, endpoint)

    yield start
    for server in servers:
        server.stop(None)


@pytest.fixture
def sources(tmp_path: Path) -> bytes:
    """A source distribution of one module, as Beam makes of --setup_file."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "setup.py").write_text(SETUP)
    (project / "staged.py").write_text("WHO = 'the job'")
    with tarfile.open(tmp_path / "made.tar.gz", "w:gz") as archive:
        archive.add(project, "staged-1")
    return (tmp_path / "made.tar.gz").read_bytes()


def write_wheel(path: Path) -> None:
    described = "staged-1.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("staged.py", "WHO = 'the job'")
        wheel.writestr(f"{described}/METADATA", "Metadata-Version: 2.1\nName: staged\nVersion: 1\n")
        wheel.writestr(
            f"{described}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{described}/RECORD", "")


def given(endpoint: str, directory: Path, *more: str) -> Any:
    named = ["--id=7-1", f"--provision_endpoint={endpoint}", f"--semi_persist_dir={directory}"]
    return boot.parse([*named, *more])


def test_what_runners_add_for_containers_is_passed_over() -> None:
    found = boot.parse(
        ["--id=1", "--provision_endpoint=x:1", "--made_up=2", "--control_endpoint=c"]
    )
    assert (found.id, found.provision_endpoint, found.control_endpoint) == ("1", "x:1", "c")


def test_a_worker_finds_options_services_and_staged_packages(
    serve: Any, sources: bytes, tmp_path: Path
) -> None:
    runner, endpoint = serve({boot.SOURCES: sources, "other.bin": b"\0" * 9})
    arguments = given(endpoint, tmp_path)
    info = boot.ask(endpoint, arguments.id)
    found = boot.prepare(arguments, info)
    assert runner.asked == ["7-1"] * 3
    assert json_format.Parse(found["PIPELINE_OPTIONS"], struct_pb2.Struct()) == (
        runner.info.pipeline_options
    )
    assert (found["WORKER_ID"], found["RUNNER_CAPABILITIES"]) == ("7-1", "one two")
    for service in ("CONTROL", "LOGGING"):
        assert found[f"{service}_API_SERVICE_DESCRIPTOR"] == f'url: "{endpoint}"\n'
    assert found["RAYON_NUM_THREADS"] == "1"
    target = Path(found["PYTHONPATH"].split(os.pathsep)[0])
    assert target.parent == tmp_path
    told = subprocess.run(
        [sys.executable, "-c", "import staged; print(staged.WHO, staged.__file__)"],
        env={**os.environ, **found}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout.split("\n")[0] == f"the job {target / 'staged.py'}"


def test_the_same_files_are_installed_once_and_others_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = tmp_path / "staged"
    staged.mkdir()
    write_wheel(staged / "staged-1-py3-none-any.whl")
    (staged / boot.EXTRA).write_text("staged-1-py3-none-any.whl\n")
    wanted = boot.packages(staged, [boot.EXTRA])
    first = boot.install(wanted, staged, tmp_path)
    assert (first / "staged.py").is_file()
    monkeypatch.setattr(subprocess, "run", None)  # a second time pip is not needed
    assert boot.install(wanted, staged, tmp_path) == first
    (staged / "one-more").write_bytes(b"")
    with pytest.raises(TypeError):
        boot.install(wanted, staged, tmp_path)


def test_code_of_another_user_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    staged = tmp_path / "staged"
    staged.mkdir()
    monkeypatch.setattr(os, "getuid", lambda: 4242)
    (tmp_path / f"pagecast-4242-{boot.digest(staged)}").mkdir()
    with pytest.raises(RuntimeError, match="belongs to another user: its code will not be run"):
        boot.install([], staged, tmp_path)


def test_what_pip_says_last_is_the_cause(tmp_path: Path) -> None:
    staged = tmp_path / "staged"
    staged.mkdir()
    (staged / boot.SOURCES).write_bytes(b"no archive")
    with pytest.raises(RuntimeError, match=r"^pip could not install the staged packages: \S"):
        boot.install(boot.packages(staged, [boot.SOURCES]), staged, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["staged"]


def test_all_kinds_of_packages_are_installed_in_beams_order(tmp_path: Path) -> None:
    (tmp_path / boot.EXTRA).write_text("b.whl\na.tar.gz\n")
    names = ["a.tar.gz", boot.SOURCES, boot.EXTRA, "b.whl", boot.REQUIREMENTS, "pickled_main"]
    wanted = [boot.REQUIREMENTS, "b.whl", "a.tar.gz", boot.SOURCES]
    assert boot.packages(tmp_path, names) == [
        "--requirement", *(str(tmp_path / name) for name in wanted)
    ]  # fmt: skip
    assert boot.packages(tmp_path, ["pickled_main"]) == []


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("../x", boot.STAGING_TO),
        ("/etc/x", boot.STAGING_TO),
        ("..", boot.STAGING_TO),
        ("", boot.STAGING_TO),
        ("a\\b", boot.STAGING_TO),
        ("x", "beam:artifact:role:other:v1"),
    ],
)
def test_a_staged_file_cannot_leave_its_directory(name: str, role: str) -> None:
    with pytest.raises(ValueError, match="the runner staged a file with the name"):
        boot.staged_name(artifact(name, role))


def test_without_staged_files_nothing_is_installed(serve: Any, tmp_path: Path) -> None:
    _, endpoint = serve({})
    found = boot.prepare(given(endpoint, tmp_path), boot.ask(endpoint, "7-1"))
    assert "PYTHONPATH" not in found
    assert not list(tmp_path.iterdir())


def test_endpoints_that_the_runner_leaves_out_come_from_the_arguments(tmp_path: Path) -> None:
    info = beam_provision_api_pb2.ProvisionInfo()
    found = boot.settings(given("x:1", tmp_path, "--control_endpoint=c:2"), info)
    assert found["CONTROL_API_SERVICE_DESCRIPTOR"] == 'url: "c:2"\n'
    assert "LOGGING_API_SERVICE_DESCRIPTOR" not in found


def test_a_worker_that_cannot_start_says_why_to_the_runner_and_here(
    serve: Any, tmp_path: Path
) -> None:
    runner, endpoint = serve({"../escape": b"x"})
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.runners.boot", "--id=1",
         f"--provision_endpoint={endpoint}", f"--semi_persist_dir={tmp_path}"],
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    line = (
        "pagecast-boot: worker 1 cannot start: the runner staged a file with the name '../escape'"
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == line
    assert runner.logged == [line]


def test_a_runner_that_does_not_answer_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(boot, "PATIENCE", 0.5)
    monkeypatch.setattr(sys, "argv", ["boot", "--id=1", "--provision_endpoint=localhost:1"])
    monkeypatch.setenv("WORKER_ID", "restored afterwards")
    with pytest.raises(SystemExit) as left:
        boot.main()
    assert left.value.code == 1
    assert "pagecast-boot: worker 1 cannot start: " in capfd.readouterr().err
