"""Three layers, one direction: pagecast, transforms, pipeline; and no circle anywhere."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = ("pagecast", "transforms", "pipeline")
MOST_ENTRIES, MOST_LINES = 12, 350
IMPORT_ALL = """
import importlib, sys
for name in sys.argv[2].split():
    sys.modules[name] = None
for name in sys.argv[1].split():
    importlib.import_module(name)
"""


def modules_of(layer: str) -> dict[str, Path]:
    found = {}
    for path in sorted((ROOT / layer).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = {name: path for layer in LAYERS for name, path in modules_of(layer).items()}


def imports(path: Path) -> Iterator[str]:
    """Yield the modules of ours that a file imports anywhere, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else node.module for name in names)


def test_imports_go_one_way_and_never_in_circles() -> None:
    graph = {name: set(imports(path)) for name, path in MODULES.items()}
    for name, imported in graph.items():
        layer = LAYERS.index(name.split(".")[0])
        for other in imported:
            assert LAYERS.index(other.split(".")[0]) <= layer, f"{name} imports {other}"
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_a_circle_would_be_found() -> None:
    with pytest.raises(CycleError):
        TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()
    assert "pipeline.commands.run" in set(
        imports(MODULES["pipeline.cli.commands"])
    )  # in a function


@pytest.mark.parametrize(
    ("layer", "without"),
    [("pagecast", "apache_beam transforms pipeline transformers"), ("transforms", "pipeline")],
)
def test_a_layer_can_do_without_those_above(layer: str, without: str) -> None:
    elsewhere = ("__main__", "pagecast.torch")  # test_trainer.py has PyTorch
    names = [name for name in modules_of(layer) if not name.endswith(elsewhere)]
    subprocess.run([sys.executable, "-c", IMPORT_ALL, " ".join(names), without], check=True)


def test_every_folder_can_be_taken_in_at_a_glance() -> None:
    folders = {path.parent for path in MODULES.values()}
    for folder in folders:
        files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
        entries = {path.relative_to(folder).parts[0] for path in files}
        assert len(entries) <= MOST_ENTRIES, f"{folder} has {len(entries)} entries"


def test_a_file_is_one_concept() -> None:
    lengths = sorted(len(path.read_text("utf-8").splitlines()) for path in MODULES.values())
    longer = [length for length in lengths if length > 1]  # than a docstring
    assert longer[-1] <= MOST_LINES
    assert 100 <= longer[len(longer) // 2] <= 300
