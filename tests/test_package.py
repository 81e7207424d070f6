"""What a person gets: the source distribution, and the scripts, run as they stand in the README."""

import hashlib
import json
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

import pytest

from pipeline.data import data_file
from tests.conftest import SAMPLE, tree
from transforms.render.fonts import default_font

ROOT = Path(__file__).parents[1]
LOAD_ASSETS = """
import hashlib, json, pipeline, transforms
from pipeline.assets import builtin_tokenizer
from pipeline.data import data_file
from transforms.render.fonts import default_font
contents = [data_file("finewiki_sample.parquet").read_bytes(), default_font(), builtin_tokenizer()]
print(json.dumps([pipeline.__file__, *(hashlib.sha256(c).hexdigest() for c in contents)]))
"""


def command(*args: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        list(map(str, args)), cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sdist")
    command(sys.executable, "-m", "build", "--sdist", "--outdir", out, ROOT, cwd=out)
    (found,) = out.glob("pagecast-*.tar.gz")
    return found


def test_the_sdist_carries_data_and_licences_and_no_tests(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert names >= {
        "LICENSE", "README.md", "setup.py", "pyproject.toml",
        "pipeline/data/finewiki_sample.parquet", "pipeline/data/finewiki_sample.LICENSE",
        "pipeline/data/deepseek_ocr_tokenizer.json",
        "transforms/render/fonts/DejaVuSans.ttf", "transforms/render/fonts/DejaVuSans.LICENSE",
    }  # fmt: skip
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]


def test_an_sdist_in_an_empty_environment_loads_its_assets(sdist: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv/bin/python"
    command(python, "-m", "pip", "install", "--quiet", sdist, cwd=tmp_path)
    where, *hashes = json.loads(command(python, "-I", "-c", LOAD_ASSETS, cwd=tmp_path).stdout)
    assert Path(where).is_relative_to(tmp_path)
    here = [data_file("finewiki_sample.parquet").read_bytes(), default_font()]
    assert hashes[:2] == [hashlib.sha256(content).hexdigest() for content in here]
    assert hashes[2].startswith("a02f8fd5228c9025")
    command(tmp_path / "venv/bin/pagecast", "run", "--help", cwd=tmp_path)


def test_run_local_without_arguments_makes_the_demo() -> None:
    done = command("./run_local.sh", cwd=ROOT)
    table = [line.split()[0] for line in done.stdout.splitlines()]
    assert table == [
        "articles", "kept", "dropped,", "samples", "pages", "train", "val", "unused", "seconds",
        "output",
    ]  # fmt: skip
    assert (ROOT / "output/demo/split_manifest.json").exists()


def test_run_local_passes_arguments_on_from_where_it_is_called(tmp_path: Path) -> None:
    """As in the README: a glob that the shell expanded, and a relative output directory."""
    (tmp_path / "my files").mkdir()
    (tmp_path / "my files/1.parquet").write_bytes(Path(SAMPLE).read_bytes())
    script = f"{ROOT}/run_local.sh --input my*/*.parquet --output_dir 'big one' --num_articles 4"
    command("bash", "-c", f"{script} --modes tiny", cwd=tmp_path)
    manifest = json.loads((tmp_path / "big one/split_manifest.json").read_text())
    assert manifest["counts"]["rows_read"] == 4
    assert (tmp_path / "big one/images/tiny").is_dir()
    only_output = f"{ROOT}/run_local.sh --output_dir=sample --num_articles=4 --modes=tiny"
    command("bash", "-c", only_output, cwd=tmp_path)
    assert tree(tmp_path / "sample", "split_manifest.json") == tree(
        tmp_path / "big one", "split_manifest.json"
    )


def test_every_option_is_in_the_readme() -> None:
    from pipeline.options import run_parser

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    options = {o for o in run_parser()._option_string_actions if o.startswith("--")} - {"--help"}
    assert len(options) > 15
    assert not [option for option in options if f"`{option}" not in readme]
