"""Style sheets from a file: YAML, in which each wrong value has its line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from pagecast.dataset.split import CANDIDATE_BITS
from pagecast.storage.errors import StoreError
from pagecast.style.entry import StyleEntry
from pagecast.style.option import AUTO
from pagecast.style.sheet import StyleSheet
from pagecast.style.style import StyleError
from pipeline.cli.yamlfile import compose, line_of, value_of
from pipeline.data import data_file
from pipeline.options import BUILTIN, STYLES, RunOptions, UsageError

if TYPE_CHECKING:
    from yaml import Node

OPTION = "--style"
COLOURS = ("ink", "paper")
UNNAMED = "style"
OWN = ("name", "weight")  # of a style in a file, beside its fields
OVERRULING = {"layout": "layout", "line_break": "line_break", "fonts": "font",
              "max_pages": "max_pages"}  # fmt: skip


class Place(NamedTuple):
    """Where something stands: a file, a line of it, and the name of a style if it has one."""

    path: str
    line: int = 0
    style: str = ""

    def refuse(self, why: str) -> NoReturn:
        """Say in one line what is wrong here."""
        line = f", line {self.line}" * bool(self.line)
        style = f"style {self.style}: " * bool(self.style)
        raise UsageError(f"{OPTION} {self.path}{line}: {style}{why}")


def read_sheet(options: RunOptions) -> StyleSheet:
    """Return the styles that the options name; fonts are by their paths, or "builtin" or "auto".

    Raises:
      UsageError: the file cannot be read, says something else, or does not go with other options.
    """
    sheet = read_styles(options.style)
    given = {name: getattr(options, option) for name, option in OVERRULING.items()}
    given = {name: value for name, value in given.items() if value is not None}
    given |= {"fonts": list(given["fonts"])} if "fonts" in given else {}
    try:
        sheet = sheet.with_fields(given)
    except StyleError as error:
        if error.field == "fonts" and len(given) == 1:
            raise UsageError(f"--font: {error.why}") from error
        named = [f"--{OVERRULING[name]}" for name in given]
        named += [f"{OPTION} {options.style}"] * (options.style != RunOptions.style)
        raise UsageError(f"{' with '.join(named)}: {error}") from error
    candidates = None
    if options.vary == "train" and sheet.is_varied:
        candidates = candidates_of_val(options)
    return replace(sheet, seed=options.seed, candidates=candidates)


def candidates_of_val(options: RunOptions) -> int:
    """Return of how many of 4096 ranges of keys val may have articles: a quarter of all mostly.

    While pages are drawn nobody knows where val will end, as that depends on how many samples
    there are: twice its share of them is enough.

    Raises:
      UsageError: that would be more than half of all.
    """
    ranges = 1 << CANDIDATE_BITS
    wanted = -(-2 * options.val_size * ranges // options.max_samples)
    if wanted > ranges // 2:
        raise UsageError(
            f"--vary train keeps the first style for twice as many samples as val has, but at most "
            f"half of all: --val_size {options.val_size} is more than a quarter of --max_samples "
            f"{options.max_samples}"
        )
    return max(ranges // 4, wanted)


def read_styles(name: str) -> StyleSheet:
    """Return the styles of a file, or of those that are shipped the one of that name.

    Raises:
      UsageError: there is none, or it says something else.
    """
    import yaml

    from pagecast import storage

    place = Place(name)
    try:
        if name in STYLES:
            content = data_file(f"styles/{name}.yaml").read_bytes()
        elif not os.path.splitext(name)[1]:
            place.refuse(f"there is no such style: give {', '.join(STYLES)}, or a file .yaml")
        elif os.path.splitext(name)[1].lower() not in (".yaml", ".yml"):
            place.refuse("its name must end in .yaml or .yml")
        elif storage.is_local(name) and os.path.exists(name) and not os.path.isfile(name):
            place.refuse("cannot be read: it is not a regular file")
        else:
            content = storage.read_bytes(name)
        root = compose(content.decode())
    except (OSError, StoreError, ValueError, RecursionError, yaml.YAMLError) as error:
        place.refuse(f"cannot be read: {' '.join(str(error).split())}")
    entries = [] if root is None else list(_entries(place, root))
    try:
        return StyleSheet(tuple(entries))
    except StyleError as error:
        place.refuse(str(error))


def _entries(place: Place, root: Node) -> Iterator[StyleEntry]:
    """Yield the styles of a file."""
    import yaml

    fields = _pairs(place, root, "it must be fields of a style, or `styles`")
    if "styles" not in fields:
        yield _entry(place, UNNAMED, fields)
        return
    key, styles = fields.pop("styles")
    if fields:
        other, (node, _) = next(iter(fields.items()))
        place._replace(line=line_of(node)).refuse(
            f"{other} stands beside `styles`: put it into each of them"
        )
    if isinstance(styles, yaml.SequenceNode):
        for number, node in enumerate(styles.value, 1):
            wanted = "a style must be a mapping of fields, as {size: 12}"
            found = _pairs(place._replace(line=line_of(node)), node, wanted)
            yield _entry(place, f"{UNNAMED}{number}", found, line_of(node))
        return
    at = place._replace(line=line_of(key))
    for name, (node, style) in _pairs(at, styles, "`styles` must be a list or a mapping").items():
        at = place._replace(line=line_of(node), style=name)
        is_empty = isinstance(style, yaml.ScalarNode) and value_of(style) is None
        found = {} if is_empty else _pairs(at, style, "must be a mapping of fields")
        yield _entry(place, name, found, line_of(node))


def _pairs(place: Place, node: Node, wanted: str) -> dict[str, tuple[Node, Node]]:
    """Return the keys and values of a mapping as nodes, by key."""
    import yaml

    if not isinstance(node, yaml.MappingNode):
        place._replace(line=line_of(node)).refuse(wanted)
    found: dict[str, tuple[Node, Node]] = {}
    for key, value in node.value:
        if (name := str(key.value)) in found:
            at = place._replace(line=line_of(key))
            at.refuse(f"{name} stands in line {line_of(found[name][0])} already")
        found[name] = key, value
    return found


def _entry(
    place: Place, name: str, nodes: dict[str, tuple[Node, Node]], line: int = 0
) -> StyleEntry:
    """Return a style from the nodes of its fields, name and weight."""
    values: dict[str, Any] = {}
    for field, (key, node) in nodes.items():
        at = place._replace(line=line_of(key), style=name)
        try:
            values[field] = value_of(node)
        except ValueError as error:
            at.refuse(f"{field} {error}")
        if field in COLOURS and node.value == "" and node.style is None:
            at.refuse(
                f'{field}: is empty, as # begins a comment: put a colour in quotes, "#203040"'
            )
    name = values.pop("name", None) or name
    weight = values.pop("weight", None)
    if "fonts" in values:
        values["fonts"] = _beside(place.path, values["fonts"])
    try:
        return StyleEntry.of(values, name, 1 if weight is None else weight)
    except StyleError as error:
        line = line_of(nodes[error.field][0]) if error.field in nodes else line
        place._replace(line=line, style=str(name)).refuse(str(error))


def _beside(path: str, fonts: Any) -> Any:
    """Return the paths of fonts that a style file names, from where it stands."""
    if isinstance(fonts, list):
        return [_beside(path, each) for each in fonts]
    if not isinstance(fonts, str) or fonts in (BUILTIN, AUTO) or "://" in fonts:
        return fonts
    directory = path.rpartition("/")[0]
    font = os.path.expanduser(fonts)
    return font if os.path.isabs(font) or not directory else f"{directory}/{font}"
