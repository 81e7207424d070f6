"""Files of a mounted file system: regular ones only, and never written through a link.

What lies in a directory may have been put there by others: a link that leads elsewhere, a second
name of somebody's file, a pipe that nobody writes to.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from io import FileIO
from typing import BinaryIO

from pagecast.storage.errors import IrregularFileError, LinkError

# Without it the open of a pipe waits for its other end.
_AT_ONCE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_protected: set[str] = set()  # directories below which no link is followed to write or remove


def path_of(url: str) -> str:
    """Return the path in a `file://` URL as fsspec has them; anything else is one already."""
    return re.sub(r"^(file|local)://", "", url, count=1, flags=re.IGNORECASE)


def protect(top: str) -> None:
    """Let this process write and remove nothing below a directory through a linked one.

    `top` itself and what is above may be links.
    """
    _protected.add(top)


def open_read(path: str) -> BinaryIO:
    """Open a regular file.

    Raises:
      OSError: it is none, or cannot be opened.
    """
    return open(path, "rb", opener=_open_regular)


def _open_regular(path: str, flags: int) -> int:
    try:
        opened = os.open(path, flags | _AT_ONCE)
    except OSError:
        _require_regular(path)  # a socket cannot be opened at all, which explains little
        raise
    if _is_irregular(os.fstat(opened).st_mode):
        os.close(opened)
        raise _irregular(path)
    return opened


def open_new(path: str) -> BinaryIO:
    """Open a new file for writing; what has its name gives way, and what that leads to stays.

    Directories that it needs are made.

    Raises:
      IrregularFileError: it is a pipe, a socket or a device, which nobody of us has put there.
      LinkError: it is below a link that is not to be followed.
      OSError: it cannot be made.
    """
    make_way(path)
    try:
        return open(path, "xb")
    except FileExistsError:
        _require_regular(path, follow=False)
        os.unlink(path)
        return open(path, "xb")


def make_way(path: str) -> None:
    """Make the directories that a file needs.

    Raises:
      LinkError: it is below a link that is not to be followed.
    """
    _require_own_directories(path)
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)


def replace(written: str, path: str) -> None:
    """Give a file that is written its name; what has that name gives way.

    Raises:
      OSError: as for `open_new`, or `path` is a directory.
    """
    _require_own_directories(path)
    _require_regular(path, follow=False)
    os.replace(written, path)


def remove(path: str) -> None:
    """Remove a file, or a link to one; it may be gone already.

    Raises:
      OSError: it is below a link that is not to be followed, or cannot be removed.
    """
    _require_own_directories(path)
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.remove(path)


def link(path: str, target: str) -> None:
    """Make a link to a directory, unless it is there.

    Raises:
      FileExistsError: something else is there.
      OSError: as for `open_new`, or the file system has no links.
    """
    make_way(path)
    try:
        os.symlink(target, path)
    except FileExistsError:
        if not os.path.islink(path) or os.readlink(path) != target:
            raise


def open_kept(path: str) -> FileIO:
    """Open a file to read and to write in place, made with its directories if it is not there.

    Raises:
      OSError: it is a link, or somebody else's file too, or no regular one.
    """
    make_way(path)
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        status = None
    if status is not None:
        if stat.S_ISLNK(status.st_mode):
            raise OSError(f"{path} is a link: what it leads to is not written; remove the link")
        _require_regular(path)
        if status.st_nlink > 1 and stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is another file's second name (a hard link): remove it")
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | _AT_ONCE
    return FileIO(os.open(path, flags, 0o666), "r+")


def misplaced(top: str, below: Sequence[str]) -> Iterator[str]:
    """Yield what is neither a file nor a directory of its own: links to directories, pipes.

    A link to a file is fine: it is replaced when that file is written.

    Args:
      below: directories in `top` that are looked into as well.
    """
    for directory in (top, *(os.path.join(top, name) for name in below)):
        if directory != top and os.path.islink(directory):
            continue  # found in `top`
        missing = contextlib.suppress(FileNotFoundError, NotADirectoryError)
        with missing, os.scandir(directory) as entries:
            for entry in entries:
                if not entry.is_file() and not entry.is_dir(follow_symlinks=False):
                    yield entry.path


def _require_own_directories(path: str) -> None:
    directory, below = os.path.dirname(path), []
    while directory not in _protected:
        below.append(directory)
        if directory == (directory := os.path.dirname(directory)):
            return
    for own in below:
        if os.path.islink(own):
            raise LinkError(
                f"{own} is a link: nothing is written or removed through it; put a directory "
                "in its place"
            )


def _is_irregular(mode: int) -> bool:
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))


def _require_regular(path: str, follow: bool = True) -> None:
    try:
        mode = os.stat(path, follow_symlinks=follow).st_mode
    except OSError:
        return
    if _is_irregular(mode):
        raise _irregular(path)


def _irregular(path: str) -> IrregularFileError:
    return IrregularFileError(f"{path} is a pipe, a socket or a device, not a regular file")
