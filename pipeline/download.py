"""The command `download`: a dataset's parquet files onto a disk, checked, at one commit."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import NamedTuple

from pipeline import source
from pipeline.catalog import find_files
from pipeline.fetch import StoppedError, bytes_there, fetch, is_whole
from pipeline.options import FINEWIKI, DownloadOptions, UsageError
from pipeline.progress import ByteCount, be_quiet, one_line, readable, say
from pipeline.streams import tell
from transforms import hub, storage
from transforms.hub import Place, RemoteFile

DONE, FAILED = 0, 1
BEGUN = ".pagecast-download.json"  # what is being fetched, until all of it is there


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
    try:
        fetched = fetch_all(root, files, options.workers, out, begun)
        finish(out, begun, files)
    except OSError as error:
        say(f"error: {error}; what was fetched is kept, and the same command goes on from there")
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


def fetch_all(
    root: Place, files: Sequence[LocalFile], workers: int, out: str, begun: source.Source
) -> int:
    """Fetch the files that are not there as they should be; return how many.

    Raises:
      UsageError: they do not fit on the disk.
      OSError: the hub or the disk failed.
    """
    stop = threading.Event()
    there = [file for file in files if os.path.isfile(file.path)]
    whole: set[str] = set()
    with ByteCount() as count:
        advance = count.begin("checking", sum(file.remote.size for file in there))

        def check(file: LocalFile) -> None:
            if is_whole(file.path, file.remote, stop, advance):
                whole.add(file.path)
            else:
                say(f"{file.path} is not as the hub has it, and is fetched again")

        _each(check, there, workers, stop)
        missing = [file for file in files if file.path not in whole]
        check_disk(out, missing)
        if missing:
            source.write(os.path.join(out, BEGUN), begun._replace(files={}))
        advance = count.begin("fetching", sum(file.remote.size for file in missing))

        def get(file: LocalFile) -> None:
            path = str(root._replace(path=file.remote.path))
            fetch(path, file.remote, file.path, stop, advance)

        _each(get, missing, workers, stop)
    return len(missing)


def _each(
    work: Callable[[LocalFile], None],
    files: Iterable[LocalFile],
    workers: int,
    stop: threading.Event,
) -> None:
    """Do something with each file in threads; the first that fails ends all."""

    def attempt(file: LocalFile) -> None:
        if stop.is_set():
            raise StoppedError
        try:
            work(file)
        except BaseException:
            stop.set()
            raise

    pool = ThreadPoolExecutor(workers, thread_name_prefix="download")
    futures = [pool.submit(attempt, file) for file in files]
    try:
        wait(futures)
    except BaseException:  # Ctrl-C
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
    for error in filter(None, (future.exception() for future in futures)):
        if not isinstance(error, StoppedError):
            raise error


def check_disk(out: str, missing: Sequence[LocalFile]) -> None:
    """Make sure that what is missing fits on the disk.

    Raises:
      UsageError: it does not.
    """
    needed = sum(file.remote.size - bytes_there(file.path) for file in missing)
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
