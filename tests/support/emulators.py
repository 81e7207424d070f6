"""S3, Google Cloud Storage and Azure as emulators play them, with troubles; and `memory://`."""

from __future__ import annotations

import http.client
import io
import json
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from email.message import Message
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import boto3
import gcsfs.retry
import pytest
from azure.storage.blob import ContainerClient, ContentSettings
from azure.storage.blob.aio import ExponentialRetry
from botocore.retries.standard import ExponentialBackoff
from fsspec.implementations.memory import MemoryFileSystem
from gcp_storage_emulator.handlers import buckets
from gcp_storage_emulator.server import Router
from gcp_storage_emulator.storage import Storage
from moto.backends import get_backend
from moto.server import DomainDispatcherApplication, create_backend_app

from pagecast.storage.stores import objects
from tests.support.stores import TroubledStore

DENIED = "me@here does not have access."
KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_REGION": "us-east-1"}


class Bucket:
    """A store of one bucket, as a test sees it: past what serves the job.

    url: where the bucket is. writes: the methods of requests that write. tries: how often a request
    is made before it is given up. broken: how often an answer that breaks off is read.
    """

    url = ""
    writes = frozenset({"PUT", "POST"})
    tries = broken = 0

    def enter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let this process and those it starts find the store, and wait for nothing."""

    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let requests be given up soon."""

    def put(self, key: str, content: bytes, encoding: str | None = None) -> None:
        raise NotImplementedError

    def read(self, key: str) -> bytes:
        raise NotImplementedError

    def delete(self, key: str) -> None:
        raise NotImplementedError

    def names(self) -> list[str]:
        raise NotImplementedError

    def tree(self, directory: str, private: bool = False) -> dict[str, bytes]:
        """Return the public or the private objects below a directory, but for the report."""
        return {
            name.removeprefix(f"{directory}/"): self.read(name)
            for name in self.names()
            if name.startswith(f"{directory}/")
            and ("_pagecast/" in name) == private
            and not name.endswith("/report.html")
        }


class S3(Bucket, TroubledStore):
    """moto's S3."""

    url = "s3://bucket"
    tries, broken = 8, 5

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._one_at_a_time = threading.Lock()  # it looks and writes apart
        TroubledStore.__init__(self, self._in_turn)
        self.client = boto3.client(
            "s3",
            endpoint_url=self.address,
            region_name="us-east-1",
            aws_access_key_id="id",
            aws_secret_access_key="key",
        )

    def _in_turn(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        with self._one_at_a_time:
            return self._moto(environ, start)

    def clean(self) -> None:
        self.calm()
        self.reason = "AccessDenied"
        get_backend("s3").reset()  # moto has one for the whole process
        self.client.create_bucket(Bucket="bucket")
        self.requests.clear()

    def enter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in KEYS.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", self.address)
        monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0.01)

    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")

    def deny(self, start: Callable[..., Any]) -> Iterable[bytes]:
        content = f"<Error><Code>{self.reason}</Code><Message>{DENIED}</Message></Error>".encode()
        start("403 Forbidden", [("Content-Length", str(len(content)))])
        return [content]

    def put(self, key: str, content: bytes, encoding: str | None = None) -> None:
        more = {"ContentEncoding": encoding} if encoding else {}
        self.client.put_object(Bucket="bucket", Key=key, Body=content, **more)

    def read(self, key: str) -> bytes:
        return self.client.get_object(Bucket="bucket", Key=key)["Body"].read()

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket="bucket", Key=key)

    def names(self) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket="bucket")
        return [found["Key"] for page in pages for found in page.get("Contents", [])]


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


class Google(Bucket, TroubledStore):
    """gcp-storage-emulator, with what that leaves out."""

    url = "gs://bucket"
    writes = frozenset({"POST"})
    tries = broken = 6

    def __init__(self) -> None:
        self._one_at_a_time = threading.Lock()
        TroubledStore.__init__(self, self._emulate)

    def clean(self) -> None:
        self.calm()
        self.objects = Storage(use_memory_fs=True)
        buckets.create_bucket("bucket", self.objects)

    def enter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", self.address)
        sleep = gcsfs.retry.asyncio.sleep
        quick = SimpleNamespace(sleep=lambda seconds: sleep(min(seconds, 0.01)))
        monkeypatch.setattr(gcsfs.retry, "asyncio", quick)

    def object_of(self, environ: dict[str, Any]) -> str:
        place = PLACE.fullmatch(environ["PATH_INFO"])
        assert place is not None, environ["PATH_INFO"]
        name = place[2]
        if name is None and environ["REQUEST_METHOD"] == "POST":
            name = "/" + parse_qs(environ["QUERY_STRING"])["name"][0]
        return f"/{place[1]}{name or ''}"

    def deny(self, start: Callable[..., Any]) -> Iterable[bytes]:
        return self._error(start, "403 Forbidden", DENIED)

    def _emulate(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path, asked = self.object_of(environ), parse_qs(environ["QUERY_STRING"])
        _, bucket, *key = path.split("/", 2)
        if asked.get("uploadType") == ["media"] and environ["CONTENT_LENGTH"] == "0":
            told = json.dumps({"name": key[0]})
            parts = (
                f"--0\nContent-Type: application/json\n\n{told}\n--0\nContent-Type: x\n\n\n--0--"
            )
            body = parts.encode()
            environ["REQUEST_URI"] = environ["REQUEST_URI"].replace("=media", "=multipart")
            environ["CONTENT_TYPE"] = "multipart/related; boundary=0"
            environ["CONTENT_LENGTH"] = str(len(body))
            environ["wsgi.input"] = io.BytesIO(body)
        request = Request(environ, self.objects)
        with self._one_at_a_time:
            if "ifGenerationMatch" in asked:
                there = self.objects.objects.get(bucket, {}).get(key[0], {"generation": "0"})
                if there["generation"] != asked["ifGenerationMatch"][0]:
                    return self._error(start, "412 Precondition Failed", "another generation")
            Router(request).handle(environ["REQUEST_METHOD"])
        content = request.wfile.getvalue()
        if request.status.startswith("404"):
            missing = "No such object: " + path[1:]
            if bucket not in self.objects.buckets:
                missing = "The specified bucket does not exist."
            return self._error(start, request.status, missing)
        if request.status.startswith("206") and not content:
            return self._error(start, "416 Requested Range Not Satisfiable", "past the end")
        if request.status.startswith("200") and path == f"/{bucket}" and content:
            content = self._page(json.loads(content), int(asked.get("pageToken", ["0"])[0]))
            request.answer = [("Content-Type", "application/json")]
        encoding = self.objects.objects.get(bucket, {}).get("".join(key), {}).get("contentEncoding")
        if encoding and "alt=media" in environ["QUERY_STRING"]:
            request.answer.append(("Content-Encoding", encoding))
        start(request.status, request.answer)
        return [content]

    @staticmethod
    def _page(listing: dict[str, Any], first: int) -> bytes:
        found = listing.get("items", [])
        listing["items"] = found[first : first + 1000]
        listing |= {"nextPageToken": str(first + 1000)} if first + 1000 < len(found) else {}
        return json.dumps(listing).encode()

    @staticmethod
    def _error(start: Callable[..., Any], status: str, message: str) -> Iterable[bytes]:
        told = {"error": {"code": int(status[:3]), "message": message}}
        content = json.dumps(told).encode()
        start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(content)))])
        return [content]

    def put(self, key: str, content: bytes, encoding: str | None = None) -> None:
        told = {"name": key, "bucket": "bucket", "contentEncoding": encoding}
        told |= {"generation": str(time.time_ns()), "size": str(len(content))}
        self.objects.create_file("bucket", key, content, told)

    def read(self, key: str) -> bytes:
        return self.objects.get_file("bucket", key)

    def delete(self, key: str) -> None:
        self.objects.delete_file("bucket", key)

    def names(self) -> list[str]:
        return sorted(self.objects.objects.get("bucket", {}))


ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class Azure(Bucket, TroubledStore):
    """Azurite, which is a server of its own, behind one that makes the troubles."""

    url = "az://bucket"
    writes = frozenset({"PUT"})
    tries, broken = 4, 3

    def __init__(self) -> None:
        program = shutil.which("azurite-blob")
        if program is None:
            pytest.skip("needs Azurite: npm install azurite, and its azurite-blob in the PATH")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        quiet = ["--silent", "--disableTelemetry", "--inMemoryPersistence", "--skipApiVersionCheck"]
        self._process = subprocess.Popen(
            [program, *quiet, "--blobPort", str(self._port)], stdout=subprocess.DEVNULL
        )
        end = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port)).close()
                break
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.05)
        self._kept = threading.local()
        TroubledStore.__init__(self, self._forward)
        self.client = ContainerClient.from_connection_string(self._connection(self._port), "bucket")
        self.client.create_container()

    @staticmethod
    def _connection(port: int) -> str:
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
            f"BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT};"
        )

    def clean(self) -> None:
        self.calm()
        for name in self.names():
            self.delete(name)

    def enter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", self._connection(self._server.port))
        monkeypatch.setattr(ExponentialRetry, "get_backoff_time", lambda *_: 0.01)

    def object_of(self, environ: dict[str, Any]) -> str:
        return environ["PATH_INFO"].removeprefix(f"/{ACCOUNT}")

    def deny(self, start: Callable[..., Any]) -> Iterable[bytes]:
        text = "<Error><Code>AuthorizationFailure</Code><Message>" + DENIED + "</Message></Error>"
        told = [("x-ms-error-code", "AuthorizationFailure"), ("Content-Type", "application/xml")]
        start("403 Forbidden", [*told, ("Content-Length", str(len(text)))])
        return [text.encode()]

    def _forward(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if not hasattr(self._kept, "connection"):
            self._kept.connection = http.client.HTTPConnection("127.0.0.1", self._port)
        headers = {
            name.removeprefix("HTTP_").replace("_", "-"): value
            for name, value in environ.items()
            if name.startswith("HTTP_") or (name in ("CONTENT_TYPE", "CONTENT_LENGTH") and value)
        }
        self._kept.connection.request(
            environ["REQUEST_METHOD"], environ["REQUEST_URI"], environ["wsgi.input"].read(), headers
        )
        answer = self._kept.connection.getresponse()
        content = answer.read()
        passed = {"connection", "transfer-encoding", "keep-alive", "date", "server"}
        told = [each for each in answer.getheaders() if each[0].lower() not in passed]
        names = {name.lower() for name, _ in told}
        if "content-length" not in names and environ["REQUEST_METHOD"] != "HEAD":
            told.append(("Content-Length", str(len(content))))
        start(f"{answer.status} {answer.reason}", told)
        return [content]

    def put(self, key: str, content: bytes, encoding: str | None = None) -> None:
        settings = ContentSettings(content_encoding=encoding)
        self.client.upload_blob(key, content, overwrite=True, content_settings=settings)

    def read(self, key: str) -> bytes:
        return self.client.download_blob(key).readall()

    def delete(self, key: str) -> None:
        self.client.delete_blob(key)

    def names(self) -> list[str]:
        return sorted(self.client.list_blob_names())

    def close(self) -> None:
        super().close()
        self._process.kill()
        self._process.wait()


class Memory(Bucket):
    """What fsspec has for tests, in one process."""

    url = "memory://bucket"

    def clean(self) -> None:
        MemoryFileSystem.store.clear()

    def put(self, key: str, content: bytes, encoding: str | None = None) -> None:
        MemoryFileSystem(skip_instance_cache=True).pipe_file(f"/bucket/{key}", content)

    def read(self, key: str) -> bytes:
        return MemoryFileSystem.store[f"/bucket/{key}"].getvalue()

    def delete(self, key: str) -> None:
        del MemoryFileSystem.store[f"/bucket/{key}"]

    def names(self) -> list[str]:
        return sorted(name.removeprefix("/bucket/") for name in MemoryFileSystem.store)

    def close(self) -> None:
        pass


KINDS: dict[str, type[Any]] = {"s3": S3, "gs": Google, "az": Azure, "memory": Memory}
ASKED = ("s3", "gs", "az")  # those that are asked by requests


@pytest.fixture(scope="module")
def emulators() -> Iterator[dict[str, Any]]:
    """The emulators that run, by scheme; each is started once."""
    running: dict[str, Any] = {}
    yield running
    for each in running.values():
        each.close()


@pytest.fixture(params=ASKED)
def store(
    request: pytest.FixtureRequest, emulators: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Any:
    """An empty store: each one in turn, or those that a test names."""
    if request.param not in emulators:
        emulators[request.param] = KINDS[request.param]()
    it = emulators[request.param]
    it.clean()
    it.enter(monkeypatch)
    objects._opened.clear()
    return it


def only(*schemes: str) -> pytest.MarkDecorator:
    """Let a test have these stores."""
    return pytest.mark.parametrize("store", schemes, indirect=True)


def place(store: Any, key: str) -> str:
    """Return the path of an object."""
    return f"{store.url}/{key}"


__all__ = ["ASKED", "DENIED", "KEYS", "emulators", "only", "place", "store"]
