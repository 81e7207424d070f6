"""What the value of an option may be, and how help shows it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import Group, Parameter, Token
from cyclopts.validators import Number

from pagecast.modes import VISION_MODES, VisionMode
from pagecast.storage import local

CUSTOM_MODE = re.compile(r"([a-z][a-z0-9_]{0,31})=([0-9]{1,9})")
PAGE_SIZES = range(64, 4097)  # in pixels


def text(group: Group, about: str, metavar: str | None = None, **how: Any) -> Parameter:
    """Declare what help says of an option, and where."""
    if metavar is not None:  # else that of the type
        how["metavar"] = metavar
    return Parameter(group=group, help=about, **how)


def _whole(_: type, tokens: Sequence[Token]) -> int:
    """Return a number. Cyclopts' own way takes 1.5 for 1."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f"{tokens[0].value!r} is not a whole number") from None


def place_of(_: type, tokens: Sequence[Token]) -> str:
    """Return a place as it was meant. `~` is the home, also where no shell says so."""
    return os.path.expanduser(local.path_of(tokens[0].value))


def _modes(_: type, tokens: Sequence[Token]) -> tuple[VisionMode, ...]:
    """Return the vision modes of a comma-separated list, smallest page first.

    An entry is the name of a mode, or NAME=PX for another size.

    Raises:
      ValueError: there is no such mode.
    """
    known = {mode.name: mode for mode in VISION_MODES}
    chosen: dict[str, VisionMode] = {}
    for entry in (entry.strip() for token in tokens for entry in token.value.split(",")):
        mode = known.get(entry)
        if custom := CUSTOM_MODE.fullmatch(entry):
            mode = VisionMode(custom[1], int(custom[2]))
            if mode.px not in PAGE_SIZES:
                raise ValueError(
                    f"{entry}: a page has {PAGE_SIZES[0]} to {PAGE_SIZES[-1]} pixels a side"
                )
        if mode is None:
            raise ValueError(
                f"unknown mode {entry!r}; the modes are {', '.join(known)}, or NAME=PX"
            )
        same = known.get(mode.name) or chosen.get(mode.name, mode)
        if same != mode:
            raise ValueError(f"{entry}: {mode.name} is {same.px} pixels already")
        chosen[mode.name] = mode
    return tuple(sorted(chosen.values(), key=lambda mode: (mode.px, mode.name)))


def names_of_modes(modes: Sequence[VisionMode]) -> list[str]:
    """Return modes as they are typed."""
    return [mode.name if mode in VISION_MODES else f"{mode.name}={mode.px}" for mode in modes]


def within(low: int | None = None, high: int | None = None) -> Parameter:
    """Declare that a value is a whole number, within these bounds."""
    return Parameter(converter=_whole, metavar="N", validator=Number(gte=low, lte=high))


# What a value may be.
Whole = Annotated[int, within()]


Amount = Annotated[int, within(0)]


Count = Annotated[int, within(1)]


Place = Annotated[str, Parameter(converter=place_of, metavar="DIR")]


Modes = Annotated[
    tuple[VisionMode, ...],
    Parameter(
        converter=_modes,
        n_tokens=1,
        accepts_keys=False,
        metavar="A,B",
        show_default=lambda modes: ",".join(names_of_modes(modes)),
    ),
]
