"""Which test files take longest: begun first, so that no process is left alone with one."""

from __future__ import annotations

import pytest

# test_package.py is not beside test_dataflow.py: both build the sources, and install them in the
# same environment, so one would wait for the other.
LONGEST = (
    "test_flink.py",
    "test_stores.py",
    "test_benchmarks.py",
    "test_runners.py",
    "test_dataflow.py",
    "test_watchdog.py",
    "test_disk.py",
    "test_docs.py",
    "test_replaced.py",
    "test_bad_inputs.py",
    "test_run.py",
    "test_package.py",
    "test_forms.py",
    "test_styles.py",
    "test_verify.py",
    "test_trainer.py",
    "test_publish.py",
    "test_assets.py",
    "test_page.py",
    "test_preflight.py",
    "test_raqm.py",
    "test_pages.py",
    "test_fuzz.py",
    "test_plan_command.py",
)


def longest_first(items: list[pytest.Item]) -> None:
    """Sort the tests by their files, those of one file as they were."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))
