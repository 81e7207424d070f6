"""What is free on the disk of a directory, which need not be there yet."""

from __future__ import annotations

import os
from typing import NamedTuple

UNKNOWN_BLOCK = 4096  # bytes; of most file systems


class Disk(NamedTuple):
    """What may still be written: bytes and files, None where there is no such limit; its block.

    path: a directory on it.
    """

    path: str
    free: int | None
    free_files: int | None
    block: int


def disk_of(directory: str) -> Disk | None:
    """Return the disk that a directory is or will be on, or None where that cannot be known."""
    path = os.path.abspath(directory)
    while not os.path.isdir(path):
        if path == (above := os.path.dirname(path)):
            return None
        path = above
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    block = found.f_frsize or found.f_bsize or UNKNOWN_BLOCK
    return Disk(
        path,
        # Some network and virtual file systems say that they have nothing, at all.
        found.f_bavail * block if found.f_blocks else None,
        found.f_favail if found.f_files else None,
        block,
    )


def used_by(directory: str, block: int) -> tuple[int, int]:
    """Return how many bytes on the disk and how many files lie below a directory."""
    size = number = 0
    for above, _, names in os.walk(directory):
        for name in names:
            try:
                length = os.stat(os.path.join(above, name), follow_symlinks=False).st_size
            except OSError:  # it has just gone
                continue
            size += length + -length % block
            number += 1
    return size, number
