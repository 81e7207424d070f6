"""The documents, taken at their word: every command in them is run, every message is one of ours.

Its blocks are run in their order, as a person would, in a directory like the project's.
"""

import ast
import contextlib
import io
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest

from pipeline.cli.commandline import parse
from pipeline.runners.dataflow.__main__ import APP as DATAFLOW
from pipeline.runners.flink.__main__ import APP as FLINK
from tests.conftest import SAMPLE, Command, parse_run
from tests.support.hub import FINEWIKI, FakeHub

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    if "```sh" in path.read_text(encoding="utf-8")
)
LAYERS = ("pagecast", "transforms", "pipeline")
# Lines that are not run here, and what else makes sure of them.
ELSEWHERE = {
    r"\./run_tests\.sh": "this is what runs the tests",
    r"ruff format \.": "it is part of that",
    r"python -m pytest ": "it is part of that",
    r"\./run_local\.sh --input my": "tests/project/test_package.py; parsed here",
    r"\./run_flink\.sh$": "tests/pipeline/runners/test_runners.py",
    r"\./run_flink\.sh --input": "tests/pipeline/runners/test_runners.py, with other paths",
    r"\./run_flink\.sh --flink_master": "tests/pipeline/runners/test_flink.py; parsed here",
    r"\./run_dataflow\.sh": "tests/pipeline/runners/test_dataflow.py; parsed here",
    r"python -P -m pipeline\.runners\.flink\.pool": "tests/pipeline/runners/test_flink.py",
    r"pagecast run .*--tokenizer openai-community": "needs the real hub; parsed here",
    r"(sudo )?apt(-get)? install": "what a machine has is not ours to change",
}


# Files of a machine without which a document's commands cannot be run; it says how to install them.
NEEDS = {
    "docs/legibility.md": ("/usr/bin/tesseract",),
    "docs/languages.md": (
        "/usr/share/fonts/opentype/ipafont-gothic/ipag.ttf",
        "/usr/share/fonts/opentype/fonts-hosny-amiri/Amiri-Regular.ttf",
        "/usr/share/fonts/truetype/lohit-devanagari/Lohit-Devanagari.ttf",
    ),
}


class Block(NamedTuple):
    kind: str
    text: str


def blocks(document: str) -> list[Block]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return [Block(*found) for found in BLOCK.findall(text)]


class Step(NamedTuple):
    """Something to do next: "pagecast" with a command line, "python" or "sh" with a program."""

    kind: str
    text: str


def steps(document: str) -> Iterator[Step]:
    for kind, text in blocks(document):
        if kind == "python":
            yield Step(kind, text)
        elif kind == "sh":
            shell: list[str] = []
            for line in text.replace("\\\n", "").splitlines():
                if elsewhere(line) is not None:
                    continue
                if line.startswith("pagecast "):
                    yield Step("sh", "\n".join(shell))
                    yield Step("pagecast", line)
                    shell = []
                else:
                    shell.append(line)
            yield Step("sh", "\n".join(shell))


def shown(document: str) -> list[str]:
    """Return what a document says that its commands print, as patterns; `...` is anything."""
    texts = [text for kind, text in blocks(document) if not kind and not text.startswith("OUTPUT/")]
    return [re.escape(text).replace(r"\.\.\.", r"[^\n]*") for text in texts]


def elsewhere(line: str) -> str | None:
    return next((why for what, why in ELSEWHERE.items() if re.match(what, line)), None)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with all that a fresh clone has, and the environment."""
    path = tmp_path / "project"
    path.mkdir()
    for entry in ROOT.iterdir():
        if entry.name not in ("output", ".git", "build", "dist"):
            (path / entry.name).symlink_to(entry)
    return path


@pytest.fixture
def wiki(hub: FakeHub) -> FakeHub:
    """A hub with some articles that stand for FineWiki."""
    pq.write_table(pq.read_table(SAMPLE).slice(0, 6), buffer := io.BytesIO())
    content = buffer.getvalue()
    hub.push(FINEWIKI, {f"data/{name}wiki/000_00000.parquet": content for name in ("en", "simple")})
    return hub


def shell(program: str, project: Path) -> str:
    """Run a program as a person would who has the environment activated; return what it prints."""
    activate = f". {shlex.quote(str(ROOT / '.venv/bin/activate'))}\n"
    environment = {**os.environ, "HOME": str(project.parent), "COLUMNS": "80"}
    done = subprocess.run(
        ["bash", "-c", activate + program],
        cwd=project, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_of_a_document_works(
    document: str,
    project: Path,
    wiki: FakeHub,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pagecast's own are given to this process, which has all loaded that takes long."""
    for path in NEEDS.get(document, ()):
        assert path in (ROOT / document).read_text(encoding="utf-8")
        if not Path(path).exists():
            pytest.skip(f"{path} is not installed")
    monkeypatch.chdir(project)
    names: dict[str, object] = {}
    printed = io.StringIO()
    for kind, text in steps(document):
        if kind == "pagecast":
            which = text.split()[1]
            few = {"run": " --workers 1 --no_report", "verify": " --workers 1"}.get(which, "")
            done = command(text.removeprefix("pagecast ") + few)
            assert done.code == 0, f"{text}: {done.err}"
            printed.write(done.out)
        elif kind == "python":
            with contextlib.redirect_stdout(printed):
                exec(text, names)
        elif text:
            printed.write(shell(f"set -euo pipefail\n{text}", project))
    for pattern in shown(document):
        assert re.search(pattern, printed.getvalue()), pattern


def test_every_line_that_is_not_run_is_there() -> None:
    """Else this file would excuse what nobody asks for."""
    lines = [
        line for document in DOCUMENTS for _, text in blocks(document) for line in text.splitlines()
    ]
    unused = [what for what in ELSEWHERE if not any(re.match(what, line) for line in lines)]
    assert unused == []


def lines_like(start: str) -> list[list[str]]:
    lines = [line for document in DOCUMENTS for _, text in blocks(document) for line in [text]]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [shlex.split(line) for line in joined.splitlines() if line.startswith(start)]


PARSED: dict[str, Callable[[list[str]], object]] = {
    "pagecast run": lambda words: parse_run(words[2:]),
    "./run_local.sh": lambda words: parse_run(["--input=a", "--output_dir=b", *words[1:]]),
    "./run_flink.sh": lambda words: parse(FLINK, ["--input=a", "--output_dir=b", *words[1:]]),
    "./run_dataflow.sh": lambda words: parse(DATAFLOW, words[1:]),
}


@pytest.mark.parametrize("start", PARSED)
def test_every_option_of_the_commands_is_one(start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = [words for words in lines_like(start) if "--config" not in words]
    assert found
    for words in found:
        PARSED[start](words)


def strings() -> Iterator[str]:
    """Yield all texts of the sources, with "\\0" where something is filled in."""
    yield (ROOT / "ensure_venv.sh").read_text(encoding="utf-8")
    for path in (path for layer in LAYERS for path in ROOT.glob(f"{layer}/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                yield "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "\0"
                    for part in node.values
                )


def test_every_message_of_the_troubleshooting_is_one_of_ours() -> None:
    text = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    messages = re.findall(r"^\| `([^`]+)` ", text, re.MULTILINE)
    assert len(messages) > 30
    known = "\n".join(strings())
    parts = {part.strip(" ;()") for message in messages for part in message.split("...")}
    foreign = sorted(part for part in parts if part not in known)
    assert foreign == []


def test_links_between_the_documents_lead_somewhere() -> None:
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        text = path.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
            if not target.startswith(("http://", "https://")):
                assert (path.parent / target).exists(), f"{path.name}: {target}"
