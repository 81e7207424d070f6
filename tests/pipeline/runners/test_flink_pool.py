"""The pool of workers that stands beside a TaskManager: where it listens."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from pipeline.runners.flink.cluster import free_port
from pipeline.runners.flink.pool import address, is_loopback, main


@pytest.mark.parametrize(
    ("host", "closed"),
    [
        ("localhost", True), ("127.0.0.1", True), ("127.0.0.2", True), ("::1", True),
        ("[::1]", True), ("0.0.0.0", False), ("::", False), ("10.0.0.7", False), ("node-7", False),
    ],
)  # fmt: skip
def test_what_only_this_machine_reaches(host: str, closed: bool) -> None:
    assert is_loopback(host) is closed


def test_an_address_is_written_as_grpc_reads_it() -> None:
    assert [address(host, 5) for host in ("node", "::", "[::1]")] == ["node:5", "[::]:5", "[::1]:5"]


@contextmanager
def pool(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A pool that listens, and the first line that it says."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "pipeline.runners.flink.pool", *options],
        stderr=subprocess.PIPE, text=True, env=os.environ,
    )  # fmt: skip
    assert process.stderr
    try:
        yield process, process.stderr.readline()
    finally:
        process.kill()
        process.communicate()


def test_it_listens_to_this_machine_alone_and_has_its_port_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    port = free_port()
    with pool(f"--port={port}") as (process, said):
        assert said == f"pagecast: a pool of workers listens on localhost:{port}\n"
        listening = [
            c for c in psutil.Process(process.pid).net_connections() if c.status == "LISTEN"
        ]
        assert listening
        assert {c.laddr.port for c in listening} == {port}
        assert {is_loopback(c.laddr.ip.removeprefix("::ffff:")) for c in listening} == {True}
        assert main([f"--port={port}"]) == 1
        assert f"error: cannot listen on localhost:{port}: " in capsys.readouterr().err
        process.send_signal(signal.SIGTERM)
        assert process.wait(600) == 130


def test_it_warns_where_others_reach_it() -> None:
    with pool("--bind=0.0.0.0", f"--port={free_port()}") as (process, _):
        assert process.stderr
        assert "warning: --bind 0.0.0.0 is not this machine alone" in process.stderr.readline()


def test_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert [main(["--port=0"]), main(["--adress=x"])] == [2, 2]
    assert 'invalid value "0" for --port. Must be >= 1' in capsys.readouterr().err
