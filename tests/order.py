"""Which test files take longest: begun first, so that no process is left alone with one."""

from __future__ import annotations

import pytest

LONGEST = (
    "test_flink.py",
    "test_runners.py",
    "test_package.py",
    "test_dataflow.py",
    "test_watchdog.py",
    "test_disk.py",
    "test_bad_inputs.py",
    "test_fuzz.py",
)


def longest_first(items: list[pytest.Item]) -> None:
    """Sort the tests by their files, those of one file as they were."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))
