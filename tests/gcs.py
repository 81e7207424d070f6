"""Google Cloud Storage as an emulator plays it, with what that leaves out and with troubles."""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from email.message import Message
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import pytest
from gcp_storage_emulator.handlers import buckets
from gcp_storage_emulator.server import Router
from gcp_storage_emulator.storage import Storage

from tests.stores import TroubledStore
from transforms import gcs, storage

BUCKET = re.compile(r"/storage/v1/b/[^/]+")
PLACE = re.compile(r"(?:/\w+)?/storage/v1/b/([^/]+)(?:/o(/.*)?)?")


class Request:
    """A request as the emulator's own server would hand it to its handlers, and the answer."""

    server = SimpleNamespace(server_address=("127.0.0.1", 0))

    def __init__(self, environ: dict[str, Any], objects: Storage) -> None:
        self.storage = objects
        self.path = environ["REQUEST_URI"]
        self.rfile = environ["wsgi.input"]
        self.wfile = io.BytesIO()
        self.headers = Message()
        for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            if environ.get(name):
                self.headers[name.replace("_", "-")] = environ[name]
        for name, value in environ.items():
            if name.startswith("HTTP_"):
                self.headers[name.removeprefix("HTTP_").replace("_", "-")] = value
        self.status = ""
        self.answer: list[tuple[str, str]] = []

    def send_response(self, status: int, phrase: str) -> None:
        self.status = f"{status} {phrase}"

    def send_header(self, name: str, value: str) -> None:
        self.answer.append((name, value))

    def end_headers(self) -> None:
        pass


class Store(TroubledStore):
    """The emulator with a bucket.

    denied: a part of a request's method and object; such are answered with 403.
    """

    def __init__(self) -> None:
        self.objects = Storage(use_memory_fs=True)
        buckets.create_bucket("bucket", self.objects)
        self.denied: str | None = None
        self._one_at_a_time = threading.Lock()
        super().__init__(self._emulate)

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if BUCKET.fullmatch(environ["PATH_INFO"]):  # the library asks aside, for its own records
            return self._emulate(environ, start)
        return super().__call__(environ, start)

    def object_of(self, environ: dict[str, Any]) -> str:
        place = PLACE.fullmatch(environ["PATH_INFO"])
        assert place is not None, environ["PATH_INFO"]
        name = place[2]
        if name is None and environ["REQUEST_METHOD"] == "POST":
            name = "/" + parse_qs(environ["QUERY_STRING"])["name"][0]
        return f"/{place[1]}{name or ''}"

    def _emulate(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = self.object_of(environ)
        if self.denied is not None and self.denied in f"{environ['REQUEST_METHOD']} {path}":
            return self._error(start, "403 Forbidden", "me@here does not have access.")
        request = Request(environ, self.objects)
        with self._one_at_a_time:
            Router(request).handle(environ["REQUEST_METHOD"])
        content = request.wfile.getvalue()
        # What the emulator leaves out of its answers.
        if request.status.startswith("404"):
            missing = "No such object: " + path[1:]
            if path.split("/")[1] not in self.objects.buckets:
                missing = "The specified bucket does not exist."
            return self._error(start, request.status, missing)
        if request.status.startswith("206") and not content:
            return self._error(start, "416 Requested Range Not Satisfiable", "past the end")
        start(request.status, request.answer)
        return [content]

    @staticmethod
    def _error(start: Callable[..., Any], status: str, message: str) -> Iterable[bytes]:
        told = {"error": {"code": int(status[:3]), "message": message}}
        content = json.dumps(told).encode()
        start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(content)))])
        return [content]

    def put(self, name: str, content: bytes) -> None:
        storage.commit(f"gs://bucket/{name}", [content])

    def names(self) -> list[str]:
        return sorted(self.objects.objects.get("bucket", {}))

    def read(self, name: str) -> bytes:
        return self.objects.get_file("bucket", name)

    def tree(self, directory: str, private: bool = False) -> dict[str, bytes]:
        """Return the public or the private objects below a directory, but for the report."""
        return {
            name.removeprefix(f"{directory}/"): self.read(name)
            for name in self.names()
            if name.startswith(f"{directory}/")
            and ("_pagecast/" in name) == private
            and not name.endswith("/report.html")
        }


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    it = Store()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", it.url)
    monkeypatch.setattr(gcs, "FIRST_WAIT", 0.01)
    gcs._make_client.cache_clear()
    yield it
    it.close()
