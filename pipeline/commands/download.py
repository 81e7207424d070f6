"""The command `download`: a dataset's parquet files onto a disk, checked, at one commit.

Each is fetched as `snapshot_download` does, which is not called itself: where the hub fails it
calls what is there a success, and it knows of no hash. The library writes below a directory that
nobody else may enter, and what has the right hash is moved out of it. So a stop costs the files
that were under way: as of 2.4 the library begins those again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, NamedTuple, cast

import httpx2
from huggingface_hub import hf_hub_download

from pagecast import storage
from pagecast.storage import local
from pagecast.storage.errors import StoreError
from pagecast.storage.stores import hub, hub_requests
from pagecast.storage.stores.hub import Place, RemoteFile
from pipeline.cli.asked import DownloadOptions
from pipeline.commands.catalog import find_files
from pipeline.launch import source
from pipeline.options import FINEWIKI, UsageError
from pipeline.progress.streams import tell
from pipeline.progress.terminal import ByteCount, be_quiet, one_line, readable, say

Advance = Callable[[int], None]  # told of bytes that were checked or fetched, or were in vain
DONE, FAILED = 0, 1
BEGUN = ".pagecast-download.json"  # what is being fetched, until all of it is there
STAGE = ".pagecast-download"  # where: hidden, so that no input is found in it
WAITS = (1, 2, 4, 8, 8)  # seconds before a file is begun again
PASSING = {500, 502, 503, 504}  # which the library takes for an end


class LocalFile(NamedTuple):
    """A file of the dataset, and where it is to be."""

    remote: RemoteFile
    path: str


def download(options: DownloadOptions) -> int:
    """Fetch what was asked for, and return the exit code.

    Raises:
      UsageError: wrong use; no file was fetched.
    """
    be_quiet(options.quiet)
    _check(options)
    out = os.path.abspath(options.output_dir)
    storage.protect(out)
    try:
        begun = choose_commit(out, options.repo, options.revision)
        root = Place(begun.repo, begun.commit, "")
        found = find_files(root, options.language, options.subset)
    except (FileNotFoundError, PermissionError) as error:
        raise UsageError(" ".join(str(error).split())) from error
    files = [LocalFile(file, os.path.join(out, *file.path.split("/"))) for file in found]
    if not os.path.exists(out):
        check_disk(out, files)  # before anything is made
    try:
        with _alone(out):
            fetched = fetch_all(root, files, options.workers, out, begun)
            finish(out, begun, files)
    except (OSError, StoreError) as error:
        say(f"error: {error}; files that are whole are kept, the same command goes on from there")
        return FAILED
    total = sum(file.remote.size for file in files)
    done = (
        f"{begun.repo} at {begun.commit}: {len(files)} files, {readable(total)}, "
        f"{fetched} of them fetched now, all checked; in {out}"
    )
    tell(one_line(done))
    return DONE


def _check(options: DownloadOptions) -> None:
    if options.language and options.subset:
        raise UsageError("--language names a subset already: choose it or --subset")
    if options.repo == FINEWIKI and not (options.language or options.subset):
        raise UsageError("--language is missing: which Wikipedia, e.g. --language en?")
    if options.repo != FINEWIKI and options.language:
        raise UsageError(f"--language is of {FINEWIKI}; for another --repo give --subset")
    if not storage.is_local(options.output_dir):
        raise UsageError(
            f"--output_dir {options.output_dir}: files are fetched to a disk; `run` reads "
            f"--input {hub.FORM} without that"
        )
    if os.path.exists(options.output_dir) and not os.path.isdir(options.output_dir):
        raise UsageError(f"--output_dir {options.output_dir} is a file, not a directory")
    try:
        hub.parse(f"hf://datasets/{options.repo}@{options.revision}")
    except ValueError as error:
        raise UsageError(f"--repo {options.repo} must be like {FINEWIKI}") from error


def choose_commit(out: str, repo: str, revision: str) -> source.Source:
    """Return what is fetched into a directory: one commit of one dataset, also after a stop.

    Raises:
      UsageError: there are files of another one already.
    """
    ended = source.read(os.path.join(out, source.PINNED))
    begun = source.read(os.path.join(out, BEGUN))
    for earlier in (ended, begun):
        if earlier is not None and earlier.repo != repo:
            raise UsageError(f"{out} has files of {earlier.repo}; choose another --output_dir")
    if ended is None and begun is not None and begun.revision == revision:
        return begun  # the branch may have moved since
    commit = hub.commit_of(repo, revision)
    earlier = ended or begun
    if earlier is not None and earlier.commit != commit:
        raise UsageError(
            f"{out} has files of commit {earlier.commit}, {revision} is {commit} now; choose "
            f"another --output_dir, or go on with --revision {earlier.commit}"
        )
    return source.Source(repo, revision, commit, ended.files if ended else {})


class StoppedError(Exception):
    """Somebody else's trouble, or the person, ended the work on this file."""


@contextlib.contextmanager
def _alone(out: str) -> Iterator[None]:
    """Keep other downloads out of a directory, which is made."""
    os.makedirs(out, exist_ok=True)
    opened = os.open(out, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(opened)
        raise StoreError(f"another process is fetching files into {out}") from error
    except OSError:  # a file system without locks; the hashes tell
        pass
    try:
        yield
    finally:
        os.close(opened)


def fetch_all(
    root: Place, files: Sequence[LocalFile], workers: int, out: str, begun: source.Source
) -> int:
    """Fetch the files that are not there as they should be; return how many.

    Raises:
      UsageError: they do not fit on the disk.
      OSError: the hub or the disk failed.
    """
    stop, stage = threading.Event(), os.path.join(out, STAGE)
    _clear(stage)
    there = [file for file in files if os.path.isfile(file.path)]
    whole: set[str] = set()
    with ByteCount() as count:
        advance = count.begin("checking", sum(file.remote.size for file in there))

        def check(file: LocalFile) -> None:
            if _hash(file.path, file.remote, stop, advance) == _hash_of(file.remote):
                whole.add(file.path)
            else:
                say(f"{file.path} is not as the hub has it, and is fetched again")

        _each(check, there, workers, stop)
        missing = [file for file in files if file.path not in whole]
        check_disk(out, missing)
        if not missing:
            return 0
        source.write(os.path.join(out, BEGUN), begun._replace(files={}))
        advance = count.begin("fetching", sum(file.remote.size for file in missing))
        os.mkdir(stage, 0o700)
        try:
            _each(lambda file: _fetch(root, file, stage, stop, advance), missing, workers, stop)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    return len(missing)


def _clear(stage: str) -> None:
    """Remove what a process that was killed has left."""
    if os.path.isdir(stage) and not os.path.islink(stage):
        shutil.rmtree(stage)
    elif os.path.lexists(stage):
        raise OSError(f"{stage} is in the way: it is not a directory")


def _each(
    work: Callable[[LocalFile], None],
    files: Iterable[LocalFile],
    workers: int,
    stop: threading.Event,
) -> None:
    """Do something with each file in threads; the first that fails ends all."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="download")
    try:
        for done in as_completed([pool.submit(work, file) for file in files]):
            done.result()
    except BaseException as error:
        stop.set()
        pool.shutdown(wait=isinstance(error, Exception), cancel_futures=True)  # not at Ctrl-C
        raise
    pool.shutdown()


def _fetch(
    root: Place, file: LocalFile, stage: str, stop: threading.Event, advance: Advance
) -> None:
    """Fetch a file; it appears whole and checked, or not at all."""
    name, remote = str(root._replace(path=file.remote.path)), file.remote
    staged = os.path.join(stage, *remote.path.split("/"))
    local.make_way(file.path)

    def counted(size: int) -> None:
        advance(size)
        if stop.is_set():
            raise StoppedError

    with hub_requests.naming(name), storage.naming(staged):
        for wait in (*WAITS, None):
            counter = hub_requests.Counter(name, remote.size, counted)
            try:
                hf_hub_download(
                    root.repo, remote.path, repo_type="dataset", revision=root.revision,
                    local_dir=stage, endpoint=hub_requests.endpoint(),
                    tqdm_class=cast(Any, counter),
                )  # fmt: skip
                break
            except httpx2.HTTPError as error:
                advance(-counter.came)
                if wait is None or hub_requests.status_of(error) not in PASSING:
                    raise
                if stop.wait(wait):
                    raise StoppedError from error
    if (got := _hash(staged, remote, stop)) != _hash_of(remote):
        raise StoreError(
            f"{name}: what the hub sends has the hash {got}, it should be {_hash_of(remote)}; "
            "a proxy may have changed it"
        )
    local.replace(staged, file.path)


def _hash(
    path: str, file: RemoteFile, stop: threading.Event, advance: Advance = lambda _: None
) -> str:
    """Return a local file's hash as the hub has it: of small files that is git's alone."""
    digest: Any = hashlib.sha256()
    if not file.sha256:
        size = os.path.getsize(path)
        digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    for piece in storage.read_pieces(path):
        if stop.is_set():
            raise StoppedError
        digest.update(piece)
        advance(len(piece))
    return str(digest.hexdigest())


def _hash_of(file: RemoteFile) -> str:
    return file.sha256 or file.blob


def check_disk(out: str, missing: Sequence[LocalFile]) -> None:
    """Make sure that what is missing fits on the disk.

    Raises:
      UsageError: it does not.
    """
    needed = sum(file.remote.size for file in missing)
    place = out
    while not os.path.exists(place):
        place = os.path.dirname(place)
    free = shutil.disk_usage(place).free
    if needed > free:
        raise UsageError(
            f"--output_dir {out}: {readable(needed)} are to be fetched, {readable(free)} are free"
        )


def finish(out: str, begun: source.Source, files: Sequence[LocalFile]) -> None:
    """Write down what is there: the last thing of all."""
    fetched = {
        file.remote.path: (file.remote.size, file.remote.sha256 or storage.sha256_of(file.path))
        for file in files
    }
    source.write(os.path.join(out, source.PINNED), begun._replace(files={**begun.files, **fetched}))
    storage.remove([os.path.join(out, BEGUN)])
