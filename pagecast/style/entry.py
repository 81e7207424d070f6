"""One style of a sheet: what each of its fields may be, checked with each other."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from pagecast.style.option import FIELDS, Choice, Option, Range, option_of, plain_of, shown
from pagecast.style.style import Margins, PageStyle, StyleError

NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)
# Fields of which some values do not go together; else any goes with any.
GROUPS = (
    ("size", "min_size", "max_pages"),
    ("ink", "paper"),
    ("margins", "shape", "columns", "column_gap"),
    ("layout", "align", "fonts"),
)
MOST_TRIED = 100_000  # values of one group with each other; a second
HEAVIEST = 1_000_000_000  # of weights
LARGEST_IS_WORST = ("columns", "column_gap")  # if that goes with a value of others, less does


@dataclass(frozen=True)
class StyleEntry:
    """One of a sheet's styles: what its fields may be, where that is not the default alone.

    Fonts are names: paths before a job, then the SHA-256 of each.
    """

    name: str = "style"
    weight: float = 1
    options: tuple[tuple[str, Option], ...] = ()

    @classmethod
    def of(cls, given: Mapping[str, Any], name: str = "style", weight: Any = 1) -> StyleEntry:
        """Return a style from its fields as a file has them.

        >>> entry = StyleEntry.of({"size": {"from": 9, "to": 12}, "align": ["start", "justify"]})
        >>> dict(entry.options)["align"].values
        ('start', 'justify')

        Args:
          given: to a value, a list of values or a range {"from": A, "to": B}. None is the default;
            `fonts` a list of fonts by preference, or a list of such lists.

        Raises:
          StyleError: there is no such field, or it cannot have a value, or not beside another.
        """
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise StyleError("name", f"{name!r} is not 1 to 64 letters, digits, _, - and .")
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            raise StyleError("weight", f"{weight!r} is not a number")
        if not 0 < weight <= HEAVIEST:
            raise StyleError("weight", f"{weight} is not more than 0, and at most {HEAVIEST}")
        found = {name: option_of(name, value) for name, value in given.items() if value is not None}
        found = {name: found[name] for name in FIELDS if name in found}
        normal = dict(_normalized(found))
        for group in GROUPS:
            _check([name for name in group if name in normal], normal)
        kept = tuple((n, o) for n, o in normal.items() if o != Choice((FIELDS[n],)))
        return cls(name, int(weight) if weight == int(weight) else weight, kept)

    def plain(self) -> dict[str, Any]:
        """Return its fields as a file has them: JSON, the same for all files that mean the same."""
        return {name: plain_of(name, option) for name, option in self.options}

    def values_of(self, name: str) -> tuple[Any, ...]:
        """Return the values that a field may have; of a range its ends."""
        return dict(self.options).get(name, Choice((FIELDS[name],))).ends

    @property
    def varied(self) -> list[str]:
        """The names of the fields that are drawn for each sample."""
        return [name for name, option in self.options if not option.is_fixed]

    @property
    def first(self) -> dict[str, Any]:
        """The first value of each field that is not the default."""
        return {name: option.first for name, option in self.options}

    def label(self, values: Mapping[str, Any]) -> str:
        """Return the name of a style that was drawn, with the values that were."""
        drawn = (f" {name}={shown(name, values[name])}" for name in self.varied)
        return self.name + "".join(drawn)

    def combinations(self, *names: str) -> Iterator[dict[str, Any]]:
        """Yield all values of some fields, of ranges their ends, with the first of the others."""
        for values in product(*map(self.values_of, names)):
            yield self.first | dict(zip(names, values, strict=True))


def style_of(values: Mapping[str, Any], fonts: Mapping[str, bytes] | None = None) -> PageStyle:
    """Return the style of some fields, with the fonts of these names.

    Args:
      fonts: contents by name; without them the style has no fonts, which is DejaVu Sans.
    """
    names = values.get("fonts", ())
    contents = () if fonts is None else tuple(fonts[name] for name in names)
    return PageStyle(**{**values, "fonts": contents})


def _normalized(found: Mapping[str, Option]) -> Iterator[tuple[str, Option]]:
    """Yield each field with its values as `PageStyle` has them; all are tried in doing so."""
    firsts = {name: option.first for name, option in found.items()}
    for name, option in found.items():
        if name == "fonts":
            yield name, option
            continue
        values = [getattr(_tried({**firsts, name: value}), name) for value in option.ends]
        if isinstance(option, Range):
            numbers = [value[0] if isinstance(value, Margins) else value for value in values]
            if option.is_whole and not all(isinstance(number, int) for number in numbers):
                raise StyleError(name, f"{numbers} are not whole numbers")
            yield name, Range(numbers[0], numbers[1], option.is_whole)
        else:
            yield name, Choice(tuple(values) if len({*values}) > 1 else (values[0],))


def _check(names: Sequence[str], found: Mapping[str, Option]) -> None:
    """Try all values of some fields with each other."""
    every = [_looked_at(name, found[name]) for name in names]
    if math.prod(map(len, every)) > MOST_TRIED:
        raise StyleError(names[0], f"has too many values beside those of {', '.join(names[1:])}")
    for values in product(*every):
        _tried(dict(zip(names, values, strict=True)))


def _looked_at(name: str, option: Option) -> Sequence[Any]:
    if name in LARGEST_IS_WORST:
        return (max(option.ends),)
    if name in ("ink", "paper") and isinstance(option, Range):
        return range(int(option.low), int(option.high) + 1)
    return option.ends


def _tried(values: Mapping[str, Any]) -> PageStyle:
    return PageStyle(**{**values, "fonts": (b"",) * len(values.get("fonts", ()))})
