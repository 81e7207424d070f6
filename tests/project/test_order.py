from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.support.order import LONGEST, longest_first


def test_the_longest_files_are_there() -> None:
    here = {path.name for path in Path(__file__).parents[1].rglob("test_*.py")}
    assert len(LONGEST) == len(set(LONGEST) & here)


def test_the_longest_come_first_and_each_file_keeps_its_order() -> None:
    last, first = LONGEST[1], LONGEST[0]
    given = ["test_a.py", last, first, "test_b.py", last, first]
    items: list[Any] = [SimpleNamespace(path=Path(name), n=n) for n, name in enumerate(given)]
    longest_first(items)
    assert [item.n for item in items] == [2, 5, 1, 4, 0, 3]
