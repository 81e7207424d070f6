"""What goes wrong with files beside what the system itself says."""

from __future__ import annotations


class StoreError(Exception):
    """A store or the hub failed, or refuses the whole job: no single file's fault.

    It is not an `OSError`, so that nobody who looks whether a file is there, or whole, takes it
    for an answer.
    """


class AccessDeniedError(StoreError):
    """A store refuses access where who may read and write is said of whole buckets."""


class IrregularFileError(OSError):
    """It is a pipe, a socket, a device: nothing that could be read or written as a file."""


class LinkError(OSError):
    """A directory that was a run's own has become a link to somewhere else."""
