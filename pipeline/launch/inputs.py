"""Planning at launch: which files, which rows, which shards.

Of parquet only the footers are read. JSON lines have none, so such a file is read once.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from apache_beam.io.filesystem import FileSystem

from pagecast import storage
from pagecast.dataset.shard import Failure, Shard
from pagecast.storage.errors import AccessDeniedError
from pagecast.tokens.tokenizer import ArticleTokenizer
from pipeline.launch import footers
from pipeline.options import UsageError
from pipeline.progress.terminal import say
from transforms.read import footer
from transforms.read.limits import MAX_SHARD_ROWS
from transforms.read.shards import MAX_SHARDS_PER_GROUP, cut_row_group
from transforms.read.tokenized import SUFFIX as TOKENIZED
from transforms.read.tokenized import bounded_lines, check_tokens, parse_article, read_lines
from transforms.redact import redact

CHECKED_LINES = 64  # about how many articles of a tokenized file are checked before a job
Parse = Callable[[bytes, int], footers.Layout]


class InputFile(NamedTuple):
    """An input file: its size in bytes, the rows of each row group, and why it is unusable.

    A file of JSON lines is taken for one of small groups; `offsets` says where each begins. text:
    bytes of the articles' text in each row group (fewer where texts repeat). footer_sha256: of the
    footer, or of all lines.
    """

    path: str
    size: int
    groups: tuple[int, ...]
    fault: str | None = None
    offsets: tuple[int, ...] = ()
    text: tuple[int, ...] = ()
    footer_sha256: str | None = None

    @property
    def rows(self) -> int:
        """Rows of the file, 0 where its footer is unreadable."""
        return sum(self.groups)


def find_files(inputs: Sequence[str]) -> list[str]:
    """Return the files that paths, globs and directories name, each once, sorted by path.

    Directories are searched for parquet files. Of the hub they come with the commit they are of.

    Raises:
      UsageError: one of them names nothing.
    """
    found: set[str] = set()
    for given in inputs:
        matches = _local_files(given) if storage.is_local(given) else _remote_files(given)
        if not matches:
            raise UsageError(f"--input {given}: no parquet file there; {_why_none(given)}")
        found.update(matches)
    return _each_once(sorted(found))


def _each_once(paths: Sequence[str]) -> list[str]:
    """Leave out the files that are there under another name already, and say so."""
    names: dict[tuple[int, int], str] = {}
    once = []
    for path in paths:
        try:
            status = os.stat(path) if storage.is_local(path) else None
        except OSError:  # it is to fail by name when it is read
            status = None
        first = path if status is None else names.setdefault((status.st_dev, status.st_ino), path)
        if first == path:
            once.append(path)
        else:
            say(f"warning: {path} is the same file as {first}: it is used once")
    return once


def read_footer(path: str, parse: Parse = footers.parse) -> InputFile:
    """Read the footer of one file; an unreadable one becomes a file with a fault."""
    try:
        with storage.open_read(path) as file:
            size, content = footer.fetch(file)
    except OSError as error:
        return InputFile(path, 0, (), " ".join(str(error).split()))
    layout = parse(content, size)
    if not layout.groups and layout.fault:
        size = 0
    digest = hashlib.sha256(content).hexdigest()
    return InputFile(path, size, layout.groups, layout.fault, (), layout.text, digest)


def read_layouts(paths: Iterable[str], shard_rows: int) -> list[InputFile]:
    """Read how the rows of files lie, footers in a process that may die."""
    with footers.Reader() as reader:
        return [read_layout(path, shard_rows, reader.parse) for path in paths]


def read_layout(path: str, shard_rows: int, parse: Parse = footers.parse) -> InputFile:
    """Read how the rows of a file lie, of parquet from its footer, else from all its lines."""
    if storage.is_local(path) and not os.path.isfile(path) and os.path.lexists(path):
        return InputFile(path, 0, (), _why_none(path))  # a pipe would never end
    return index_lines(path, shard_rows) if path.endswith(TOKENIZED) else read_footer(path, parse)


def index_lines(path: str, group_rows: int) -> InputFile:
    """Find groups of at most `group_rows` lines in a file of tokenized articles."""
    groups, offsets = [], []
    offset = 0
    digest = hashlib.sha256()
    try:
        with storage.open_read(path) as file:
            for number, line in enumerate(bounded_lines(file)):
                if number % group_rows == 0:
                    groups.append(0)
                    offsets.append(offset)
                groups[-1] += 1
                offset += len(line)
                digest.update(line)
    except OSError as error:
        return InputFile(path, 0, (), " ".join(str(error).split()))
    return InputFile(path, offset, tuple(groups), None, tuple(offsets), (), digest.hexdigest())


def check_tokenized(files: Iterable[InputFile], tokenizer: bytes) -> None:
    """Check a sample of the articles that come with tokens against the tokenizer.

    Raises:
      UsageError: an article's tokens do not decode to its text.
    """
    encoder: ArticleTokenizer | None = None
    for file in files:
        for number, line in sample_lines(file):
            where = f"--input {file.path}, line {number + 1}"
            try:
                article = parse_article(line, number, f"line {number + 1}")
            except ValueError as error:
                raise UsageError(f"{where}: {error}; it must be as --filtered writes it") from error
            encoder = encoder or ArticleTokenizer(tokenizer)
            if article and (fault := check_tokens(article, encoder)):
                raise UsageError(
                    f"{where}: {fault}; give the --tokenizer that made the tokens, or start from "
                    "the parquet files"
                )


def sample_lines(file: InputFile) -> Iterator[tuple[int, bytes]]:
    """Yield some lines of a file of JSON lines and their numbers, evenly spread, the first too."""
    step = max(1, file.rows // CHECKED_LINES)
    first = 0
    for rows, offset in zip(file.groups, file.offsets, strict=False):
        wanted = set(range(-first % step, rows, step))
        if wanted:
            lines = read_lines(Shard(0, file.path, 0, 0, max(wanted) + 1, first, offset))
            yield from ((first + n, line) for n, line in enumerate(lines) if n in wanted)
        first += rows


def plan_shards(
    files: Iterable[InputFile], shard_rows: int, num_articles: int | None
) -> Iterator[Shard | Failure]:
    """Yield the shards of the first `num_articles` rows, and the files that cannot be used.

    The rows of a file whose footer reads but whose columns are wrong keep their positions.
    """
    number, first_row = 0, 0
    for file in files:
        if num_articles is not None and first_row >= num_articles:
            return
        if file.fault:
            yield Failure(file.path, "the whole file", redact(file.fault))
            first_row += file.rows
            continue
        for group, rows in enumerate(file.groups):
            offset = file.offsets[group] if file.offsets else None
            digest = file.footer_sha256 if offset is None else None
            text = file.text[group] if file.text else 0
            for start, count in cut_row_group(rows, shard_rows, text):
                position = first_row + start
                wanted = count if num_articles is None else min(count, num_articles - position)
                if wanted > 0:
                    yield Shard(number, file.path, group, start, wanted, position, offset, digest)
                    number += 1
            first_row += rows


def coarse_groups(files: Iterable[InputFile], shard_rows: int) -> list[str]:
    """Return warnings about files whose row groups are too large to be cut as finely as asked."""
    warnings = []
    for file in files:
        largest = max(file.groups, default=0)
        if largest > shard_rows * MAX_SHARDS_PER_GROUP:
            rows = cut_row_group(largest, shard_rows)[0][1]
            warnings.append(
                f"{file.path} has a row group of {largest} rows: its shards hold {rows} rows, "
                f"not {shard_rows}, and each decodes the group from its start; "
                "smaller row groups read faster"
            )
    return warnings


def repeated_fetches(files: Iterable[InputFile], shard_rows: int) -> list[str]:
    """Return a warning where row groups on the hub are fetched once for each of several shards."""
    remote = (file for file in files if file.path.startswith("hf://"))
    largest = max((rows for file in remote for rows in file.groups), default=0)
    if largest <= shard_rows or largest > MAX_SHARD_ROWS:
        return []
    return [
        f"a row group of {largest} rows on the hub may be fetched for each of its "
        f"{len(cut_row_group(largest, shard_rows))} shards; --shard_rows {largest} fetches it once"
    ]


def relative_names(files: Sequence[InputFile]) -> list[str]:
    """Return the files' paths below their common directory, the same wherever the input lies."""
    # A store is taken for a directory of the root, since the input may lie in several places.
    paths = [f.path if storage.is_local(f.path) else f"/{f.path}" for f in files]
    common = os.path.commonpath(map(os.path.dirname, paths)) if paths else ""
    return [os.path.relpath(path, common) for path in paths]


def _why_none(given: str) -> str:
    """Say why there is no file of a name."""
    if os.path.islink(given) and not os.path.exists(given):
        return f"it is a link to {os.readlink(given)}, which is not there"
    if os.path.exists(given) and not os.path.isdir(given):
        return "it is a pipe, a socket or a device, not a regular file"
    return "check the path or the glob"


def _local_files(given: str) -> list[str]:
    path = os.path.abspath(given)
    if os.path.isfile(path):
        return [path]
    if os.path.isdir(path):
        return _files_below(path)
    if not glob.has_magic(path):
        return []
    _refuse_unreadable(given, path)
    found = []
    for match in glob.glob(path, recursive=True):
        if not os.path.isdir(match):
            found.append(match)  # a link that leads nowhere too: it is to fail by name
        elif not os.path.basename(match).startswith((".", "_")):
            found += _files_below(match)
    return found


def _files_below(path: str) -> list[str]:
    """Return the parquet files of a directory, and links that lead nowhere, to fail by name."""
    found = (os.path.join(directory, name) for directory, names in _visible_files(path)
             for name in names if not name.startswith((".", "_")))  # fmt: skip
    return [p for p in found if p.lower().endswith(".parquet") or not os.path.exists(p)]


def _refuse_unreadable(given: str, pattern: str) -> None:
    """Make sure that a glob can look into all directories that it names: it would pass over them.

    Raises:
      UsageError: it cannot.
    """
    above, last = os.path.split(pattern)
    while last:
        places = glob.glob(os.path.join(above, "**/") if last == "**" else above, recursive=True)
        for place in filter(os.path.isdir, places):
            needed = os.X_OK | (os.R_OK if glob.has_magic(last) else 0)
            if not os.access(place, needed):
                raise UsageError(f"--input {given}: {place} cannot be read: Permission denied")
        above, last = os.path.split(above)


def _visible_files(path: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the directories below a path, links followed, with the names of their files.

    Left out are hidden ones, as those of a download's cache, and those that lead back.

    Raises:
      UsageError: a directory cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise UsageError(f"--input {error.filename} cannot be read: {error.strerror}") from error

    above: dict[str, frozenset[str]] = {}  # what each directory is in, so that no link leads back
    for directory, below, names in os.walk(path, onerror=refuse, followlinks=True):
        below[:] = sorted(name for name in below if not name.startswith((".", "_")))
        before = above.get(os.path.dirname(directory), frozenset())
        if (real := os.path.realpath(directory)) in before:
            below.clear()
            continue
        above[directory] = before | {real}
        yield directory, names


def _remote_files(given: str) -> list[str]:
    place = given
    try:
        if given.startswith("hf://"):
            from pagecast.storage.stores import hub  # its library is slow to import

            place = hub.pinned(given)  # once, so that all of a job is of one commit
        return _matching_objects(place)
    except (FileNotFoundError, PermissionError, AccessDeniedError) as error:
        raise UsageError(f"--input {given}: {error}") from error


def _matching_objects(given: str) -> list[str]:
    """Return what an object's path, a pattern in Beam's form or a directory of a store names."""
    if not glob.has_magic(given):
        if not given.endswith("/") and storage.exists(given):
            return [given]
        root = given.rstrip("/") + "/"
        return [path for path in storage.files_below(root) if _is_input(path.removeprefix(root))]
    wanted = re.compile(FileSystem.translate_pattern(given))
    root = re.split(r"[*?[]", given)[0].rpartition("/")[0]
    return [path for path in storage.files_below(root) if wanted.match(path)]


def _is_input(name: str) -> bool:
    """Tell whether a file below a directory of a store is one that a local directory would give."""
    return name.lower().endswith(".parquet") and not any(
        n.startswith((".", "_")) for n in name.split("/")
    )
