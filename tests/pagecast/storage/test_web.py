"""Inputs on a web server, which stand for all that fsspec reads and that nothing here knows of."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pagecast import storage
from pagecast.storage.errors import StoreError
from pagecast.storage.stores import objects
from tests.conftest import SAMPLE, RunCommand, tree

CONTENT = bytes(range(256)) * 40


class Web(ThreadingHTTPServer):
    """Serves files by their names. ranges: whether it does parts of them. status: for all else."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {"/a.bin": CONTENT, "/a.parquet": Path(SAMPLE).read_bytes()}
        self.ranges, self.status, self.has_size = True, 404, True
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Web

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        content = self.server.files.get(self.path)
        if content is None:
            self.send_response(self.server.status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        wanted = self.headers.get("Range") if self.server.ranges else None
        first, _, last = (wanted or "bytes=0-").removeprefix("bytes=").partition("-")
        body = content[int(first) : int(last) + 1 if last else None]
        self.send_response(206 if wanted else 200)
        if wanted:
            end = int(first) + len(body) - 1
            self.send_header("Content-Range", f"bytes {first}-{end}/{len(content)}")
        if self.server.has_size:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@pytest.fixture
def web() -> Iterator[Web]:
    server = Web()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    objects._opened.clear()
    yield server
    server.shutdown()
    server.server_close()


def test_a_run_reads_from_it(web: Web, run: RunCommand) -> None:
    few = "--num_articles 6 --modes tiny"
    assert run(f"{web.url}/a.parquet", options=few).code == 0
    done = run(SAMPLE, options=few, into="local")
    names = "split_manifest.json", "samples.jsonl"
    assert tree(done.path, *names) == tree(done.path.parent / "out", *names)


@pytest.mark.parametrize("ranges", [True, False])
def test_parts_are_those_asked_for_or_refused(web: Web, ranges: bool) -> None:
    """One that sends the whole file for a part of it must not be believed."""
    web.ranges = ranges
    path = f"{web.url}/a.bin"
    assert storage.read_bytes(path) == CONTENT
    for first, size in ((0, 10), (5, 10), (5, len(CONTENT) - 5), (0, len(CONTENT))):
        if ranges or size == len(CONTENT):
            assert list(storage.read_ranges([(path, first, size)])) == [CONTENT[first:][:size]]
            continue
        with pytest.raises(StoreError, match=r"a\.bin: what it sends is not the range"):
            list(storage.read_ranges([(path, first, size)]))
    with storage.open_read(path) as file:
        file.seek(-7, 2)
        if ranges:
            assert file.read() == CONTENT[-7:]
        else:
            with pytest.raises(StoreError, match="is not the range"):
                file.read()


def test_what_is_missing_is_told_from_what_cannot_be_asked(web: Web) -> None:
    assert not storage.exists(f"{web.url}/none")
    web.status = 503
    with pytest.raises(StoreError, match=r"none: .*503"):
        storage.exists(f"{web.url}/none")
    web.has_size = False
    with pytest.raises(StoreError, match="its size is not told"):
        storage.size_of(f"{web.url}/a.bin")
    with pytest.raises(StoreError, match="Cannot connect"):
        storage.exists("http://127.0.0.1:9/a.bin")
