"""Options from a file: what it may hold, what wins, and what a run writes of its own."""

import os
import re
from pathlib import Path

import pytest
import yaml

from pipeline.cli import configfile
from pipeline.options import RunOptions, UsageError
from tests.conftest import RunCommand, articles, parse_run, write_parquet

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
        ("a.yaml", "seed: 1\nmintokens: 3", ", line 2: unknown option --mintokens; did you mean"),
        ("a.yaml", "min_tokens: many", ", line 1: invalid value for --min_tokens: 'many' is not"),
        ("a.yaml", "min_tokens: 1.5", ", line 1: invalid value for --min_tokens: '1.5' is not"),
        ("a.yaml", "min_tokens: 0o17", ", line 1: invalid value for --min_tokens: '0o17' is not"),
        ("a.yaml", "min_tokens: true", ", line 1: invalid value for --min_tokens: 'true' is not"),
        ("a.yaml", "\npng_level: 0", ', line 2: invalid value "0" for --png_level. Must be >= 1'),
        ("a.yaml", "\nlayout: no", ', line 2: invalid value "no" for --layout. Choose from:'),
        ("a.yaml", "seed: 1\nval_size: 510000", ", line 2: --val_size 510000 leaves no sample"),
        (
            "a.yaml",
            "modes: [base, huge]",
            ", line 1: invalid value for --modes: unknown mode 'huge'",
        ),
        ("a.yaml", "frob: 3", ", line 1: unknown option --frob"),
        ("a.yaml", "seed: 1\nrunner: Frob", ", line 2: --runner Frob cannot be used: Unexpected"),
        ("a.yaml", "num_workers: 3", ", line 1: --num_workers has no effect here; use --workers N"),
        ("a.yaml", "hdfs_port: x\ndisk: 3", ", line 2: unknown option --disk"),
        ("a.yaml", "arrow: 3", ", line 1: arrow is '3'; it must be true or false"),
        ("a.yaml", "arrow: yes", ", line 1: arrow is 'yes'; it must be true or false"),
        ("a.yaml", "arrow: [true]", ", line 1: arrow takes one value, not a list"),
        ("a.yaml", "seed: [1, 2]", ", line 1: seed takes one value, not a list"),
        ("a.yaml", "seed: 1\nseed: 2", ", line 2: seed stands in line 1 already"),
        (
            "a.yaml",
            "min_tokens: {a: 3}",
            ", line 1: min_tokens must be a value, or a list of values",
        ),
        ("a.yaml", "input: [a, [b]]", ", line 1: input must be a value, or a list of values"),
        ("a.yaml", "input: &a [*a]", ", line 1: input must be a value, or a list of values"),
        ("a.yaml", "config: b.yaml", ", line 1: 'config' is not the name of an option"),
        ("a.yaml", "--seed: 3", ", line 1: '--seed' is not the name of an option"),
        ("a.yaml", "3: 3", ", line 1: '3' is not the name of an option"),
        ("a.yaml", "{a: b}: 3", ", line 1: "),
        ("a.yaml", "- seed", ", line 1: it must be lines of an option and its value"),
        ("a.yaml", "seed", ", line 1: it must be lines of an option and its value"),
        ("a.yaml", "a: [b", " cannot be read: while parsing a flow sequence"),
        ("a.yaml", "a: 1\n---\na: 2", " cannot be read: expected a single document"),
        (
            "a.yaml",
            "a: !!python/object:os.system b",
            ", line 1: a has the tag tag:yaml.org,2002:py",
        ),
        ("a.yaml", "[" * 5000, " cannot be read: "),
        ("a.toml", "seed = ", " cannot be read: Invalid value (at end of document)"),
        ("a.toml", "seed = 1\nseed = 2\n", " cannot be read: Cannot overwrite a value (at"),
        ("a.toml", "a = 1\n[table]\nseed = 3", ", line 2: table must be a value, or a list of"),
        ("a.toml", "# seed =\n\nseed = 1.5", ", line 3: invalid value for --seed: '1.5' is not"),
        ("a.toml", "\n arrow = 1", ", line 2: arrow is '1'; it must be true or false"),
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


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--config"], "--config needs a value"),
        (["--config="], "--config : its name must end in .yaml"),
        (["--config=a", "--config", "b"], "parameter --config specified multiple times"),
    ],
)
def test_there_is_one_file(argv: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=f"^{message}"):
        parse_run(["--input", "a", "--output_dir", "o", *argv])


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("# nothing yet\n")
    typed = ["--seed", "3", "--input", "a", "--output_dir", "o"]
    assert parse_run([*typed, "--config", str(tmp_path / "a.yaml")]) == parse_run(typed)


def of_file(path: Path, content: str) -> RunOptions:
    path.write_text(content)
    return parse_run(["--config", str(path), "--input", "a", "--output_dir", "o"])


def test_values_are_what_stands_there(tmp_path: Path) -> None:
    """By YAML's version 1.2, and by the type of the option; PyYAML's own is version 1.1."""
    found = of_file(
        tmp_path / "a.yaml",
        "seed: 010\nval_size: 0\ntokenizer: a/b\ntokenizer_revision: 0123456\nfont: [on, 'null']\n"
        "arrow: True\nfiltered: false\nnum_articles: null\nmax-errors: 3\n",
    )
    assert (found.seed, found.val_size, found.max_errors) == (10, 0, 3)
    assert (found.tokenizer_revision, found.font) == ("0123456", ("on", "null"))
    assert (found.arrow, found.filtered, found.num_articles) == (True, False, None)
    assert of_file(tmp_path / "a.toml", "seed = 1_0\n'max-errors' = 3\n").seed == 10
    assert of_file(tmp_path / "a.yaml", "tokenizer: yes\n").tokenizer == "yes"
    assert of_file(tmp_path / "a.yaml", "tokenizer: 1e3\n").tokenizer == "1e3"


def test_a_tilde_is_the_home_and_no_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    (tmp_path / "a.yaml").write_text(
        "input: [~/a/*.parquet, b]\noutput_dir: ~/out\nfont: ~/f.ttf\n"
    )
    found = parse_run([f"--config={tmp_path}/a.yaml"])
    assert found.input == ("/home/me/a/*.parquet", "b")
    assert (found.output_dir, found.font) == ("/home/me/out", ("/home/me/f.ttf",))
    assert parse_run(["--input=~/a", "--output_dir=~/o"]).output_dir == "/home/me/o"
    assert parse_run([f"--config=file://{tmp_path}/a.yaml"]) == found


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
