"""Options from a file: what it may hold, what wins, and what a run writes of its own."""

import os
import re
from pathlib import Path

import pytest
import yaml

from pipeline import configfile
from pipeline.commandline import parse_run
from pipeline.options import RunOptions, UsageError
from tests.conftest import RunCommand, articles, write_parquet

YAML = """\
input: [a.parquet, b.parquet]   # several
output_dir: out
modes: [base, custom=768]
min_tokens: 100
arrow: true
no_merge: false
font: null
seed: 7
"""
TOML = """\
input = ["a.parquet", "b.parquet"]
output_dir = "out"
modes = "base,custom=768"
min_tokens = 100
arrow = true
no_merge = false
seed = 7
"""


@pytest.mark.parametrize(("name", "content"), [("a.yaml", YAML), ("a.YML", YAML), ("a.toml", TOML)])
def test_a_file_is_as_good_as_a_command_line(name: str, content: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(content)
    typed = "--input a.parquet b.parquet --output_dir out --modes base,custom=768 --min_tokens 100"
    assert parse_run(["--config", str(path)]) == parse_run([*typed.split(), "--arrow", "--seed=7"])


def test_the_command_line_wins_wherever_the_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(YAML)
    for argv in (["--seed", "8", f"--config={path}"], ["--config", str(path), "--seed", "8"]):
        options = parse_run([*argv, "--input", "c.parquet"])
        assert (options.seed, options.input, options.min_tokens) == (8, ("c.parquet",), 100)


def test_beams_options_too(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("runner: FlinkRunner\nparallelism: 4\nexperiments: [a, b]\nstreaming: true\n")
    options = parse_run(["--config", str(path), "--input", "a", "--output_dir", "o"])
    assert options.runner == "FlinkRunner"
    assert options.beam_args == (
        "--parallelism=4", "--experiments=a", "--experiments=b", "--streaming",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.yaml", "mintokens: 3", "unknown option --mintokens; did you mean --min_tokens?"),
        ("a.yaml", "min_tokens: many", "argument --min_tokens: invalid int value: 'many'"),
        ("a.yaml", "modes: [base, huge]", "unknown mode 'huge'"),
        ("a.yaml", "frob: 3", "unknown option --frob"),
        ("a.yaml", "arrow: 3", "argument --arrow: ignored explicit argument '3'"),
        ("a.yaml", "min_tokens: true", "argument --min_tokens: expected one argument"),
        ("a.yaml", "min_tokens: {a: 3}", "min_tokens must be a value, or a list of values"),
        ("a.yaml", "input: [a, [b]]", "input must be a value, or a list of values"),
        ("a.yaml", "input: [--seed]", "input '--seed' begins like an option"),
        ("a.yaml", "config: b.yaml", "'config' is not the name of an option"),
        ("a.yaml", "--seed: 3", "'--seed' is not the name of an option"),
        ("a.yaml", "3: 3", "3 is not the name of an option"),
        ("a.yaml", "- seed", "it must be lines of an option and its value"),
        ("a.yaml", "seed", "it must be lines of an option and its value"),
        ("a.yaml", "a: [b", "cannot be read: while parsing a flow sequence"),
        ("a.yaml", "a: !!python/object:os.system b", "could not determine a constructor"),
        ("a.yaml", "[" * 5000, "cannot be read: "),
        ("a.toml", "seed = ", "cannot be read: Invalid value (at end of document)"),
        ("a.toml", "[table]\nseed = 3", "table must be a value, or a list of values"),
        ("a.json", "{}", "its name must end in .yaml, .yml or .toml"),
        ("a.yaml", None, "cannot be read: [Errno 2] No such file or directory"),
        ("a.yaml", "\udcff", "cannot be read: 'utf-8' codec can't decode byte 0xff"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(
    name: str, content: str | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError) as error:
        parse_run(["--config", str(path), "--input", "a", "--output_dir", "o"])
    assert str(error.value).startswith(f"--config {path}")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("argv", [["--config"], ["--config="], ["--config=a", "--config", "b"]])
def test_there_is_one_file(argv: list[str]) -> None:
    with pytest.raises(UsageError, match=r"^--config takes one file, once$"):
        configfile.split(argv)


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("# nothing yet\n")
    assert configfile.expand(["--seed", "3", "--config", str(tmp_path / "a.yaml")]) == [
        "--seed", "3",
    ]  # fmt: skip


def given(*more: str) -> RunOptions:
    return parse_run(["--input", "a*", "s3://b/c", "--output_dir", "o", *more])


def test_the_effective_options_are_all_of_them() -> None:
    found = yaml.safe_load(configfile.effective(given("--modes", "large,custom=64", "--arrow")))
    assert found["input"] == [os.path.abspath("a*"), "s3://b/c"]
    assert found["modes"] == ["custom=64", "large"]
    assert (found["arrow"], found["filtered"], found["min_tokens"]) == (True, False, 2000)
    assert not {"output_dir", "overwrite", "force_unlock", "beam_args", "font"} & found.keys()


def test_the_effective_options_have_beams_but_no_secrets() -> None:
    content = configfile.effective(
        given(
            "--runner=FlinkRunner", "--parallelism", "4", "--experiments=a", "--experiments", "b",
            "--streaming", "--s3_secret_access_key", "hush", "--s3_session_token=hush",
            "--s3_access_key_id=hush", "--s3_region_name=eu",
        )
    )  # fmt: skip
    assert b"hush" not in content
    found = yaml.safe_load(content)
    assert found["experiments"] == ["a", "b"]
    assert (found["parallelism"], found["streaming"]) == ("4", True)
    assert found["s3_region_name"] == "eu"


def test_a_run_writes_its_options_and_they_make_the_same_again(
    run: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_parquet(tmp_path / "a b.parquet", articles("words " * 200, "x"))
    options = "--min_tokens 50 --context_tokens 30 --continuation_tokens 9 --modes tiny,c=65"
    first = run("a b.parquet", options=options)
    written = first.path / "_pagecast/options.yaml"
    monkeypatch.chdir("/")
    again = run(options=f"--config {written}", into="again", named=False)
    assert again.code == 0, again.err
    assert len(again.lines("samples.jsonl")) == 5
    for name in ("samples.jsonl", "train.jsonl", "split_manifest.json", "_pagecast/options.yaml"):
        assert (again.path / name).read_bytes() == (first.path / name).read_bytes()
    assert list(yaml.safe_load(written.read_text())["modes"]) == ["c=65", "tiny"]


def test_names_of_options_in_the_file_are_those_of_the_settings() -> None:
    found = yaml.safe_load(configfile.effective(given()))
    assert not [name for name in found if not re.fullmatch(r"[a-z_]+", name)]
    assert found.keys() <= set(RunOptions.__dataclass_fields__)
