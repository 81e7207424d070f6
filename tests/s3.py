"""S3 as moto plays it, with troubles."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto.backends import get_backend
from moto.server import DomainDispatcherApplication, create_backend_app

from tests.stores import TroubledStore
from transforms import s3

KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_REGION": "us-east-1"}


class Store(TroubledStore):
    """moto's S3 with a bucket."""

    def __init__(self) -> None:
        super().__init__(DomainDispatcherApplication(create_backend_app))
        self.client = boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="id",
            aws_secret_access_key="key",
        )
        self.client.create_bucket(Bucket="bucket")

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket="bucket", Key=key, Body=content)

    def tree(self, directory: str, private: bool = False) -> dict[str, bytes]:
        """Return the public or the private objects below a directory, but for the report."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket="bucket", Prefix=f"{directory}/"
        )
        keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
        return {
            key.removeprefix(f"{directory}/"): self.read(key)
            for key in keys
            if ("_pagecast/" in key) == private and not key.endswith("/report.html")
        }

    def read(self, key: str) -> bytes:
        return self.client.get_object(Bucket="bucket", Key=key)["Body"].read()

    def close(self) -> None:
        super().close()
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
