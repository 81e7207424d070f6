"""Paths of files: on a mounted file system, or URLs of objects in a store."""

from __future__ import annotations

import os
import re

PRIVATE = "_pagecast"  # the directory below an output directory that only Pagecast reads


TEMPORARY = ".pagecast-tmp-"  # in the name of every file that is not committed yet


UNCOMMITTED = re.compile(rf".+{re.escape(TEMPORARY)}[0-9a-f]{{32}}")  # such a name


SCHEME = re.compile(r"[a-zA-Z][-a-zA-Z0-9+.]*://")


def is_local(path: str) -> bool:
    """Tell whether the path is on a mounted file system, not in an object store."""
    return SCHEME.match(path) is None


def join(base: str, *names: str) -> str:
    """Join path components below `base`, which may be a path or an object-store URL."""
    if is_local(base):
        return os.path.join(base, *names)
    return "/".join([base.rstrip("/"), *names])


def private(output_dir: str, *names: str) -> str:
    """Return the path of one of the job's own files."""
    return join(output_dir, PRIVATE, *names)
