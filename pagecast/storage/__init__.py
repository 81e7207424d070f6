"""Files of the job, on a mounted file system or in an object store.

Whatever is committed here appears whole or not at all: on a file system by writing a temporary
name and renaming it, in an object store because an object is visible only when it is complete.
What serves the stores is imported only where it is needed: a training loader that reads pages from
a disk can do without fsspec.
"""

from __future__ import annotations

from pagecast.storage.ahead import in_order
from pagecast.storage.paths import PRIVATE, TEMPORARY, UNCOMMITTED, is_local, join, private
from pagecast.storage.read import (
    RangeReader,
    exists,
    files_below,
    files_in,
    open_ranges,
    open_read,
    pinned,
    read_bytes,
    read_each,
    read_pieces,
    read_ranges,
    sha256_of,
    size_of,
    version_of,
    versions_in,
)
from pagecast.storage.write import (
    Uploads,
    Writer,
    WrittenFile,
    commit,
    commit_hashed,
    flush,
    naming,
    open_write,
    protect,
    put_instead,
    remove,
    write_in_place,
)

__all__ = [
    "PRIVATE",
    "TEMPORARY",
    "UNCOMMITTED",
    "RangeReader",
    "Uploads",
    "Writer",
    "WrittenFile",
    "commit",
    "commit_hashed",
    "exists",
    "files_below",
    "files_in",
    "flush",
    "in_order",
    "is_local",
    "join",
    "naming",
    "open_ranges",
    "open_read",
    "open_write",
    "pinned",
    "private",
    "protect",
    "put_instead",
    "read_bytes",
    "read_each",
    "read_pieces",
    "read_ranges",
    "remove",
    "sha256_of",
    "size_of",
    "version_of",
    "versions_in",
    "write_in_place",
]  # fmt: skip
