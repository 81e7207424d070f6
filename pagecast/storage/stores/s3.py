"""S3 and what speaks its language, by s3fs."""

from __future__ import annotations

import os
from collections.abc import Hashable
from typing import Any

from pagecast.storage.stores.settings import options_of
from pagecast.storage.stores.store import ANYTHING, REQUESTS, NamedError, Object, Page, Store, Told

MOST_BROKEN_READS = 5


# Unless the environment says otherwise: trouble of about half a minute is sat out. What is sent is
# signed with its SHA-256, so no other checksum is; many stores know of none.
S3_DEFAULTS = {
    "AWS_RETRY_MODE": "standard",
    "AWS_MAX_ATTEMPTS": "8",
    "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
    "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
}


class S3(Store):
    """S3, with retries, ranges and conditions of its own."""

    streams = True
    removes = 1000

    @classmethod
    def open(cls, path: str) -> Store:
        from s3fs import S3FileSystem

        class Literal(S3FileSystem):
            retries = 1  # botocore's are enough; one would multiply the other

            def split_path(self, path: str) -> tuple[str, str, None]:
                bucket, _, key = path.partition("/")  # `?versionId=` too is a part of its name
                return bucket, key, None

        for name, value in S3_DEFAULTS.items():
            os.environ.setdefault(name, value)
        config = {"connect_timeout": 10, "read_timeout": 60, "max_pool_connections": REQUESTS}
        fs = Literal(
            **_s3_options(),
            config_kwargs=config,
            fixed_upload_size=True,
            use_listings_cache=False,
            skip_instance_cache=True,
        )
        return cls(fs)

    async def _call(self, what: str, place: Object, **more: Any) -> Any:
        return await self.fs._call_s3(what, Bucket=place.bucket, Key=place.key, **more)

    async def stat(self, place: Object) -> tuple[int, Hashable]:
        found = await self._call("head_object", place)
        return found["ContentLength"], found["ETag"]

    async def get(self, place: Object, first: int, last: int | None) -> bytes:
        from s3fs.core import S3_RETRYABLE_ERRORS

        wanted = f"bytes={first}-{'' if last is None else last}"
        for left in reversed(range(MOST_BROKEN_READS)):
            answer = await self._call("get_object", place, Range=wanted)
            try:
                async with answer["Body"] as body:
                    return await body.read()
            except S3_RETRYABLE_ERRORS:
                # botocore repeats requests, but not the reading of an answer that breaks off.
                if not left:
                    raise
        raise AssertionError("the last reading returns or raises")

    async def put(self, place: Object, content: bytes, instead: Any = ANYTHING) -> None:
        only = {"IfNoneMatch": "*"} if instead is None else {"IfMatch": instead}
        await self._call("put_object", place, Body=content, **({} if instead is ANYTHING else only))

    async def page(self, place: Object, below: bool, after: Any) -> Page:
        more = {} if below else {"Delimiter": "/"}
        more |= {} if after is None else {"ContinuationToken": after}
        bucket, prefix = place
        page = await self.fs._call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, **more)
        found = [(each["Key"][len(prefix) :], each["ETag"]) for each in page.get("Contents", ())]
        return found, page.get("NextContinuationToken")

    async def remove(self, places: list[Object]) -> None:
        if len(places) == 1:
            await self._call("delete_object", places[0])
            return
        bucket, keys = places[0].bucket, [{"Key": place.key} for place in places]
        answer = await self.fs._call_s3(
            "delete_objects", Bucket=bucket, Delete={"Objects": keys, "Quiet": True}
        )
        for failed in answer.get("Errors", ()):
            raise NamedError(f"s3://{bucket}/{failed['Key']}: {failed.get('Message', failed)}")

    def told(self, error: Exception) -> Told:
        answer = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
        if not isinstance(answer, dict):
            return super().told(error)
        what, status = answer["Error"], answer["ResponseMetadata"]["HTTPStatusCode"]
        return Told(status, what["Code"], what.get("Message", ""))


def _s3_options() -> dict[str, Any]:
    given = options_of("S3Options")
    if given is None:
        return {}
    client = {
        "region_name": given.s3_region_name,
        "api_version": given.s3_api_version,
        "verify": given.s3_verify,
    }
    found = {
        "endpoint_url": given.s3_endpoint_url,
        "key": given.s3_access_key_id,
        "secret": given.s3_secret_access_key,
        "token": given.s3_session_token,
        "use_ssl": False if given.s3_disable_ssl else None,
        "client_kwargs": {name: value for name, value in client.items() if value is not None},
    }
    return {name: value for name, value in found.items() if value or value is False}
