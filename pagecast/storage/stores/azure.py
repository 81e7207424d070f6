"""Azure Blob Storage, by adlfs."""

from __future__ import annotations

from collections.abc import Hashable
from typing import IO, Any

from pagecast.storage.errors import AccessDeniedError
from pagecast.storage.stores.store import ANYTHING, Object, Page, Store, Told, split_url


class Azure(Store):
    """Azure Blob Storage; `place` is a container and a blob."""

    def denied(self, path: str, why: str) -> Exception:
        return AccessDeniedError(f"{path}: access denied ({why})")

    @classmethod
    def open(cls, path: str) -> Store:
        from adlfs import AzureBlobFileSystem

        account, host = {}, split_url(path)[1].partition("@")[2]
        if host:
            account["account_name"] = host.partition(".")[0]
            account["account_host"] = host.replace(".dfs.", ".blob.", 1)
        fs = AzureBlobFileSystem(**account, use_listings_cache=False, skip_instance_cache=True)
        return cls(fs)

    def _blob(self, place: Object) -> Any:
        return self.fs.service_client.get_blob_client(*place)

    async def stat(self, place: Object) -> tuple[int, Hashable]:
        found = await self._blob(place).get_blob_properties()
        return found.size, found.etag.strip('"')

    async def get(self, place: Object, first: int, last: int | None) -> bytes:
        length = None if last is None else last - first + 1
        answer = await self._blob(place).download_blob(first, length, decompress=False)
        return await answer.readall()

    async def put(self, place: Object, content: bytes, instead: Any = ANYTHING) -> None:
        from azure.core import MatchConditions

        only = {"etag": f'"{instead}"', "match_condition": MatchConditions.IfNotModified}
        more = {} if instead in (None, ANYTHING) else only
        await self._blob(place).upload_blob(content, overwrite=instead is not None, **more)

    async def send(self, place: Object, content: IO[bytes], size: int) -> None:
        await self._blob(place).upload_blob(content, length=size, overwrite=True)

    async def page(self, place: Object, below: bool, after: Any) -> Page:
        container = self.fs.service_client.get_container_client(place.bucket)
        walk = container.list_blobs if below else container.walk_blobs
        pages = walk(place.key, include=["metadata"]).by_page(after)
        found = [each async for each in await anext(pages) if not _is_directory(each)]
        return [
            (each.name[len(place.key) :], each.etag) for each in found
        ], pages.continuation_token

    async def remove(self, places: list[Object]) -> None:
        await self._blob(places[0]).delete_blob()

    def told(self, error: Exception) -> Told:
        status = getattr(error, "status_code", None)
        if status is None:
            return super().told(error)
        text = (getattr(error, "message", "") or str(error)).partition("\n")[0]
        return Told(status, str(getattr(error, "error_code", None) or status), text)


def _is_directory(blob: Any) -> bool:
    told = blob.get("metadata") or {}
    return not blob.get("etag") or "true" in (told.get("hdi_isfolder"), told.get("is_directory"))
