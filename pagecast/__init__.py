"""What a page and a dataset are: the library, for training scripts too. Imports no Beam.

Public are the names below; all else may change. Each is imported when it is first asked for, so
that whoever needs only one pays for no other.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pagecast.modes import VISION_MODES, VisionMode
    from pagecast.reader import PageReader, ReaderError, Split
    from pagecast.render import Page, PageMetadata, PageRenderer
    from pagecast.style import PageStyle

__all__ = [
    "VISION_MODES",
    "Page",
    "PageMetadata",
    "PageReader",
    "PageRenderer",
    "PageStyle",
    "ReaderError",
    "Split",
    "VisionMode",
]
_MODULES = {"VISION_MODES": "modes", "VisionMode": "modes", "PageReader": "reader",
            "ReaderError": "reader", "Split": "reader", "PageStyle": "style"}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'pagecast' has no attribute {name!r}")
    return getattr(import_module(f"pagecast.{_MODULES.get(name, 'render')}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
