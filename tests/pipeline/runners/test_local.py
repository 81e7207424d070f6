"""The local workers' only way in: a socket in a directory of its owner, and no port."""

import os
import stat
import sys
import tempfile
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from apache_beam.portability.api import (
    beam_artifact_api_pb2,
    beam_artifact_api_pb2_grpc,
    beam_provision_api_pb2,
    beam_provision_api_pb2_grpc,
    beam_runner_api_pb2,
)

from pipeline.runners import local
from pipeline.runners.local import LocalServer, private_directory
from tests.pipeline.runners.test_watchdog import Job


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    made = LocalServer(lambda *_: None, None, None, None)  # type: ignore[arg-type, return-value]
    yield made
    made.close()
    assert not os.path.exists(made.address.removeprefix("unix:"))


def test_only_its_owner_can_enter(server: LocalServer) -> None:
    socket = Path(server.address.removeprefix("unix:"))
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    assert socket.is_socket()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_gets_no_connection(server: LocalServer) -> None:
    script = (
        "import os, socket, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: socket.socket(socket.AF_UNIX).connect(sys.argv[1])\n"
        "except PermissionError: sys.exit(7)"
    )
    address = server.address.removeprefix("unix:")
    code = os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", script, address])
    assert code == 7


def test_neither_files_nor_options_are_handed_out(server: LocalServer, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    with grpc.insecure_channel(server.address) as channel:
        payload = beam_runner_api_pb2.ArtifactFilePayload(path=str(secret)).SerializeToString()
        file = beam_runner_api_pb2.ArtifactInformation(
            type_urn="beam:artifact:type:file:v1", type_payload=payload
        )
        artifacts = beam_artifact_api_pb2_grpc.ArtifactRetrievalServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            list(artifacts.GetArtifact(beam_artifact_api_pb2.GetArtifactRequest(artifact=file)))
        assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
        provision = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            provision.GetProvisionInfo(beam_provision_api_pb2.GetProvisionInfoRequest())
        assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_job_listens_on_no_port(tmp_path: Path) -> None:
    (tmp_path / "random.py").write_text("raise SystemExit('MY random.py RUNS')")
    (tmp_path / "psutil.py").write_text("raise SystemExit('MY psutil.py RUNS')")
    job = Job(tmp_path / "out")  # in that directory
    workers = job.wait_for_shards()
    assert len(workers) == 2
    for process in (psutil.Process(job.process.pid), *workers):
        assert not [c for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert job.end().code == 0


def test_a_directory_that_is_gone_full_or_deep_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    for given in (str(tmp_path / "gone"), str(deep)):
        monkeypatch.setattr(tempfile, "tempdir", given)
        path = private_directory()
        assert len(path) <= local.MOST_PATH_BYTES - len("/beam")
        os.rmdir(path)
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **_: os.mkdir("/nowhere/x"))
    with pytest.raises(OSError, match="name another directory in TMPDIR"):
        private_directory()
