"""What reads pages, Tesseract or another's own, and the error rate of what it read."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from functools import reduce
from typing import NamedTuple, TypeAlias

from PIL import Image

from pagecast.render.breaking import PILCROW

# A page is one block of text, or else Tesseract has to look for its columns.
ONE_BLOCK, COLUMNS = "--psm 6", "--psm 3"

Read: TypeAlias = Callable[[Image.Image], str]


class OcrError(Exception):
    """There is nothing to read pages with, or it gives something other than text."""


class Judge(NamedTuple):
    """What reads pages: a function from an image, of mode "L" or "RGB", to the text on it.

    name: what the report says of it.
    """

    read: Read
    name: str


def load_judge(named: str | None, language: str, in_columns: bool) -> Judge:
    """Return what reads pages.

    Args:
      named: "module:function", or None for Tesseract. language, in_columns: what Tesseract is told
        of the pages.

    Raises:
      OcrError: something is not installed, or there is no such function; the text says what.
    """
    require_rapidfuzz()
    return load_tesseract(language, in_columns) if named is None else load_function(named)


def require_rapidfuzz() -> None:
    """Check that error rates can be counted: reading comes first, and takes long.

    Raises:
      OcrError: they cannot.
    """
    try:
        import rapidfuzz  # noqa: F401
    except ImportError as error:
        raise OcrError("--ocr needs the extra ocr: pip install 'pagecast[ocr]'") from error


def load_tesseract(language: str, in_columns: bool) -> Judge:
    """Return Tesseract, as it is installed here.

    Raises:
      OcrError: it is not, or lacks the language.
    """
    try:
        import pytesseract
    except ImportError as error:
        raise OcrError("--ocr needs the extra ocr: pip install 'pagecast[ocr]'") from error
    try:
        version = pytesseract.get_tesseract_version()
        languages = pytesseract.get_languages()
    except (pytesseract.TesseractNotFoundError, SystemExit) as error:
        raise OcrError("--ocr needs Tesseract, and it is not installed here") from error
    if missing := set(language.split("+")) - set(languages):
        raise OcrError(
            f"--ocr_language {language}: Tesseract has no {', '.join(sorted(missing))} here, only "
            f"{', '.join(sorted(languages))}"
        )

    # For a page, Tesseract's threads wait for one another longer than they work.
    os.environ.setdefault("OMP_THREAD_LIMIT", "1")
    how = COLUMNS if in_columns else ONE_BLOCK

    def read(page: Image.Image) -> str:
        return pytesseract.image_to_string(page, lang=language, config=how)

    return Judge(read, f"Tesseract {version}, language {language}")


def load_function(named: str) -> Judge:
    """Return a function by the name of its module and its own, as "module:function".

    Raises:
      OcrError: it cannot be imported, or is none.
    """
    module, _, name = named.partition(":")
    if not all(part.isidentifier() for part in [*module.split("."), *name.split(".")]):
        raise OcrError(f"--ocr_judge {named}: give it as module:function")
    try:
        read = reduce(getattr, name.split("."), importlib.import_module(module))
    except Exception as error:  # whatever the module does when it is imported
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise OcrError(
            f"--ocr_judge {named} cannot be imported: {why}; its module must be installed, or in a "
            "directory of PYTHONPATH"
        ) from error
    if not callable(read):
        raise OcrError(f"--ocr_judge {named} is no function")

    def checked(page: Image.Image) -> str:
        if isinstance(text := read(page), str):
            return text
        raise OcrError(f"--ocr_judge {named} gave {type(text).__name__} where text was expected")

    return Judge(checked, named)


def error_rate(read: str, written: str) -> float:
    """Return the character error rate: edits from what was read to what was written, per character.

    Any white space counts as one space, since pages keep no other, and so do the marks that pages
    may have for line breaks.

    >>> error_rate("a  cat", "A cat")
    0.2
    """
    from rapidfuzz.distance import Levenshtein

    one, other = (" ".join(text.replace(PILCROW, " ").split()) for text in (read, written))
    return Levenshtein.distance(one, other) / max(1, len(other))
