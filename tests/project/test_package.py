"""What a person gets: the source distribution, and the scripts, run as they stand in the README."""

import json
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App
from packaging.requirements import Requirement

from tests.conftest import SAMPLE, Outcome, RunCommand, articles, tree, write_parquet
from tests.pipeline.cli.test_commandline import COMMAND_LINES, POOL, own_options
from tests.support.packages import check_assets, command, contents, install

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sdist")
    command(sys.executable, "-m", "build", "--sdist", "--outdir", out, ROOT, cwd=out)
    (found,) = out.glob("pagecast-*.tar.gz")
    return found


def test_the_sdist_carries_data_and_licences_and_no_tests(sdist: Path) -> None:
    names = set(contents(sdist))
    assert names >= {
        "LICENSE", "README.md", "setup.py", "pyproject.toml",
        "pipeline/data/finewiki_sample.parquet", "pipeline/data/finewiki_sample.LICENSE",
        "pipeline/data/deepseek_ocr_tokenizer.json", "pipeline/report/style.css",
        "pipeline/report/plot.svg",
        "pipeline/data/styles/paper.yaml",
        "pagecast/render/fonts/DejaVuSans.ttf", "pagecast/render/fonts/DejaVuSans.LICENSE",
    }  # fmt: skip
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]


# A trainer's environment, which `pip install pagecast` must leave as it is.
LOCKED = {
    "huggingface_hub": "0.36.0", "numpy": "2.0.2", "Pillow": "12.0.0", "fsspec": "2024.9.0",
    "tokenizers": "0.20.3", "torch": "2.6.0", "transformers": "4.46.3",
}  # fmt: skip


def test_the_library_takes_the_versions_that_a_trainer_has_locked() -> None:
    needed = [Requirement(line) for line in metadata.requires("pagecast") or []]
    base = {each.name: each.specifier for each in needed if each.marker is None}
    assert set(base) == {"fonttools", "fsspec", "numpy", "Pillow", "zlib-ng"}
    for name in base.keys() & LOCKED.keys():
        assert base[name].contains(LOCKED[name]), name


def test_an_sdist_in_an_empty_environment_loads_its_assets(
    sdist: Path, empty_python: Path, tmp_path: Path
) -> None:
    install(empty_python, f"{sdist}[pipeline]")
    check_assets(empty_python)
    command(empty_python.with_name("pagecast"), "run", "--help", cwd=tmp_path)


def test_run_local_passes_arguments_on_from_where_it_is_called(tmp_path: Path) -> None:
    """As in the README: a glob that the shell expanded, and a relative output directory."""
    (tmp_path / "my files").mkdir()
    (tmp_path / "my files/1.parquet").write_bytes(Path(SAMPLE).read_bytes())
    script = f"{ROOT}/run_local.sh --input my*/*.parquet --output_dir 'big one' --num_articles 4"
    command("bash", "-c", f"{script} --modes tiny --no_report", cwd=tmp_path)
    manifest = json.loads((tmp_path / "big one/split_manifest.json").read_text())
    assert manifest["counts"]["rows_read"] == 4
    assert (tmp_path / "big one/images/tiny").is_dir()
    only_output = (
        f"{ROOT}/run_local.sh --output_dir=sample --num_articles=4 --modes=tiny --no_report"
    )
    command("bash", "-c", only_output, cwd=tmp_path)
    assert tree(tmp_path / "sample", "split_manifest.json") == tree(
        tmp_path / "big one", "split_manifest.json"
    )


@pytest.mark.parametrize(("app", "words"), [line for line in COMMAND_LINES if line[0] != POOL])
def test_every_option_is_documented(app: App, words: list[str]) -> None:
    pages = (ROOT / "docs/options.md", ROOT / "docs/clusters.md")
    described = "".join(page.read_text(encoding="utf-8") for page in pages)
    assert not [option for option in own_options(app, words) if f"`{option}" not in described]


def code_blocks(document: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def test_the_code_for_loaders_reads_a_dataset(demo: Outcome, run: RunCommand) -> None:
    reading, drawing = code_blocks("docs/loading.md")
    drawn = run(SAMPLE, options="--no_images --num_articles 3")
    for out in (demo.path, drawn.path):
        names: dict[str, Any] = {}
        exec(reading.replace("output/demo", str(out)), names)
        assert (names["page"].mode, names["page"].size) == ("L", (1024, 1024))
        assert names["batch"]["page"].shape == (4, 1024, 1024)
    names = {"sample": names["sample"]}
    exec(drawing, names)
    assert names["image"].size == (1280, 1280)


def test_the_code_of_the_format_reads_a_dataset(run: RunCommand) -> None:
    found = run(SAMPLE, options="--image_shards --arrow --parquet --modes base,tiny")
    names: dict[str, Any] = {}
    tars, arrow, parquet = code_blocks("docs/format.md")
    for code in (tars, arrow):
        exec(code.replace("output/demo", str(found.path)), names)
    assert names["page"]["__key__"] == found.lines("samples.jsonl")[-1]["id"]
    assert names["page"]["png"].size == (1024, 1024)
    assert names["train"][0] == found.lines("train.jsonl")[0]
    exec(parquet.replace("output/demo", str(found.path)), names)
    assert names["tokens"] == found.lines("train.jsonl")[0]["context_tokens"]
    assert names["page"].size == (1024, 1024)


def keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from keys(inner)
    elif isinstance(value, list):
        for inner in value[:3]:
            yield from keys(inner)


def test_every_field_of_every_file_is_in_the_format(run: RunCommand, tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "a.parquet", articles("words " * 200, None, " ", "short"))
    options = "--min_tokens 50 --context_tokens 30 --continuation_tokens 9 --modes tiny,custom=65"
    found = run(source, options=f"{options} --arrow --parquet --filtered")
    described = (ROOT / "docs/format.md").read_text(encoding="utf-8")
    data = {"tiny", "custom", *(sample["id"] for sample in found.lines("samples.jsonl"))}
    descriptions = {"citation", "description", "homepage", "license", "_type", "feature", "dtype"}
    ignored = data | descriptions | {"_format_columns", "_format_kwargs", "_format_type",
                                     "_output_all_columns", "filename"}  # fmt: skip
    files = [path for path in found.path.rglob("*") if path.suffix in (".json", ".jsonl")]
    assert len(files) > 10
    for path in files:
        if path.parent.name != "assets":
            for line in [path.read_text()] if path.suffix == ".json" else path.open():
                unknown = {k for k in keys(json.loads(line)) if k not in ignored}
                missing = sorted(k for k in unknown if not re.search(rf"[`.]{k}[`.]", described))
                assert not missing, path
