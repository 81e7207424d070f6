"""Reading a dataset in training: samples by index, pages by sample and mode, batches of both."""

from __future__ import annotations

from pagecast.reader.errors import ReaderError
from pagecast.reader.pages import PageReader
from pagecast.reader.splits import Split

__all__ = ["PageReader", "ReaderError", "Split"]
