"""Where input files come from: which dataset, at which commit. A manifest cites it.

A download leaves that in a small file above what it fetched; paths on the hub say it themselves.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pagecast import storage
from pipeline.options import UsageError

PINNED = "pagecast-source.json"


class Source(NamedTuple):
    """A commit of a dataset, the revision that was asked for, and what was fetched of it.

    files: path in the dataset to size and SHA-256.
    """

    repo: str
    revision: str
    commit: str
    files: Mapping[str, tuple[int, str]]


def read(path: str) -> Source | None:
    """Return what such a file says, or None where there is none.

    Raises:
      UsageError: it is damaged.
    """
    if not os.path.isfile(path):
        return None
    try:
        found = json.loads(storage.read_bytes(path))
        files = {file["path"]: (file["bytes"], file["sha256"]) for file in found["files"]}
        return Source(found["repo"], found["revision"], found["commit"], files)
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} is damaged ({type(error).__name__}: {error}); remove it and give the same "
            "`download` command again"
        ) from error


def write(path: str, source: Source) -> None:
    """Write such a file, whole or not at all."""
    content = {
        **source._asdict(),
        "files": [
            {"path": name, "bytes": size, "sha256": sha256}
            for name, (size, sha256) in sorted(source.files.items())
        ],
    }
    storage.commit(path, [json.dumps(content, indent=2).encode("ascii") + b"\n"], durable=True)


def cited(files: Iterable[tuple[str, int]]) -> list[dict[str, str]]:
    """Return the datasets and commits that input files, given with their sizes, are known to be of.

    A file of another size than was fetched is somebody's own.
    """
    known: dict[str, tuple[str, Source] | None] = {}
    found = set()
    for path, size in files:
        if path.startswith("hf://"):
            from pagecast.storage.stores import hub  # the library takes a second to import

            place = hub.parse(path)
            found.add((place.repo, place.revision))
        elif storage.is_local(path) and (above := _above(os.path.dirname(path), known)):
            directory, source = above
            name = os.path.relpath(path, directory).replace(os.sep, "/")
            if source.files.get(name, (None,))[0] == size:
                found.add((source.repo, source.commit))
    return [{"repo": repo, "commit": commit} for repo, commit in sorted(found)]


def _above(
    directory: str, known: dict[str, tuple[str, Source] | None]
) -> tuple[str, Source] | None:
    """Return the nearest directory from one upwards that a download pinned, and what it says."""
    if directory not in known:
        source = read(os.path.join(directory, PINNED))
        parent = os.path.dirname(directory)
        if source is not None:
            known[directory] = directory, source
        else:
            known[directory] = None if parent == directory else _above(parent, known)
    return known[directory]


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return the datasets of which two configurations name different commits, with these."""
    commits = [
        {s["repo"]: s["commit"] for s in config.get("source", [])} for config in (before, now)
    ]
    return {
        repo: (commit, commits[1][repo])
        for repo, commit in commits[0].items()
        if commits[1].get(repo, commit) != commit
    }
