"""One run at a time in an output directory."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psutil

from pagecast import storage
from pagecast.dataset.layout import LOCK
from pagecast.storage import local
from pagecast.storage.errors import StoreError
from pipeline.options import UsageError

MOST_LOOKS = 20  # at the lock of a store, while it is another's each time
CLOCK_SECONDS = 2.0  # by which two readings of a process's start may differ


@contextmanager
def hold(output_dir: str, force: bool = False) -> Iterator[None]:
    """Keep other runs out of an output directory.

    On a mounted file system the kernel holds the lock and lets it go with the process, however that
    ends. The file says whose it is; where that is another machine, whose kernel may not share locks
    with this one's, its word is enough. An object store has no locks: there it is the file alone,
    which a store that knows conditions lets only one of them write.

    Args:
      force: take the lock even though its owner may live.

    Raises:
      UsageError: another run holds it, or may.
    """
    path = storage.private(output_dir, LOCK)
    mine = json.dumps(_myself()).encode() + b"\n"
    if not storage.is_local(output_dir):
        _take(path, mine, output_dir, force)
        try:
            yield
        finally:
            with contextlib.suppress(OSError, StoreError):  # the store may be what ends the run
                storage.remove([path])
        return
    with _open(path, output_dir) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except BlockingIOError:
            free = False
        except OSError:  # a file system without locks
            free = True
        file.seek(0)
        owner = _read(file.read(4096))
        _refuse(owner if free else owner or {}, output_dir, force, gone=free and _is_gone(owner))
        with storage.naming(path):
            file.truncate(0)
            file.seek(0)
            file.write(mine)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                file.truncate(0)


def _take(path: str, mine: bytes, output_dir: str, force: bool) -> None:
    """Write the lock of a store in place of the one that was looked at, and of no other."""
    for _ in range(MOST_LOOKS):
        version = storage.version_of(path)
        try:
            held = b"" if version is None else storage.read_bytes(path)
        except FileNotFoundError:  # let go since
            continue
        if held == mine:  # written, but the answer was lost and the request repeated
            return
        owner = _read(held)
        _refuse(owner, output_dir, force, gone=_is_gone(owner))
        try:
            storage.put_instead(path, mine, version)
            return
        except FileExistsError:
            continue
    raise StoreError(f"{path}: whoever holds the lock of {output_dir} changes at every look")


def owner_of(output_dir: str) -> str | None:
    """Return who is at work in an output directory, as far as can be told without a trace."""
    path = storage.private(output_dir, LOCK)
    try:
        owner = _read(storage.read_bytes(path)) if storage.exists(path) else None
    except OSError:  # nobody's lock
        return None
    return None if owner is None or _is_gone(owner) else _name(owner)


def _open(path: str, output_dir: str) -> io.FileIO:
    try:
        return local.open_kept(path)
    except OSError as error:
        raise UsageError(f"--output_dir {output_dir} cannot be made: {error}") from error


def _myself() -> dict[str, Any]:
    started = psutil.Process().create_time()
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": started,
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _read(content: bytes) -> dict[str, Any] | None:
    """Return the owner that a lock file names; none where it is empty, {} where it is damaged."""
    if not content.strip():
        return None
    try:
        owner = json.loads(content)
        return owner if isinstance(owner, dict) else {}
    except ValueError:
        return {}


def _is_gone(owner: dict[str, Any] | None) -> bool:
    """Tell whether the owner is known to live no more: a process of this machine that is not there.

    A damaged file was cut short by the end of its writer, since the kernel's lock is free.
    """
    if not owner:
        return True
    if owner.get("host") != socket.gethostname():
        return False
    if owner.get("pid") == os.getpid():
        return True  # an earlier run of this process; the kernel has let go of its lock
    try:
        process = psutil.Process(owner["pid"])
        return abs(process.create_time() - owner["started"]) > CLOCK_SECONDS
    except (psutil.NoSuchProcess, KeyError, TypeError, ValueError):
        return True
    except psutil.Error:
        return False


def _refuse(owner: dict[str, Any] | None, output_dir: str, force: bool, gone: bool) -> None:
    if owner is None or gone or force:
        return
    who = _name(owner)
    raise UsageError(
        f"{output_dir} is in use by {who}, since {owner.get('since', 'an unknown time')}; wait "
        "until that run has ended, or if you are sure that it has, add --force_unlock"
    )


def _name(owner: dict[str, Any]) -> str:
    return f"process {owner.get('pid', '?')} on {owner.get('host', 'an unknown machine')}"
