"""Which files of a dataset on the hub a person means, and what there is instead."""

from __future__ import annotations

import difflib

from pagecast.storage.stores import hub
from pagecast.storage.stores.hub import Place, RemoteFile
from pipeline.options import UsageError

MOST_NEAR = 5


def find_files(root: Place, language: str | None, subset: str | None) -> list[RemoteFile]:
    """Return the parquet files of a language or a subset, or of the whole dataset.

    Raises:
      UsageError: there are none; the text has near names.
    """
    name = subset or (language and f"{language.replace('-', '_')}wiki")
    for directory in [f"data/{name}", name] if name else [""]:
        try:
            entries = list(hub.entries(root._replace(path=directory), below=True))
        except FileNotFoundError:
            continue
        files = [f for f in entries if isinstance(f, RemoteFile) and f.path.endswith(".parquet")]
        if files and all(".." not in file.path.split("/") for file in files):
            return sorted(files)
    if not name:
        raise UsageError(f"{root.repo} has no parquet files at {root.revision}")
    raise UsageError(_unknown(root, name, language))


def _unknown(root: Place, name: str, language: str | None) -> str:
    """Say that there is no such language or subset, and what is like it."""
    names = set()
    for directory in ("data", ""):
        try:
            entries = list(hub.entries(root._replace(path=directory), below=False))
        except FileNotFoundError:
            continue
        names |= {entry.rpartition("/")[2] for entry in entries if isinstance(entry, str)}
    near = difflib.get_close_matches(name, sorted(names), MOST_NEAR, 0.5) or sorted(names)
    asked = f"--subset {name}"
    if language:
        near = [n.removesuffix("wiki") for n in near if n.endswith("wiki")]
        asked = f"--language {language}"
    some = ", ".join(near[:MOST_NEAR]) or "none"
    return f"{asked}: {root.repo} has nothing by that name at {root.revision}; the nearest: {some}"
