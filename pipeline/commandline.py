"""The command line of `run`, and of what is around it: options, groups, defaults."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners import create_runner

from pipeline import configfile
from pipeline.options import (
    BUILTIN,
    LOCAL_RUNNER,
    RunOptions,
    UsageError,
    is_dataflow,
    usable_cpus,
)
from pipeline.parser import Parser, similar
from transforms.limits import MAX_ARTICLE_CHARS
from transforms.modes import VISION_MODES, VisionMode

CUSTOM_MODE = re.compile(r"([a-z][a-z0-9_]{0,31})=([0-9]{1,9})")
PAGE_SIZES = range(64, 4097)  # in pixels
BEAM = "Any other option is Beam's own, e.g. --runner PrismRunner."


def run_parser() -> Parser:
    """Return the parser of `run`."""
    parser = Parser(
        "pagecast run",
        "--input PATH ... --output_dir DIR",
        "Turn articles in parquet files into samples, pages and a train/val split.",
        "pagecast run --input 'enwiki/*.parquet' --output_dir out --modes base",
        BEAM,
    )
    add_options(parser)
    return parser


def add_options(parser: Parser, output_required: bool = True) -> None:
    """Add the options of `run`, each a field of `RunOptions`.

    Args:
      output_required: whether there is no job without --output_dir.
    """
    where = parser.group("where")
    where.add(
        "input",
        "parquet files, globs, directories, hf://datasets/...",
        nargs="+",
        required=True,
        metavar="PATH",
    )
    where.add("output_dir", "directory for everything", required=output_required, metavar="DIR")
    where.add("config", "YAML or TOML file of options; those given here win", metavar="FILE")
    where.switch("overwrite", "remove what an earlier run left in DIR first")
    where.switch("force_unlock", "go on though another run may hold DIR")
    where.switch("no_preflight", "start though the disk seems too small")

    data = parser.group("what becomes a sample")
    data.number("min_tokens", "shortest article that is kept", 2000)
    data.number("context_tokens", "tokens drawn as a page", 1000)
    data.number("continuation_tokens", "tokens that follow", 1000)
    data.number("num_articles", "use only the first N rows")
    data.number("max_article_chars", "longer articles fail; at most 40000000", MAX_ARTICLE_CHARS)
    data.number("max_errors", "articles that may fail with exit code still 0", 0)
    data.add("tokenizer", "or a hub id, or a directory", default=BUILTIN, metavar="NAME")
    data.add("tokenizer_revision", "commit or tag of the hub id", metavar="REV")

    pages = parser.group("pages")
    pages.add(
        "modes",
        "sizes, or NAME=PX",
        default=",".join(mode.name for mode in VISION_MODES),
        type=parse_modes,
        metavar="A,B",
    )
    pages.add(
        "font",
        "fonts instead of DejaVu Sans, the first first",
        nargs="+",
        metavar="FILE",
    )
    pages.add("layout", "basic, or raqm for shaping", default="basic", metavar="NAME")
    pages.add(
        "line_break", "spaces, or unicode for CJK and the like", default="spaces", metavar="NAME"
    )
    pages.number("png_level", "deflate effort, 1 to 9", 5)
    pages.switch("image_shards", "one tar of pages for each shard and mode")
    pages.switch("no_images", "store no pages; a reader draws them on demand")

    split = parser.group("split")
    split.number("max_samples", "samples in train and val together", 510_000)
    split.number("val_size", "samples in val", 10_000)
    split.number("seed", "seed of the hashes that decide the split", 42)
    split.switch("no_merge", "leave train and val as part files")

    more = parser.group("more outputs")
    more.switch("arrow", "the split for datasets.load_from_disk too")
    more.switch("filtered", "the kept articles with their tokens too")
    more.switch("no_report", "make no report.html at the end")

    how = parser.group("how it runs")
    how.add("runner", "Beam runner", default=LOCAL_RUNNER, metavar="NAME")
    how.number("workers", "local processes", usable_cpus())
    how.number("shard_rows", "rows per unit of work", 256)
    how.switch("quiet", "no progress, only what went wrong and the table")
    how.switch("verbose", "all that Beam and other libraries tell")


def parse_modes(text: str) -> tuple[VisionMode, ...]:
    """Return the vision modes of a comma-separated list, smallest page first.

    An entry is the name of a mode, or NAME=PX for another size.
    """
    known = {mode.name: mode for mode in VISION_MODES}
    chosen: dict[str, VisionMode] = {}
    for entry in (entry.strip() for entry in text.split(",")):
        mode = known.get(entry)
        if custom := CUSTOM_MODE.fullmatch(entry):
            mode = VisionMode(custom[1], int(custom[2]))
            if mode.px not in PAGE_SIZES:
                raise argparse.ArgumentTypeError(
                    f"{entry}: a page has {PAGE_SIZES[0]} to {PAGE_SIZES[-1]} pixels a side"
                )
        if mode is None:
            raise argparse.ArgumentTypeError(
                f"unknown mode {entry!r}; the modes are {', '.join(known)}, or NAME=PX"
            )
        same = known.get(mode.name) or chosen.get(mode.name, mode)
        if same != mode:
            raise argparse.ArgumentTypeError(f"{entry}: {mode.name} is {same.px} pixels already")
        chosen[mode.name] = mode
    return tuple(sorted(chosen.values(), key=lambda mode: (mode.px, mode.name)))


def parse_run(argv: Sequence[str], others: Sequence[str] = ()) -> RunOptions:
    """Return the options of a `run` command line.

    Args:
      others: options of a command around it, which may have been meant by a misspelt one.

    Raises:
      UsageError: an option is unknown, missing or wrong; its text is one line.
    """
    parser = run_parser()
    known, beam_args = parse_known(parser, argv, others)
    parser.require(known)
    values = vars(known)
    values["input"] = tuple(values["input"])
    values["font"] = tuple(values["font"]) if values["font"] else None
    return RunOptions(**values, beam_args=tuple(beam_args))


def parse_known(
    parser: Parser, argv: Sequence[str], others: Sequence[str] = ()
) -> tuple[argparse.Namespace, list[str]]:
    """Return the options of a parser that has those of `run`, and Beam's; some may be missing.

    Raises:
      UsageError: an option is unknown or wrong, on the command line or in its --config.
    """
    config, given = configfile.split(argv)
    from_file: list[str] = []
    if config is not None:
        from_file = configfile.arguments(config)
        try:
            _parse(parser, from_file, others)
        except UsageError as error:
            raise UsageError(f"--config {config}: {error}") from error
    known, beam_args = _parse(parser, [*from_file, *given], others)
    del known.config
    return known, beam_args


def _parse(
    parser: Parser, argv: Sequence[str], others: Sequence[str]
) -> tuple[argparse.Namespace, list[str]]:
    known, beam_args = parser.parse_known_args(argv)
    _refuse_unknown(parser, beam_args, others, known.runner)
    _refuse_unusable(known.runner)
    return known, beam_args


def _refuse_unusable(runner: str) -> None:
    """Refuse a runner that Beam does not have, which else only the job finds."""
    try:
        create_runner(runner)
    except (ValueError, ImportError, AttributeError) as error:
        raise UsageError(f"--runner {runner} cannot be used: {error}") from error


def _refuse_unknown(parser: Parser, args: list[str], others: Sequence[str], runner: str) -> None:
    """Refuse what neither Pagecast nor Beam knows: Beam would drop a misspelt option silently.

    Other runners' job servers add options that cannot be known here, so those pass.
    """
    beam = Parser(parser.prog, "", "", "")
    for options in PipelineOptions.__subclasses__():
        options._add_argparse_args(beam)
    _, unknown = beam.parse_known_args(args)
    also = [*others, *(beam.names if is_dataflow(runner) else ())]  # it has no job server
    for argument in unknown:
        name = argument.split("=")[0]
        has_no_job_server = runner == LOCAL_RUNNER or is_dataflow(runner)
        if not name.startswith("--") or has_no_job_server or similar(name, [*parser.names, *also]):
            parser.refuse([argument], also)
    if runner == LOCAL_RUNNER:
        for argument in args:
            if argument.startswith("--direct_"):
                raise UsageError(f"{argument.split('=')[0]} has no effect here; use --workers N")
