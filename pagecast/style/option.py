"""What a field of a style may be: a value, a list of which one is drawn, or a range."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

from pagecast.dataset.split import KEY_BITS
from pagecast.style.style import Margins, PageStyle, StyleError

AUTO = "auto"  # in place of fonts: those that are found for the input
FIELDS = {each.name: each.default for each in fields(PageStyle)}
# Fields of which a range may be given; of the latter in thousandths.
WHOLE = ("size", "min_size", "columns", "max_pages", "ink", "paper")
THOUSANDTHS = ("line_height", "margins", "column_gap", "indent")
FONT_DIGITS = 8  # of a font's SHA-256, in the label of a style


class Choice(NamedTuple):
    """A field's values, one of which is drawn; all equally likely."""

    values: tuple[Any, ...]

    def draw(self, chance: int) -> Any:
        """Return a value by a number of 64 bits."""
        return self.values[chance * len(self.values) >> KEY_BITS]

    @property
    def first(self) -> Any:
        """The value of the first style."""
        return self.values[0]

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values that are to be looked at to know if all can be had."""
        return self.values

    @property
    def is_fixed(self) -> bool:
        """Whether it is the same for all samples."""
        return len(self.values) == 1


class Range(NamedTuple):
    """From where to where a field's value is drawn, both ends included; in thousandths or whole."""

    low: float
    high: float
    is_whole: bool

    def draw(self, chance: int) -> float:
        """Return a value by a number of 64 bits."""
        unit = 1 if self.is_whole else 1000
        low, high = round(self.low * unit), round(self.high * unit)
        found = low + (chance * (high - low + 1) >> KEY_BITS)
        return found if self.is_whole else found / unit

    @property
    def first(self) -> float:
        """The value of the first style."""
        return self.low

    @property
    def ends(self) -> tuple[float, ...]:
        """The values that are to be looked at to know if all can be had."""
        return self.low, self.high

    @property
    def is_fixed(self) -> bool:
        """Whether it is the same for all samples."""
        return False


Option = Choice | Range


def option_of(name: str, value: Any) -> Option:
    """Return what a field may be from how a file says it.

    Raises:
      StyleError: there is no such field, or it cannot be said so.
    """
    if name not in FIELDS:
        meant = difflib.get_close_matches(name, FIELDS, 1, 0.7)
        known = f"did you mean {meant[0]}?" if meant else f"these are: {', '.join(FIELDS)}"
        raise StyleError(name, f"is no field of a style; {known}")
    if isinstance(value, Mapping) and not (name == "margins" and not {"from", "to"} & set(value)):
        return _range(name, value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | Margins) and not value:
        raise StyleError(name, "is an empty list: give one value at least, or leave it out")
    if name == "fonts":
        return Choice(_chains(value))
    return Choice(tuple(value) if isinstance(value, list) else (value,))


def _range(name: str, value: Mapping[str, Any]) -> Option:
    if name not in (*WHOLE, *THOUSANDTHS):
        raise StyleError(name, "takes no range: give a value, or a list of values")
    if set(value) != {"from", "to"}:
        raise StyleError(name, "a range is {from: A, to: B}")
    low, high = value["from"], value["to"]
    for end in (low, high):
        if isinstance(end, bool) or not isinstance(end, int | float):
            raise StyleError(name, f"{end!r} is not a number: a range is {{from: A, to: B}}")
    if low > high:
        raise StyleError(name, f"from {low} to {high} is backwards: put the smaller one first")
    return Range(low, high, name in WHOLE) if low != high else Choice((low,))


def _chains(value: Any) -> tuple[tuple[str, ...], ...]:
    """Return lists of fonts by preference, of which one is drawn."""
    value = [value] if isinstance(value, str) else value
    if not isinstance(value, list):
        raise StyleError("fonts", f"{value!r} is not a file, nor a list of files")
    chains = value if isinstance(value[0], list) else [value]
    for chain in chains:
        if not isinstance(chain, list) or not chain:
            raise StyleError("fonts", "give a list of files, or a list of lists that are not empty")
        for name in chain:
            if not isinstance(name, str):
                raise StyleError("fonts", f"{name!r} is not the name of a file")
        if AUTO in chain and len(chain) > 1:
            raise StyleError("fonts", f"{AUTO} finds all fonts: give it alone")
    return tuple(map(tuple, chains))


def plain_of(name: str, option: Option) -> Any:
    """Return an option as a file has it: JSON, the same for all that mean the same."""
    if isinstance(option, Range):
        return {"from": option.low, "to": option.high}
    values = [_plain(value) if name != "shape" else shown(name, value) for value in option.values]
    return values[0] if option.is_fixed else values


def _plain(value: Any) -> Any:
    if isinstance(value, Margins):
        return value[0] if len(set(value)) == 1 else value._asdict()
    return list(value) if isinstance(value, tuple) else value


def shown(name: str, value: Any) -> str:
    """Return a value as a label has it, without a space."""
    if name == "fonts":
        return "+".join(font[:FONT_DIGITS] for font in value)
    if name == "shape":
        return ":".join(map(str, value))
    if isinstance(value, Margins):
        return str(value[0]) if len(set(value)) == 1 else "/".join(map(str, value))
    return "none" if value is None else str(value)
