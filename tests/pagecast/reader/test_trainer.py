"""In an environment that a trainer has locked: the library beside it, and what its loaders read."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path

import pytest

from pagecast import PageReader
from pipeline.__main__ import main
from tests.conftest import SAMPLE, RunCommand
from tests.support.hub import FakeHub
from tests.support.packages import command, install

ROOT = Path(__file__).parents[3]
TRAINER = Path(tempfile.gettempdir()) / "pagecast-trainer"  # .ci/run makes it
FORMS = ("", "--image_shards --shard_rows 2", "--no_images")


@pytest.fixture
def trainer() -> Path:
    if not (TRAINER / "installed").exists():
        pytest.skip(f"no environment with PyTorch in {TRAINER}: .ci/run makes it")
    return TRAINER / "bin/python"


def test_a_trainer_installs_the_library_and_loads_each_form(
    trainer: Path, tmp_path: Path, run: RunCommand
) -> None:
    """No package of its own moves, and all pages are those that were stored."""
    options = "--num_articles 6 --modes tiny,base"
    paths = [run(SAMPLE, options=f"{options} {form}").path for form in FORMS]
    command(sys.executable, "-m", "build", "--sdist", "--outdir", tmp_path, ROOT, cwd=tmp_path)
    install(trainer, *tmp_path.glob("pagecast-*.tar.gz"))
    script = ROOT / "tests/support/trainer.py"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = command(trainer, "-P", script, *paths, cwd=tmp_path, env=environment)
    installed, summary = done.stdout.splitlines()
    found = json.loads(installed)
    locked = dict(pin.split("==") for pin in (TRAINER / "installed").read_text().split())
    assert {name: found[name] for name in locked} == locked
    assert found["huggingface_hub"].startswith("0.")
    assert summary == "3 datasets are the same; loaded beside: []"
    done = command("bash", "-c", f"{trainer.with_name('pagecast')} run 2>&1 || true", cwd=tmp_path)
    assert "which the commands need: pip install 'pagecast[pipeline]'" in done.stdout


FROM_THE_HUB = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
import huggingface_hub
from pagecast import PageReader, ReaderError
reader = PageReader("hf://datasets/me/pages@main")
assert huggingface_hub.__version__.startswith("0.")
for sample in reader["train"].take(range(len(reader["train"]))):
    print(sample["id"], hashlib.sha256(reader.image(sample, "tiny").tobytes()).hexdigest())
for other in ("me/none", "me/pages@v9"):
    try:
        _ = PageReader(f"hf://datasets/{other}").splits
    except ReaderError as error:
        print(error)
"""


def test_a_trainer_opens_what_is_published(
    trainer: Path, tmp_path: Path, run: RunCommand, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the huggingface_hub that it has, which is not the one that published it."""
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    out = run(SAMPLE, options="--num_articles 6 --modes tiny --no_images").path
    assert main(["publish", "--output_dir", str(out), "--repo", "me/pages", "--no_verify"]) == 0
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home")}
    done = command(trainer, "-P", "-c", FROM_THE_HUB, ROOT, cwd=tmp_path, env=environment)
    reader = PageReader(out)
    pages = [
        f"{sample['id']} {hashlib.sha256(reader.image(sample, 'tiny').tobytes()).hexdigest()}"
        for sample in reader["train"]
    ]
    *found, none, revision = done.stdout.splitlines()
    assert found == pages
    assert none.startswith("hf://datasets/me/none/split_manifest.json is not there: ")
    assert revision.startswith("hf://datasets/me/pages@v9/split_manifest.json is not there: ")
