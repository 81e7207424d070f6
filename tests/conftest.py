"""What several test files need: the real tokenizer, small parquet files, and the command line."""

from __future__ import annotations

import gc
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.testing import test_pipeline
from hypothesis import settings
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from pagecast.dataset.layout import REPORT
from pagecast.tokens.tokenizer import ArticleTokenizer
from pipeline.__main__ import main
from pipeline.cli.commandline import parse
from pipeline.cli.commands import APP
from pipeline.data import data_file
from pipeline.options import RunOptions
from tests.support.hub import FakeHub
from tests.support.order import longest_first
from tests.support.quicker import (
    loaded,
    make_beam_quicker,
    make_renderers_quicker,
    make_stores_quicker,
    make_tokenizers_quicker,
    one_reader_of_footers,
    published,
)
from tests.support.shared import one_at_a_time
from tests.support.stores import LONG

settings.register_profile("any machine", deadline=None, derandomize=True)  # and always the same
settings.load_profile("any machine")

SAMPLE = str(data_file("finewiki_sample.parquet"))
GOLDEN = Path(__file__).parent / "data" / "sample.golden.jsonl"


def parse_run(words: Sequence[str]) -> RunOptions:
    """Return the options of a `run` command line."""
    return parse(APP, ["run", *words]).bound.arguments["options"]


class Outcome(NamedTuple):
    """What a command left: its exit code, what it printed, and its output directory."""

    code: int
    out: str
    err: str
    path: Path

    def lines(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.path / name).read_text("ascii").splitlines()]

    @property
    def manifest(self) -> dict[str, Any]:
        return json.loads((self.path / "split_manifest.json").read_text("ascii"))


RunCommand = Callable[..., Outcome]
PROGRESS = re.compile(r"^pagecast: [^\n]*, \d+ s\n", re.MULTILINE)


def quiet(err: str) -> str:
    """Return what a command said without its progress, of which a slow machine has some."""
    return PROGRESS.sub("", err)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    longest_first(items)


@pytest.fixture(scope="session", autouse=True)
def _quicker() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        make_beam_quicker(patch)
        make_tokenizers_quicker(patch)
        make_renderers_quicker(patch)
        make_stores_quicker(patch)
        # What modules hold is not looked at again for garbage, and all that came later seldom.
        gc.freeze()
        gc.set_threshold(700, 10, 100)
        with one_reader_of_footers(patch):
            yield
    # pytest looks for garbage ten times before it ends: once is enough for what is no garbage.
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _own_search_path() -> None:
    """A command called in this process sets this for those it starts, so for later tests' too."""
    os.environ.pop("PYTHONSAFEPATH", None)


@pytest.fixture(scope="session")
def tokenizer_json() -> bytes:
    return published()


@pytest.fixture(scope="session")
def tokenizer(tokenizer_json: bytes) -> ArticleTokenizer:
    return loaded(tokenizer_json)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The job on the built-in sample with two worker processes, as a person runs it.

    Made once for all processes: nobody may change it.
    """
    with one_at_a_time(tmp_path_factory, "demo") as base:
        told, path = base / "told.json", base / "out"
        if not told.exists():
            command = [sys.executable, "-m", "pipeline", "run", "--input", SAMPLE]
            done = subprocess.run(
                [*command, "--output_dir", path, "--workers", "2"],
                capture_output=True, text=True, check=False, cwd=base,
            )  # fmt: skip
            told.write_text(json.dumps([done.returncode, done.stdout, quiet(done.stderr)]))
        return Outcome(*json.loads(told.read_text()), path)


@pytest.fixture
def empty_python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The interpreter of an environment with nothing but pip, for `packages.install`."""
    with one_at_a_time(tmp_path_factory, "empty") as base:
        python = base / "venv/bin/python"
        if not python.exists():
            venv.create(base / "venv", with_pip=True)
        yield python


@pytest.fixture
def demo_copy(demo: Outcome, tmp_path: Path) -> Path:
    """The demo's output, to go on from."""
    return Path(shutil.copytree(demo.path, tmp_path / "out"))


@pytest.fixture
def run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> RunCommand:
    """Run `pagecast run` on parquet files into a fresh or a named directory, with one worker.

    With a report at the end only for files of tests that set `REPORTS`: it takes a second or two.
    """

    def command(
        *inputs: str | Path, options: str = "", into: str = "out", named: bool = True
    ) -> Outcome:
        path = tmp_path / into
        argv = ["run", *(["--input", *map(str, inputs)] if named else [])]
        argv += ["--output_dir", str(path), "--workers", "1"]
        argv += [] if getattr(request.module, "REPORTS", False) else ["--no_report"]
        capfd.readouterr()
        code = main(argv + options.split())
        out, err = capfd.readouterr()
        return Outcome(code, out, quiet(err), path)

    return command


@pytest.fixture
def hub(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FakeHub]:
    """A hub that this process and those it starts ask, with waits too short to matter."""
    from pagecast.storage.stores import hub

    it = FakeHub()
    monkeypatch.setenv("HF_ENDPOINT", it.url)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", os.devnull)
    kept = str(tmp_path_factory.mktemp("hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", kept)
    # What the library waits between its tries.
    for module in ("utils._http", "file_download"):
        at_once = SimpleNamespace(sleep=it.waits.append)
        monkeypatch.setattr(f"huggingface_hub.{module}.time", at_once)
    hub._kept.clear()
    hub._addresses.clear()
    yield it
    it.close()


class Result(NamedTuple):
    """What a command whose output is in a store left: its exit code and what it printed."""

    code: int
    out: str
    err: str


Command = Callable[..., Result]


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    """Give a command line to this process."""

    def give(line: str) -> Result:
        capfd.readouterr()
        code = main(shlex.split(line))
        out, err = capfd.readouterr()
        return Result(code, out, quiet(err))

    return give


@pytest.fixture(scope="session")
def small_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the tokenizer `small`, which loads in no time."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([LONG], trainer)
    path = tmp_path_factory.mktemp("tokenizer") / "small"
    path.mkdir()
    tokenizer.save(str(path / "tokenizer.json"))
    return path.parent


def in_beam() -> test_pipeline.TestPipeline:
    """Return a TestPipeline on the runner of the jobs here; Beam's default would download one."""
    return test_pipeline.TestPipeline(runner=FnApiRunner())


def write_parquet(path: Path, columns: dict[str, Any], group_rows: int = 1000) -> Path:
    """Write a parquet file of the given columns, in their order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=group_rows)
    return path


def articles(*texts: str | None) -> dict[str, list[str | None]]:
    """Return the columns of a file of articles a0, a1, ... with these texts."""
    numbers = range(len(texts))
    return {
        "id": [f"a{n}" for n in numbers],
        "title": [f"Title {n}" for n in numbers],
        "text": list(texts),
    }


def tree(path: Path, *skip: str) -> dict[str, bytes]:
    """Return all public files below a directory but the report: relative name to content."""
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file() and "_pagecast" not in file.parts and file.name not in (REPORT, *skip)
    }
