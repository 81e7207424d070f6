"""Footers of parquet files, read in a process that may die.

A footer is a program for native code: a schema 20,000 deep overflows its stack, an encrypted
column aborts it. The launcher fetches a footer's bytes, a process of its own makes sense of them;
where that ends it is a fault of the file. Imports no Beam, since it must start quickly.
"""

from __future__ import annotations

import contextlib
import json
import resource
import signal
import struct
import subprocess
import sys
from threading import Timer
from typing import BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from transforms.read.columns import schema_fault

COMMAND = (
    sys.executable,
    "-P",
    "-m",
    "pipeline.launch.footers",
)  # -P: nothing from the working directory
READY = b"ready\n"
PATIENCE = 60.0  # seconds for one footer
MOST_MEMORY = 640 << 20  # for one footer, the process included: each worker is to hold it too
MOST_ROWS = 10**9  # of a file: each shard of them has a line in the plan
ROWS_PER_BYTE = 100  # of a file, at most, if it claims more than a million rows
_SIZES = struct.Struct("<QQ")


class Layout(NamedTuple):
    """What a footer says: rows of each group, bytes of its text, and why the file is unusable."""

    groups: tuple[int, ...] = ()
    text: tuple[int, ...] = ()
    fault: str | None = None


def parse(footer: bytes, size: int) -> Layout:
    """Make sense of the footer of a file of `size` bytes. May end the process."""
    try:
        metadata = pq.read_metadata(pa.BufferReader(footer))
        if metadata.num_rows > min(MOST_ROWS, max(10**6, ROWS_PER_BYTE * size)):
            raise OSError(f"its {size} bytes cannot hold the {metadata.num_rows} rows it claims")
        groups = tuple(metadata.row_group(g).num_rows for g in range(metadata.num_row_groups))
        if min(groups, default=0) < 0 or sum(groups) != metadata.num_rows:
            raise OSError(f"its footer is damaged: {metadata.num_rows} rows, but not by group")
        fault = schema_fault(metadata.schema.to_arrow_schema())
        return Layout(groups, () if fault else _text_bytes(metadata), fault)
    except MemoryError:
        return Layout(fault="its footer takes too much memory")
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if "bad_alloc" in str(error):
            return Layout(fault="its footer takes too much memory")
        return Layout(fault=" ".join(str(error).split()))


def _text_bytes(metadata: pq.FileMetaData) -> tuple[int, ...]:
    """Return the size of the column `text` in each row group, once it is decompressed."""
    schema = metadata.schema
    column = next(n for n in range(metadata.num_columns) if schema.column(n).path == "text")
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    return tuple(max(group.column(column).total_uncompressed_size, 0) for group in groups)


class Reader:
    """Makes sense of footers in a process beside this one, and in a new one when that has died."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None

    def parse(self, footer: bytes, size: int) -> Layout:
        """Do what the function of that name does, and survive it."""
        process = self._process = self._process or _start()
        assert process.stdin and process.stdout, "both are pipes"
        timer = Timer(self._patience, process.kill)
        timer.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(_SIZES.pack(size, len(footer)) + footer)
                process.stdin.flush()
            answer = process.stdout.readline()
        finally:
            timer.cancel()
        if answer.endswith(b"\n"):
            groups, text, fault = json.loads(answer)
            return Layout(tuple(groups), tuple(text), fault)
        return Layout(fault=self._end(process))

    def _end(self, process: subprocess.Popen[bytes]) -> str:
        """Say what the process has died of."""
        self.close()
        if process.returncode == -signal.SIGKILL:
            return f"its footer was not read within {self._patience:.0f} s"
        try:
            how = signal.Signals(-process.returncode).name
        except ValueError:
            how = f"exit code {process.returncode}"
        hint = ", as that of an encrypted file does" if how == "SIGABRT" else ""
        return f"its footer crashes the reader ({how}){hint}"

    def close(self) -> None:
        """End the process."""
        if self._process is None:
            return
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()  # it ends where its input does
        self._process = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
        self.close()


def _start() -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    process = subprocess.Popen(COMMAND, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
    if process.stdout is None or process.stdout.readline() != READY:
        process.kill()
        process.communicate()
        raise RuntimeError(f"{' '.join(COMMAND)} does not start")
    return process


def serve(asked: BinaryIO, answers: BinaryIO) -> None:
    """Answer each footer with a line, until there are no more."""
    answers.write(READY)
    answers.flush()
    while sizes := asked.read(_SIZES.size):
        size, length = _SIZES.unpack(sizes)
        answers.write(json.dumps(parse(asked.read(length), size)).encode() + b"\n")
        answers.flush()


def _limit(kind: int, most: int) -> None:
    hard = resource.getrlimit(kind)[1]
    with contextlib.suppress(ValueError, OSError):  # not every system has each
        resource.setrlimit(
            kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard)
        )


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the launcher decides
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_DATA, MOST_MEMORY)
    serve(sys.stdin.buffer, sys.stdout.buffer)
