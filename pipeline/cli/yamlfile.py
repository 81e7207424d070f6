"""YAML as its version 1.2 has it. PyYAML's own reading of values is that of version 1.1.

There 010 is 8, `no` is false and 3:4 is 184. So only PyYAML's nodes are used, which are texts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yaml import Node

NULL = ("", "~", "null", "Null", "NULL")
SWITCH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
UNTAGGED = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map")
DEEPEST = 4  # of lists and mappings in each other, else an alias could go around forever
_WHOLE = re.compile(r"[-+]?[0-9]+")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def compose(content: str) -> Node | None:
    """Return the root of a YAML file, whose scalars are all texts; None where it is empty.

    Raises:
      yaml.YAMLError: it is not YAML.
    """
    import yaml  # as late as can be, like all that help does not need

    return yaml.compose(content, Loader=yaml.BaseLoader)


def line_of(node: Node) -> int:
    """Return the line of a node, from 1."""
    return node.start_mark.line + 1


def value_of(node: Node, deepest: int = DEEPEST) -> Any:
    """Return the value of a node by the core schema: None, bool, int, float, str, list or dict.

    Raises:
      ValueError: it has a tag, a key twice, or is nested too deep.
    """
    import yaml

    if node.tag not in UNTAGGED:
        raise ValueError(f"has the tag {node.tag}: values have none here")
    if not deepest:
        raise ValueError("is nested too deep")
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key, value in node.value:
            if str(key.value) in found:
                raise ValueError(f"has {key.value} twice")
            found[str(key.value)] = value_of(value, deepest - 1)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [value_of(each, deepest - 1) for each in node.value]
    return _scalar(node.value) if node.style is None else node.value


def _scalar(text: str) -> Any:
    if text in NULL:
        return None
    if text in SWITCH:
        return SWITCH[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    return float(text.replace(".", "")) if _NO_NUMBER.fullmatch(text) else text
