from typing import get_args, get_type_hints

import pytest

from pagecast.dataset.split import SplitSettings
from pagecast.modes import VISION_MODES
from pagecast.style.style import LAYOUTS, LINE_BREAKS
from pipeline.options import RunOptions, UsageError
from tests.conftest import parse_run

GIVEN = ["--input", "a.parquet", "--output_dir", "out"]


def test_defaults_are_the_documented_ones() -> None:
    options = parse_run(GIVEN)
    assert options.input == ("a.parquet",)
    assert options.split == SplitSettings(510_000, 10_000, 42)
    assert options.fingerprint_with({"layout": "basic"}) == {
        "min_tokens": 2000,
        "context_tokens": 1000,
        "continuation_tokens": 1000,
        "modes": ["tiny", "small", "base", "large"],
        "num_articles": None,
        "max_article_chars": 20_000_000,
        "layout": "basic",
        "png_level": 5,
        "images": "files",
    }
    assert (options.tokenizer, options.runner, options.shard_rows) == (
        "builtin", "DirectRunner", 256,
    )  # fmt: skip
    assert options.workers >= 1


def test_input_takes_several_paths_as_a_shell_expands_them() -> None:
    assert parse_run(["--input", "a", "b", "--output_dir", "o"]).input == ("a", "b")


def test_modes_are_a_set_in_the_order_of_size() -> None:
    options = parse_run([*GIVEN, "--modes", "base, tiny,base"])
    assert options.modes == (VISION_MODES[0], VISION_MODES[2])


@pytest.mark.parametrize(
    ("given", "modes"),
    [
        ("custom=768", [("custom", 768, 157)]),
        ("x=64,y=4096", [("x", 64, 3), ("y", 4096, 4161)]),
        ("b=700,tiny=512,a=700", [("tiny", 512, 73), ("a", 700, None), ("b", 700, None)]),
    ],
)
def test_a_mode_can_have_any_size(given: str, modes: list[tuple[str, int, int | None]]) -> None:
    options = parse_run([*GIVEN, "--modes", given])
    assert [(mode.name, mode.px, mode.vision_tokens) for mode in options.modes] == modes


def test_the_form_of_images() -> None:
    forms = {"": "files", "--no_images": "none", "--image_shards": "shards"}
    for given, form in forms.items():
        options = parse_run([*GIVEN, *given.split()])
        assert options.form == options.fingerprint_with({})["images"] == form


def test_beam_options_are_passed_on() -> None:
    beam = ["--runner", "FlinkRunner", "--flink_master=h:1", "--parallelism=4", "--job_name", "x"]
    options = parse_run(GIVEN + beam)
    assert options.runner == "FlinkRunner"
    assert options.beam_args == ("--flink_master=h:1", "--parallelism=4", "--job_name", "x")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("--modes huge", "unknown mode 'huge'; the modes are tiny, small, base, large, or NAME=PX"),
        ("--modes custom=63", "custom=63: a page has 64 to 4096 pixels a side"),
        ("--modes custom=4097", "custom=4097: a page has 64 to 4096 pixels a side"),
        ("--modes custom=-1", "unknown mode 'custom=-1'"),
        ("--modes ../x=768", "unknown mode '../x=768'"),
        ("--modes tiny=513", "tiny=513: tiny is 512 pixels already"),
        ("--modes a=70,a=71", "a=71: a is 70 pixels already"),
        ("--no_images --image_shards", "choose one"),
        ("--quiet --verbose", "--quiet says less, --verbose more: choose one"),
        ("--modes tiny,", "unknown mode ''"),
        ("--val_size 510000", "--val_size 510000 leaves no sample to train on"),
        ("--max_samples 10 --val_size 11", "must be less than --max_samples 10"),
        ("--val_size -1", '"-1" for --val_size. Must be >= 0'),
        ("--max_samples 0 --val_size 0", '"0" for --max_samples. Must be >= 1'),
        ("--context_tokens 0", 'invalid value "0" for --context_tokens. Must be >= 1'),
        ("--continuation_tokens -1", '"-1" for --continuation_tokens. Must be >= 0'),
        ("--min_tokens 0", '"0" for --min_tokens. Must be >= 1'),
        ("--num_articles 0", '"0" for --num_articles. Must be >= 1'),
        ("--png_level 0", '"0" for --png_level. Must be >= 1'),
        ("--png_level 10", '"10" for --png_level. Must be <= 9'),
        ("--shard_rows 0", '"0" for --shard_rows. Must be >= 1'),
        ("--max_article_chars 40000001", '"40000001" for --max_article_chars. Must be <= 40000000'),
        ("--shard_rows 4097", '"4097" for --shard_rows. Must be <= 4096'),
        ("--workers 0", '"0" for --workers. Must be >= 1'),
        ("--max_errors -1", '"-1" for --max_errors. Must be >= 0'),
        ("--layout fancy", '"fancy" for --layout. Choose from: "basic", "raqm"'),
        ("--seed abc", "--seed: 'abc' is not a whole number"),
        ("--tokenizer_revision main", "--tokenizer_revision needs --tokenizer with a hub id"),
        ("--max_sample 5", "unknown option --max_sample; did you mean --max_samples?"),
        ("--runner FlinkRunner --seeds=5", "unknown option --seeds; did you mean --seed?"),
        ("--frobnicate", "unknown option --frobnicate"),
        ("--overwrite extra", "unexpected argument 'extra'"),
        ("--direct_num_workers=3", "--direct_num_workers has no effect here; use --workers N"),
        ("--num_workers 2", "--num_workers has no effect here; use --workers N"),
        ("--num-workers=2", "--num_workers has no effect here; use --workers N"),
        ("--max_num_workers 2", "--max_num_workers has no effect here; use --workers N"),
        ("--sdk_worker_parallelism 2", "--sdk_worker_parallelism has no effect here; use"),
        (
            "--direct_runner_bundle_repeat 2",
            "--direct_runner_bundle_repeat has no effect with --run",
        ),
        ("--environment_type LOOPBACK", "--environment_type has no effect with --runner Direct"),
        ("--png_level 1.5", "--png_level: '1.5' is not a whole number"),
    ],
)
def test_wrong_use_says_what_and_why_in_one_line(args: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_run(GIVEN + args.split())
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--output_dir", "o"], "--input is required"),
        (["--input", "a"], "--output_dir is required"),
        (["--input", "a", "--output_dir", ""], "--output_dir is empty"),
        (["--input", "--output_dir", "o"], "--input names no file"),
        (["--input", "a", "--output_dir", "o", "--font"], "--font names no file"),
    ],
)
def test_what_is_missing_is_named(argv: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_run(argv)


def test_fonts_and_line_breaks() -> None:
    assert (parse_run(GIVEN).font, parse_run(GIVEN).line_break) == (None, None)
    options = parse_run([*GIVEN, "--font", "a.ttf", "builtin", "--line_break", "unicode"])
    assert options.font == ("a.ttf", "builtin")
    assert options.line_break == "unicode"
    with pytest.raises(UsageError, match=r'"words" for --line_break\. Choose from: "spaces"'):
        parse_run([*GIVEN, "--line_break", "words"])


def test_articles_that_are_kept_for_nothing_are_doubted() -> None:
    assert parse_run([*GIVEN, "--context_tokens", "4000"]).doubt == (
        "articles of 2000 to 4999 tokens are kept and give no sample, which takes 5000; "
        "to leave them out give --min_tokens 5000"
    )
    for line in ("", "--context_tokens 500", "--context_tokens 4000 --min_tokens 100"):
        assert parse_run([*GIVEN, *line.split()]).doubt is None


def test_hyphens_are_as_good_as_underscores() -> None:
    options = parse_run(["--input=a", "--output-dir=o", "--min-tokens", "7", "--max_samples=20000"])
    assert (options.output_dir, options.min_tokens) == ("o", 7)


def test_the_choices_are_those_of_the_pages() -> None:
    hints = get_type_hints(RunOptions)
    for name, known in (("layout", LAYOUTS), ("line_break", LINE_BREAKS)):
        assert get_args(get_args(hints[name])[0]) == known


def test_a_url_of_a_local_file_is_its_path() -> None:
    words = ["--input", "file:///a b/%20.parquet", "LOCAL:///c", "http://d/e", "--output_dir"]
    options = parse_run([*words, "file://out"])
    assert options.input == ("/a b/%20.parquet", "/c", "http://d/e")
    assert options.output_dir == "out"
