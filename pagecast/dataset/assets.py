"""Reading the tokenizer and the fonts of a job: each is named by the hash of its content."""

from __future__ import annotations

import hashlib

from pagecast import storage


class DamagedAssetError(OSError):
    """An asset is not what its name says; pages or tokens made with it would be wrong."""


def read_asset(path: str) -> bytes:
    """Return the content of an asset, `{SHA-256}.json` or `{SHA-256}.ttf`.

    Raises:
      DamagedAssetError: it has another hash than its name.
      OSError: it cannot be read.
    """
    content = storage.read_bytes(path)
    if hashlib.sha256(content).hexdigest() != path.rsplit("/", 1)[-1].split(".", maxsplit=1)[0]:
        raise DamagedAssetError(
            f"{path} is damaged: its SHA-256 is not its name; the same `run` command writes it "
            "again, and `pagecast verify --redraw` finds pages that were drawn with it"
        )
    return content
