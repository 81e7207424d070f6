"""The fuzzer's target, without the fuzzer: on the files it begins with, and on damaged ones."""

import contextlib
import random
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

TARGET = Path(__file__).parents[3] / "fuzz/parquet_target.py"
DAMAGED = 40  # of each file


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    def untouched(include: list[str]) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    monkeypatch.setitem(sys.modules, "atheris", SimpleNamespace(instrument_imports=untouched))
    return runpy.run_path(str(TARGET))


def test_it_reads_valid_files_and_damaged_ones(target: dict[str, Any], tmp_path: Path) -> None:
    target["fill"](tmp_path)
    files = sorted(tmp_path.iterdir())
    assert len(files) == len(target["WRITTEN"])
    chance = random.Random(0)
    for path in files:
        content = path.read_bytes()
        target["read"](content)
        for _ in range(DAMAGED):
            damaged = bytearray(content[: chance.randrange(len(content)) or None])
            for _ in range(chance.randrange(4)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            target["read"](bytes(damaged))
            flipped = bytearray(content)
            flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            target["read"](bytes(flipped))
