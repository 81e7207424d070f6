import pytest

from pipeline.commandline import parse_run
from pipeline.options import UsageError
from transforms.modes import VISION_MODES

GIVEN = ["--input", "a.parquet", "--output_dir", "out"]


def test_defaults_are_the_documented_ones() -> None:
    options = parse_run(GIVEN)
    assert options.input == ("a.parquet",)
    assert options.split == (510_000, 10_000, 42)
    assert options.deciding == {
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


def test_the_form_of_pictures() -> None:
    forms = {"": "files", "--no_images": "none", "--image_shards": "shards"}
    for given, form in forms.items():
        options = parse_run([*GIVEN, *given.split()])
        assert options.pages.form == options.deciding["images"] == form


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
        ("--val_size -1", "--val_size is -1; it must be at least 0"),
        ("--max_samples 0 --val_size 0", "--max_samples is 0; it must be at least 1"),
        ("--context_tokens 0", "--context_tokens is 0; it must be at least 1"),
        ("--continuation_tokens -1", "--continuation_tokens is -1; it must be at least 0"),
        ("--min_tokens 0", "--min_tokens is 0; it must be at least 1"),
        ("--num_articles 0", "--num_articles is 0; it must be at least 1"),
        ("--png_level 0", "--png_level is 0; it must be at least 1"),
        ("--png_level 10", "--png_level is 10; it must be at most 9"),
        ("--shard_rows 0", "--shard_rows is 0; it must be at least 1"),
        (
            "--max_article_chars 40000001",
            "--max_article_chars is 40000001; a worker has memory for at most 40000000",
        ),
        ("--shard_rows 4097", "--shard_rows is 4097; a worker holds at most 4096 rows"),
        ("--workers 0", "--workers is 0; it must be at least 1"),
        ("--max_errors -1", "--max_errors is -1; it must be at least 0"),
        ("--layout fancy", "--layout fancy is not one of basic, raqm"),
        ("--seed abc", "--seed: invalid int value: 'abc'"),
        ("--tokenizer_revision main", "--tokenizer_revision needs --tokenizer with a hub id"),
        ("--max_sample 5", "unknown option --max_sample; did you mean --max_samples?"),
        ("--runner FlinkRunner --seeds=5", "unknown option --seeds; did you mean --seed?"),
        ("--frobnicate", "unknown option --frobnicate"),
        ("--overwrite extra", "unexpected argument 'extra'"),
        ("--direct_num_workers=3", "--direct_num_workers has no effect here; use --workers N"),
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
        (["--output_dir", "o"], "required: --input"),
        (["--input", "a"], "required: --output_dir"),
        (["--input", "a", "--output_dir", ""], "--output_dir is empty"),
    ],
)
def test_what_is_missing_is_named(argv: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_run(argv)


def test_fonts_and_line_breaks() -> None:
    assert (parse_run(GIVEN).font, parse_run(GIVEN).pages.line_break) == (None, "spaces")
    options = parse_run([*GIVEN, "--font", "a.ttf", "builtin", "--line_break", "unicode"])
    assert options.font == ("a.ttf", "builtin")
    assert options.pages.line_break == options.deciding["line_break"] == "unicode"
    with pytest.raises(UsageError, match="--line_break words is not one of spaces, unicode"):
        parse_run([*GIVEN, "--line_break", "words"])


def test_articles_that_are_kept_for_nothing_are_doubted() -> None:
    assert parse_run([*GIVEN, "--context_tokens", "4000"]).doubt == (
        "articles of 2000 to 4999 tokens are kept and give no sample, which takes 5000; "
        "to leave them out give --min_tokens 5000"
    )
    for line in ("", "--context_tokens 500", "--context_tokens 4000 --min_tokens 100"):
        assert parse_run([*GIVEN, *line.split()]).doubt is None
