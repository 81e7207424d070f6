"""What a run reads must not be among what it removes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

from pagecast import storage
from pipeline.options import RunOptions, UsageError

MOST_LINKS = 40  # one behind the other, as for the kernel


def read_by(
    options: RunOptions, inputs: Iterable[str], fonts: Iterable[str]
) -> Iterator[tuple[str, str]]:
    """Yield the files that a run reads, each with its option."""
    yield from (("--input", path) for path in inputs)
    yield from (("--font", path) for path in fonts)
    yield "--tokenizer", os.path.join(options.tokenizer, "tokenizer.json")  # if it is a directory
    yield "--style", options.style
    if options.config is not None:
        yield "--config", options.config


def refuse_removal(
    output_dir: str, removed: Sequence[str], reads: Iterable[tuple[str, str]]
) -> None:
    """Make sure that a run with `--overwrite` removes nothing that it reads.

    Raises:
      UsageError: it would, by whatever name or link the file was given.
    """
    if not removed:
        return
    if storage.is_local(output_dir):  # below it are no links to directories
        start, root = len(output_dir), os.path.realpath(output_dir)
        gone = {root + path[start:] for path in removed}
    else:
        gone = set(removed)
    for option, path in reads:
        if any(name in gone for name in names_of(path)):
            raise UsageError(
                f"{option} {path} is among what --overwrite removes from {output_dir}: copy it to "
                "another place, or choose another --output_dir; nothing was removed"
            )


def names_of(path: str) -> Iterator[str]:
    """Yield the names that a file must keep to be found: its own, and those that links lead to."""
    if not storage.is_local(path):
        yield path
        return
    for _ in range(MOST_LINKS):
        directory = os.path.realpath(os.path.dirname(path) or ".")
        path = os.path.join(directory, os.path.basename(path))
        yield path
        if not os.path.islink(path):
            return
        path = os.path.join(directory, os.readlink(path))
