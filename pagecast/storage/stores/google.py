"""Google Cloud Storage, by gcsfs."""

from __future__ import annotations

import logging
import os
from collections.abc import Hashable
from http import HTTPStatus
from typing import IO, Any

import fsspec

from pagecast.storage.errors import AccessDeniedError
from pagecast.storage.stores.settings import options_of
from pagecast.storage.stores.store import ANYTHING, BINARY, PART_BYTES, Object, Page, Store, Told

MOST_SENDINGS = 3


class Google(Store):
    """Google Cloud Storage, asked by HTTP."""

    def denied(self, path: str, why: str) -> Exception:
        return AccessDeniedError(f"{path}: access denied ({why})")

    @classmethod
    def open(cls, path: str) -> Store:
        import aiohttp
        from gcsfs.core import GCSFileSystem  # not the class that asks by gRPC

        logging.getLogger("gcsfs").setLevel(logging.CRITICAL)  # what it logs it raises too
        fs = GCSFileSystem(
            **_google_options(),
            # Raw: as it is stored, even where aiohttp would decompress it.
            session_kwargs={"auto_decompress": False, "headers": {"Accept-Encoding": "identity"}},
            requests_timeout=aiohttp.ClientTimeout(sock_connect=10, sock_read=30),
            use_listings_cache=False,
            skip_instance_cache=True,
        )
        return cls(fs)

    async def stat(self, place: Object) -> tuple[int, Hashable]:
        only = "size,generation"
        found = await self.fs._call("GET", "b/{}/o/{}", *place, fields=only, json_out=True)
        return int(found["size"]), found["generation"]

    async def get(self, place: Object, first: int, last: int | None) -> bytes:
        wanted = f"bytes={first}-{'' if last is None else last}"
        address = f"{self.fs._location}/download/storage/v1/b/{{}}/o/{{}}"
        raw = {"Range": wanted, "Accept-Encoding": "gzip"}  # even where the store would decompress
        _, content = await self.fs._call("GET", address, *place, alt="media", headers=raw)
        return content

    async def put(self, place: Object, content: bytes, instead: Any = ANYTHING) -> None:
        only = {} if instead is ANYTHING else {"ifGenerationMatch": instead or "0"}
        await self.fs._call(
            "POST",
            f"{self.fs._location}/upload/storage/v1/b/{{}}/o",
            place.bucket,
            uploadType="media",
            name=place.key,
            headers={"Content-Type": BINARY},
            data=content,
            **only,
        )

    async def send(self, place: Object, content: IO[bytes], size: int) -> None:
        from gcsfs.core import initiate_upload, upload_chunk

        for left in reversed(range(MOST_SENDINGS)):
            content.seek(0)
            try:
                session = await initiate_upload(self.fs, *place, BINARY)
                for offset in range(0, size, PART_BYTES):
                    part = content.read(PART_BYTES)
                    await upload_chunk(self.fs, session, part, offset, size, BINARY)
                return
            except Exception as error:
                # Where the store has lost what it had of it, all must be sent again.
                if not left or self.told(error).status in (0, HTTPStatus.FORBIDDEN):
                    raise

    async def page(self, place: Object, below: bool, after: Any) -> Page:
        page = await self.fs._call(
            "GET",
            "b/{}/o",
            place.bucket,
            prefix=place.key,
            delimiter=None if below else "/",
            pageToken=after,
            fields="items(name,generation),nextPageToken",
            json_out=True,
        )
        skip = len(place.key)
        found = [(each["name"][skip:], each["generation"]) for each in page.get("items", ())]
        return found, page.get("nextPageToken")

    async def remove(self, places: list[Object]) -> None:
        # Not by batches: those keep to themselves which of them failed and why.
        await self.fs._call("DELETE", "b/{}/o/{}", *places[0])

    def told(self, error: Exception) -> Told:
        what, _, reason = str(error).partition("\n")
        if isinstance(error, FileNotFoundError):  # says the address
            return Told(404, "NoSuchBucket" if what.endswith("/o") else "", what)
        for status, begins in (403, "Forbidden: "), (400, "Bad Request: "):
            if what.startswith(begins):
                return Told(status, str(status), reason)
        code = getattr(error, "code", None)
        if not isinstance(code, int):
            hint = "Give credentials, or --no_auth for a public bucket."
            lacking = type(error).__name__ == "DefaultCredentialsError"
            return super().told(OSError(f"{error} {hint}") if lacking else error)
        reason = str(error).removesuffix(f", {code}")
        if not reason or "<" in reason:
            reason = HTTPStatus(code).phrase
        return Told(code, str(code), reason)


def _google_options() -> dict[str, Any]:
    given = options_of("GoogleCloudOptions")
    if given is not None and given.no_auth:
        return {"token": "anon"}
    if given is None or not given.impersonate_service_account:
        if fsspec.config.conf.get("gs"):
            return {}
        # Left alone it would go on as nobody, and be refused for that.
        emulated = os.environ.get("STORAGE_EMULATOR_HOST")
        return {"token": "anon" if emulated else "google_default"}
    import google.auth
    from google.auth import impersonated_credentials

    *delegates, principal = given.impersonate_service_account.split(",")
    source, _ = google.auth.default(scopes=given.gcp_oauth_scopes)
    token = impersonated_credentials.Credentials(
        source_credentials=source,
        target_principal=principal,
        delegates=delegates,
        target_scopes=given.gcp_oauth_scopes,
    )
    return {"token": token}
