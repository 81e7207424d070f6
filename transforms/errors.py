"""One bad article must not cost the others: trying articles one by one, and naming what failed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from pagecast import pulse
from pagecast.dataset.shard import ArticleError
from pagecast.storage.errors import StoreError
from transforms.redact import redact


class HasOrigin(Protocol):
    """Something that knows the article it comes from."""

    @property
    def row(self) -> int:
        """The article's global row."""

    @property
    def wiki_id(self) -> str:
        """The article's id."""


T = TypeVar("T")
R = TypeVar("R")


def map_with_errors(
    step: str, items: Iterable[T], process: Callable[[T], R], origin: Callable[[T], HasOrigin]
) -> tuple[list[R], tuple[ArticleError, ...]]:
    """Process items one by one; what raises becomes an error that names `step` and the article.

    Trouble with files is not the article's: an `OSError` goes on.
    """
    results, errors = [], []
    for item in items:
        article = origin(item)
        pulse.beat(f"{step} article {article.wiki_id} (row {article.row})")
        try:
            results.append(process(item))
        except (OSError, StoreError, KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # a panic in a Rust tokenizer is not an Exception
            reason = redact(f"{type(error).__name__}: {error}")
            errors.append(ArticleError(article.row, article.wiki_id, step, reason))
    return results, tuple(errors)
