"""The public names: they are there, cost nothing until asked for, and their examples are true."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import pytest

import pagecast
from pagecast import modes
from pagecast.reader import pages, splits
from pagecast.render import page
from pagecast.style import style
from tests.conftest import Outcome

LIGHT = """
import sys
import pagecast.modes
sys.exit(any(name in sys.modules for name in ("PIL", "numpy", "fsspec")))
"""


@pytest.mark.parametrize("name", pagecast.__all__)
def test_each_name_is_there(name: str) -> None:
    assert getattr(pagecast, name).__doc__
    assert name in dir(pagecast)


def test_there_is_no_other() -> None:
    with pytest.raises(ImportError, match="cannot import name 'Beam' from 'pagecast'"):
        from pagecast import Beam  # noqa: F401


def test_nothing_is_imported_that_nobody_asked_for() -> None:
    subprocess.run([sys.executable, "-c", LIGHT], check=True)


@pytest.mark.parametrize("module", [modes, page, pages, splits, style])
def test_the_examples_are_true(
    module: object, demo: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "output").mkdir()
    (tmp_path / "output/demo").symlink_to(demo.path)
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testmod(module)  # type: ignore[arg-type]
    assert (failed, tried > 0) == (0, True)
