"""What a JobManager is asked, and what is said where there is none."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from pipeline.runners.flink import rest

ANSWERS: dict[str, Any] = {
    "/v1/overview": {"flink-version": "1.20.5", "taskmanagers": 2, "slots-total": 5, "more": 1},
    "/other/v1/overview": {"status": "fine"},
    "/list/v1/overview": [1],
}


class JobManager(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path not in ANSWERS:
            self.send_error(404)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(ANSWERS[self.path]).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def master() -> Iterator[str]:
    with HTTPServer(("localhost", 0), JobManager) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"localhost:{server.server_port}"
        server.shutdown()


def test_a_cluster_tells_its_version_and_size(master: str) -> None:
    for name in (master, f"http://{master}", f"http://{master}/"):
        assert rest.overview(name) == rest.Overview("1.20", 2, 5)


@pytest.mark.parametrize("path", ["other", "list"])
def test_another_service_is_no_jobmanager(master: str, path: str) -> None:
    with pytest.raises(ConnectionError, match="answers, but is not a JobManager of Flink"):
        rest.overview(f"http://{master}/{path}")


@pytest.mark.parametrize(
    ("name", "cause"),
    [("localhost:1", "refused"), ("localhost:x", "port"), ("http://{}/none", "Not Found")],
)
def test_no_answer_is_said_with_address_and_cause(master: str, name: str, cause: str) -> None:
    with pytest.raises(ConnectionError, match=f"no answer from Flink at http://.*{cause}"):
        rest.overview(name.format(master))
