"""What is wrong with a dataset that is read, in one line."""

from __future__ import annotations

import json
from typing import Any

from pagecast.dataset.sample import parse_sample_id

CHUNK_BITS = 20  # of the key of a sample within its shard
PAGE_BITS = 10  # of the key of an image after that of its sample
# What a file that another tool wrote, or half of one, leads to.
DAMAGE = (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError)


class ReaderError(Exception):
    """The dataset is not finished, or its pages cannot be had here as they were made."""


def parse_line(line: bytes, where: str) -> dict[str, Any]:
    """Return the sample of a line.

    Raises:
      ReaderError: it is something else; `where` says which line.
    """
    try:
        sample = json.loads(line)
        _ = sample["id"], sample["context_text"]
    except DAMAGE as error:
        raise ReaderError(
            f"{where} is not a sample ({type(error).__name__}: {error}): the file was damaged or "
            "changed; `pagecast verify` names all that is"
        ) from error
    return sample


def parsed(sample: str) -> tuple[int, int]:
    """Return the row and the chunk of a sample by its id.

    Raises:
      ReaderError: it is none.
    """
    try:
        return parse_sample_id(sample)
    except ValueError as error:
        raise ReaderError(str(error)) from error


def damaged(path: str, error: Exception) -> ReaderError:
    """Return what says that one of the dataset's own files is damaged."""
    return ReaderError(
        f"{path} is damaged ({type(error).__name__}: {error}); the `run` command that made the "
        "dataset writes it again"
    )
