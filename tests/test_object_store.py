"""The whole command on an object store: S3 as moto plays it, when it works and when it does not."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest
from moto.backends import get_backend
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from pipeline.__main__ import main
from tests.conftest import RunCommand, articles, tree, write_parquet
from transforms import s3
from transforms.reader import PageReader

LONG = " ".join(f"Word {n} of an article that is long enough." for n in range(40))
SMALL = "--min_tokens 100 --context_tokens 50 --continuation_tokens 50 --modes tiny --shard_rows 1"
KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_REGION": "us-east-1"}


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept

    def log(self, *_: Any, **__: Any) -> None:
        pass


class Store:
    """moto's S3 on a port of its own, with a bucket, and with troubles that can be switched on.

    fail_every: of how many requests one is answered with 500 or 503 in turn, and each second time
    after it was carried out. allowed: requests that are answered before the store goes away.
    """

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()
        self.requests: list[tuple[str, str]] = []
        self.fail_every: int | None = None
        self.allowed: int | None = None
        self._server = make_server("127.0.0.1", 0, self, threaded=True, request_handler=Quiet)
        self.url = f"http://127.0.0.1:{self._server.port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.client = boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="id",
            aws_secret_access_key="key",
        )
        self.client.create_bucket(Bucket="bucket")

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        with self._lock:
            self.requests.append((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
            number = len(self.requests)
            away = self.allowed is not None and self.allowed <= 0
            if self.allowed is not None:
                self.allowed -= 1
        if away:
            return self._refuse("503 Service Unavailable", environ, start)
        if self.fail_every is None or number % self.fail_every:
            return self._moto(environ, start)
        turn = number // self.fail_every
        if turn % 2:
            b"".join(self._moto(environ, lambda *_: None))
        status = "500 Internal Server Error" if turn % 4 < 2 else "503 Slow Down"
        return self._refuse(status, environ, start)

    @staticmethod
    def _refuse(status: str, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        environ["wsgi.input"].read()
        start(status, [("Content-Length", "0")])
        return [b""]

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket="bucket", Key=key, Body=content)

    def tree(self, directory: str, private: bool = False) -> dict[str, bytes]:
        """Return the public or the private objects below a directory: relative name to content."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket="bucket", Prefix=f"{directory}/"
        )
        keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
        return {
            key.removeprefix(f"{directory}/"): self.read(key)
            for key in keys
            if ("_pagecast/" in key) == private
        }

    def read(self, key: str) -> bytes:
        return self.client.get_object(Bucket="bucket", Key=key)["Body"].read()

    def close(self) -> None:
        self._server.shutdown()
        get_backend("s3").reset()  # moto has one for the whole process


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    it = Store()
    s3._make_client.cache_clear()
    monkeypatch.setenv("AWS_ENDPOINT_URL", it.url)
    yield it
    it.close()


class Result(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Result]


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    """Give a command line to this process."""

    def give(line: str) -> Result:
        capfd.readouterr()
        code = main(line.split())
        return Result(code, *capfd.readouterr())

    return give


@pytest.fixture
def parquet(tmp_path: Path, store: Store) -> Path:
    """Four articles of which one is too short, on the disk and in the store as in/a.parquet."""
    path = write_parquet(
        tmp_path / "a.parquet", articles(LONG, LONG[:900], "short", LONG), group_rows=1
    )
    store.put("in/a.parquet", path.read_bytes())
    store.put("in/_hidden/b.parquet", b"not looked at")
    return path


def remote(options: str = "", out: str = "out", workers: int = 1) -> str:
    return (
        f"run --input s3://bucket/in --output_dir s3://bucket/{out} --workers {workers} "
        f"{SMALL} {options}"
    )


@pytest.mark.parametrize(
    ("options", "workers"), [("--arrow --filtered", 1), ("--image_shards", 2), ("--no_merge", 1)]
)
def test_a_store_gets_the_bytes_that_a_disk_gets(
    store: Store, parquet: Path, run: RunCommand, command: Command, options: str, workers: int
) -> None:
    local = run(parquet, options=f"{SMALL} {options}")
    done = command(remote(options, workers=workers))
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1].endswith("s3://bucket/out")
    assert store.tree("out") == tree(local.path)
    checked = command(f"verify --output_dir s3://bucket/out --workers {workers}")
    assert checked.code == 0, checked
    assert ": no faults" in checked.out


def test_a_run_goes_on_and_damage_is_named_and_mended(
    store: Store, parquet: Path, command: Command
) -> None:
    assert command(remote()).code == 0
    expected = store.tree("out")
    store.client.delete_object(Bucket="bucket", Key="out/_pagecast/shards/00001.json")
    store.requests.clear()
    assert command(remote()).code == 0
    assert store.tree("out") == expected
    written = [path for method, path in store.requests if method in ("PUT", "POST")]
    assert {path for path in written if "/shards/" in path} == {
        "/bucket/out/_pagecast/shards/00001.jsonl", "/bucket/out/_pagecast/shards/00001.json",
    }  # fmt: skip
    picture = "images/tiny/sample_000000_chunk_0.png"
    store.put(f"out/{picture}", expected[picture][:100])
    found = command("verify --output_dir s3://bucket/out --workers 1 --repair")
    assert found.code == 1
    size = len(expected[picture])
    assert f"{picture}: sample_000000_chunk_0: it is cut short: 100 of {size} bytes" in found.out
    assert command(remote()).code == 0
    assert store.tree("out") == expected


def test_pages_are_read_from_a_store(store: Store, parquet: Path, command: Command) -> None:
    assert command(remote("--image_shards")).code == 0
    sample = json.loads(store.read("out/train.jsonl").splitlines()[0])
    assert PageReader("s3://bucket/out").image(sample, "tiny").size == (512, 512)
