"""Files that ship with Pagecast: the demo input and the recipe of the built-in tokenizer."""

from importlib import resources
from importlib.resources.abc import Traversable


def data_file(name: str) -> Traversable:
    """Return the packaged file of that name."""
    return resources.files(__name__).joinpath(name)
