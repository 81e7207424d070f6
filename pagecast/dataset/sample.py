"""What flows through the graph: small frozen records, each one shard's worth of something."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from itertools import count, takewhile
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

NULL_TEXT, BLANK_TEXT, TOO_SHORT = "null_text", "blank_text", "too_short"  # reasons for a drop

PAGE = "_p"  # before the number of a page in the name of an image

Tokens = npt.NDArray[np.int32]

STYLE = "style"  # in font_metadata, where a dataset has pages of several
DIGEST_DIGITS = 16
SAMPLE_ID = re.compile(r"sample_([0-9]{6,15})_chunk_([0-9]{1,9})")


@dataclass(frozen=True)
class Article:
    """One input row; `tokens` once it is tokenized."""

    row: int
    wiki_id: str
    title: str
    text: str
    tokens: Tokens | None = None


class StoredImage(NamedTuple):
    """Where a stored page lies in its file, in bytes, and the start of its SHA-256.

    Enough to tell an image from any other and from its own damaged copy.
    """

    offset: int
    length: int
    digest: str


class ModeImages(NamedTuple):
    """A shard's images of one mode: name, of `page_names`, to image, in input order.

    tar: the file that holds them all, relative to the output directory; None where each image is
    a file of its own. size: of the tar, or of all the files together, in bytes.
    """

    tar: str | None
    size: int
    places: dict[str, StoredImage]

    @property
    def image_bytes(self) -> int:
        """Bytes of the images alone."""
        return sum(image.length for image in self.places.values())

    def names_of(self, sample: str) -> list[str]:
        """Return what the images of a sample are called, in the order of its pages.

        Raises:
          KeyError: there are none.
        """
        if sample in self.places:
            return [sample]
        pages = takewhile(self.places.__contains__, (f"{sample}{PAGE}{n}" for n in count()))
        if names := list(pages):
            return names
        raise KeyError(sample)


@dataclass(frozen=True)
class Sample:
    """One chunk of one article, and once it is rendered its images and their metadata by mode."""

    row: int
    wiki_id: str
    title: str
    chunk_index: int
    total_article_tokens: int
    context_tokens: Tokens
    continuation_tokens: Tokens
    context_text: str
    images: dict[str, str | list[str]] = field(default_factory=dict)
    font_metadata: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The sample's name, e.g. sample_000001_chunk_0."""
        return sample_id(self.row, self.chunk_index)

    def json_line(self) -> bytes:
        """Return the sample as one line of ASCII JSON."""
        record = {
            "id": self.id,
            "wiki_id": self.wiki_id,
            "title": self.title,
            "chunk_index": self.chunk_index,
            "total_article_tokens": self.total_article_tokens,
            "context_tokens": self.context_tokens.tolist(),
            "continuation_tokens": self.continuation_tokens.tolist(),
            "context_text": self.context_text,
            "images": self.images,
            "font_metadata": self.font_metadata,
        }
        return json.dumps(record).encode("ascii") + b"\n"

    @classmethod
    def from_json_line(cls, line: bytes) -> Sample:
        """Read what `json_line` wrote.

        Raises:
          ValueError: it is not a sample.
        """
        try:
            record: dict[str, Any] = json.loads(line)
            row, chunk = parse_sample_id(record.pop("id"))
            for name in ("context_tokens", "continuation_tokens"):
                record[name] = np.array(record[name], dtype=np.int32)
            sample = cls(row=row, **record)
        except (AttributeError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise ValueError(f"not a sample: {error}") from error
        if chunk != sample.chunk_index:
            raise ValueError(f"not a sample: its id ends in {chunk}, not {sample.chunk_index}")
        return sample


def sample_id(row: int, chunk_index: int) -> str:
    """Return the name of a chunk, from its article's global row: what is kept does not matter."""
    return f"sample_{row:06d}_chunk_{chunk_index}"


def page_names(sample: str, pages: int | None) -> list[str]:
    """Return what the images of a sample are called: its id, where a sample is a single page.

    Args:
      pages: how many it has; None where all samples of the dataset are single pages.

    >>> page_names("sample_000001_chunk_0", None)
    ['sample_000001_chunk_0']
    >>> page_names("sample_000001_chunk_0", 2)
    ['sample_000001_chunk_0_p0', 'sample_000001_chunk_0_p1']
    """
    return [sample] if pages is None else [f"{sample}{PAGE}{number}" for number in range(pages)]


def sample_of(page: str) -> str:
    """Return the id of the sample that an image is of, from the image's name."""
    return page.partition(PAGE)[0]


def parse_page_name(name: str) -> tuple[int, int, int]:
    """Return the row, the chunk and the page of an image's name.

    Raises:
      ValueError: it is not such a name.
    """
    sample, _, page = name.partition(PAGE)
    number = int(page) if page.isdecimal() else 0
    if name not in (sample, f"{sample}{PAGE}{number}"):
        raise ValueError(f"{name!r} is not the name of an image")
    return *parse_sample_id(sample), number


def fallback_id(path: str, row: int) -> str:
    """Return the id of an article that has none, `{file name}#{row}`.

    Bytes of the name that are not UTF-8 become `?`: an id is hashed and written as text.
    """
    name = path.rsplit("/", 1)[-1]
    return f"{name.encode(errors='replace').decode()}#{row}"


def parse_sample_id(name: str) -> tuple[int, int]:
    """Return the row and the chunk of a sample's name.

    Raises:
      ValueError: it is not such a name.
    """
    match = SAMPLE_ID.fullmatch(name)
    row, chunk = map(int, match.groups()) if match else (-1, -1)
    if not match or name != sample_id(row, chunk):
        raise ValueError(f"{name!r} is not the id of a sample")
    return row, chunk


def digest_of(png: bytes) -> str:
    """Return the first 16 hexadecimal digits of an image's SHA-256."""
    return hashlib.sha256(png).hexdigest()[:DIGEST_DIGITS]
