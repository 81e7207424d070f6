"""How a command fails, in one line. Needs nothing that is slow to import."""

from __future__ import annotations

import re

# What Beam puts before the name of an exception, and the module that a trace has there.
WRAPPERS = re.compile(r"^(?:RuntimeError: )*(?:\w+\.)*(?=\w+(?:Error|Exception|Exit)\b)")


class JobError(Exception):
    """The job stopped; the text says why, what is safe, and what to do."""


def reason(error: Exception) -> str:
    """Return an exception as one line; of a worker's trace its last line, which is the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return WRAPPERS.sub("", f"{type(error).__name__}: {lines[-1] if lines else ''}")
