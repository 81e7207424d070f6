"""The columns of a parquet file that are read, and what they must be.

Imports no Beam: footers are read by a process that has to start quickly.
"""

from __future__ import annotations

import pyarrow as pa

REQUIRED_COLUMNS = ("title", "text")
COLUMNS = ("id", *REQUIRED_COLUMNS)
_SHOWN_CHARS = 300  # of the names of all columns, of which there may be millions


def schema_fault(schema: pa.Schema) -> str | None:
    """Say why a parquet file of this schema cannot be used, or None if it can.

    `title` and `text` must be columns of strings; `id` may be missing, or of integers.
    """
    for name in COLUMNS:
        found = len(schema.get_all_field_indices(name))
        if found > 1:
            return f"it has {found} columns named {name!r}"
        if not found:
            if name in REQUIRED_COLUMNS:
                others = ", ".join(schema.names)
                shown = others[:_SHOWN_CHARS] + "..." * (len(others) > _SHOWN_CHARS)
                return f"it has no column {name!r}, only {shown}"
            continue
        kind = schema.field(name).type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if not (is_text(kind) or (name == "id" and pa.types.is_integer(kind))):
            return f"its column {name!r} holds {str(kind)[:_SHOWN_CHARS]}, not strings"
    return None


def is_text(kind: pa.DataType) -> bool:
    """Tell whether a column of this type holds strings."""
    return (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_null(kind)
    )
