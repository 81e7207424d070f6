"""The command line as checked, frozen settings. No I/O here: a wrong value never touches a disk."""

from __future__ import annotations

import argparse
import difflib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners import create_runner

from transforms.articles import MAX_ARTICLE_CHARS
from transforms.images import PageSettings
from transforms.pictures import FILES, NONE, SHARDS
from transforms.records import VISION_MODES, VisionMode
from transforms.render.page import LAYOUTS
from transforms.shards import MAX_SHARD_ROWS
from transforms.split import SplitSettings

LOCAL_RUNNER = "DirectRunner"
BUILTIN = "builtin"
CUSTOM_MODE = re.compile(r"([a-z][a-z0-9_]{0,31})=([0-9]{1,9})")
PAGE_SIZES = range(64, 4097)  # in pixels
RUN_EXAMPLE = """example:
  pagecast run --input 'enwiki/*.parquet' --output_dir out --max_samples 60000 --val_size 2000

Any other option is Beam's own, e.g. --runner FlinkRunner --flink_master host:8081"""


class UsageError(Exception):
    """The command cannot be carried out as it was given; nothing was written."""


@dataclass(frozen=True)
class RunOptions:
    """What `run` was asked to do.

    Raises:
      UsageError: a value is out of its range, or two do not go together.
    """

    input: tuple[str, ...]
    output_dir: str
    min_tokens: int = 2000
    context_tokens: int = 1000
    continuation_tokens: int = 1000
    modes: tuple[VisionMode, ...] = VISION_MODES
    num_articles: int | None = None
    max_article_chars: int = MAX_ARTICLE_CHARS
    max_samples: int = 510_000
    val_size: int = 10_000
    seed: int = 42
    tokenizer: str = BUILTIN
    tokenizer_revision: str | None = None
    font: str | None = None
    layout: str = "basic"
    png_level: int = 5
    shard_rows: int = 256
    workers: int = 1
    max_errors: int = 0
    overwrite: bool = False
    no_merge: bool = False
    arrow: bool = False
    filtered: bool = False
    no_images: bool = False
    image_shards: bool = False
    no_report: bool = False
    force_unlock: bool = False
    runner: str = LOCAL_RUNNER
    beam_args: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        at_least = {
            "min_tokens": 1,
            "context_tokens": 1,
            "continuation_tokens": 0,
            "max_article_chars": 1,
            "max_samples": 1,
            "val_size": 0,
            "png_level": 1,
            "shard_rows": 1,
            "workers": 1,
            "max_errors": 0,
        }
        for name, least in at_least.items():
            if (value := getattr(self, name)) < least:
                raise UsageError(f"--{name} is {value}; it must be at least {least}")
        if self.num_articles is not None and self.num_articles < 1:
            raise UsageError(f"--num_articles is {self.num_articles}; it must be at least 1")
        if self.png_level > 9:
            raise UsageError(f"--png_level is {self.png_level}; it must be at most 9")
        if self.shard_rows > MAX_SHARD_ROWS:
            raise UsageError(
                f"--shard_rows is {self.shard_rows}; a worker holds at most {MAX_SHARD_ROWS} rows"
            )
        if self.val_size >= self.max_samples:
            raise UsageError(
                f"--val_size {self.val_size} leaves no sample to train on: it must be less than "
                f"--max_samples {self.max_samples}, which counts both"
            )
        if self.layout not in LAYOUTS:
            raise UsageError(f"--layout {self.layout} is not one of {', '.join(LAYOUTS)}")
        if self.tokenizer_revision and self.tokenizer == BUILTIN:
            raise UsageError("--tokenizer_revision needs --tokenizer with a hub id")
        if self.no_images and self.image_shards:
            raise UsageError("--image_shards stores pictures, --no_images does not: choose one")
        if not self.output_dir:
            raise UsageError("--output_dir is empty")
        try:
            self.output_dir.encode()
        except UnicodeEncodeError as error:  # Beam takes no such path
            raise UsageError("--output_dir is not valid UTF-8") from error

    @property
    def split(self) -> SplitSettings:
        """What decides the split."""
        return SplitSettings(self.max_samples, self.val_size, self.seed)

    @property
    def merge(self) -> bool:
        """Whether the parts of the split are merged in the end."""
        return not self.no_merge

    @property
    def pages(self) -> PageSettings:
        """How pages look and how they are stored."""
        form = SHARDS if self.image_shards else NONE if self.no_images else FILES
        return PageSettings(self.modes, self.layout, self.png_level, form)

    @property
    def deciding(self) -> dict[str, Any]:
        """The options that decide the bytes of samples and pages, as the manifest shows them."""
        return {
            "min_tokens": self.min_tokens,
            "context_tokens": self.context_tokens,
            "continuation_tokens": self.continuation_tokens,
            "modes": [mode.name for mode in self.modes],
            "num_articles": self.num_articles,
            "max_article_chars": self.max_article_chars,
            "layout": self.layout,
            "png_level": self.png_level,
            "images": self.pages.form,
        }


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line and an exception, for the caller to print."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of leaving the process."""
        raise UsageError(f"{message} (see `{self.prog} --help`)")


def is_dataflow(runner: str) -> bool:
    """Tell whether a runner is Google Dataflow's, by any of the names that Beam takes."""
    return runner.lower().rpartition(".")[2] in ("dataflow", "dataflowrunner")


def usable_cpus() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_parser() -> argparse.ArgumentParser:
    """Return the parser of `run`."""
    parser = Parser(
        prog="pagecast run",
        description="Turn articles in parquet files into samples, pages and a train/val split.",
        epilog=RUN_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )

    def add(group: Any, name: str, text: str, **how: Any) -> None:
        default = how.get("default")
        shown = default is not None and default is not False
        group.add_argument(f"--{name}", help=text + " [%(default)s]" * shown, **how)

    where = parser.add_argument_group("where")
    add(
        where,
        "input",
        "parquet files, globs, directories; or a filtered.jsonl",
        nargs="+",
        required=True,
        metavar="PATH",
    )
    add(where, "output_dir", "directory for everything", required=True, metavar="DIR")
    add(where, "overwrite", "remove what an earlier run left in DIR first", action="store_true")

    add(where, "force_unlock", "go on though another run may hold DIR", action="store_true")

    data = parser.add_argument_group("what becomes a sample")
    number: dict[str, Any] = {"type": int, "metavar": "N"}
    add(data, "min_tokens", "shortest article that is kept", default=2000, **number)
    add(data, "context_tokens", "tokens drawn as a page", default=1000, **number)
    add(data, "continuation_tokens", "tokens that follow", default=1000, **number)
    add(data, "num_articles", "use only the first N rows", **number)
    add(
        data,
        "max_article_chars",
        "longer articles fail: a bound on memory",
        default=MAX_ARTICLE_CHARS,
        **number,
    )
    add(data, "tokenizer", "builtin (DeepSeek-OCR), a hub id or a directory", default=BUILTIN)
    add(data, "tokenizer_revision", "commit or tag of the hub id", metavar="REV")
    add(data, "max_errors", "failed articles that are still exit code 0", default=0, **number)

    pages = parser.add_argument_group("pages")
    names = ",".join(mode.name for mode in VISION_MODES)
    add(
        pages,
        "modes",
        "page sizes; NAME=PX for one of your own, e.g. custom=768",
        default=names,
        type=parse_modes,
        metavar="A,B",
    )
    add(pages, "font", "TrueType or OpenType file instead of DejaVu Sans 2.37", metavar="FILE")
    add(pages, "layout", "text layout: basic, or raqm for shaping", default="basic")
    add(pages, "png_level", "deflate effort, 1 to 9", default=5, **number)

    add(pages, "image_shards", "store pages in a tar per shard and mode", action="store_true")
    add(pages, "no_images", "store no pages; a reader draws them on demand", action="store_true")

    split = parser.add_argument_group("split")
    add(split, "max_samples", "samples in train and val together", default=510_000, **number)
    add(split, "val_size", "samples in val", default=10_000, **number)
    add(split, "seed", "seed of the hashes that decide the split", default=42, **number)
    add(split, "no_merge", "leave train and val as part files", action="store_true")

    more = parser.add_argument_group("more outputs")
    add(more, "arrow", "the split for datasets.load_from_disk too", action="store_true")
    add(more, "filtered", "the kept articles with their tokens too", action="store_true")

    add(more, "no_report", "make no report.html at the end", action="store_true")

    how = parser.add_argument_group("how it runs")
    add(how, "runner", "Beam runner", default=LOCAL_RUNNER)
    add(how, "workers", "local processes", default=usable_cpus(), **number)
    add(how, "shard_rows", "rows per unit of work", default=256, **number)
    return parser


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
    known, beam_args = parser.parse_known_args(argv)
    ours = [option for option in parser._option_string_actions if option.startswith("--")]
    _refuse_unknown(beam_args, [*ours, *others], known.runner)
    _refuse_unusable(known.runner)
    values = vars(known)
    values["input"] = tuple(values["input"])
    return RunOptions(**values, beam_args=tuple(beam_args))


def _refuse_unusable(runner: str) -> None:
    """Refuse a runner that Beam does not have, which else only the job finds."""
    try:
        create_runner(runner)
    except (ValueError, ImportError, AttributeError) as error:
        raise UsageError(f"--runner {runner} cannot be used: {error}") from error


def _refuse_unknown(args: list[str], ours: list[str], runner: str) -> None:
    """Refuse what neither Pagecast nor Beam knows: Beam would drop a misspelt option silently.

    Other runners' job servers add options that cannot be known here, so those pass.
    """
    beam = Parser(prog="pagecast run", add_help=False, allow_abbrev=False)
    for options in PipelineOptions.__subclasses__():
        options._add_argparse_args(beam)
    _, unknown = beam.parse_known_args(args)
    if is_dataflow(runner):  # it has no job server
        ours = [*ours, *beam._option_string_actions]
    for argument in unknown:
        name = argument.split("=")[0]
        if not name.startswith("--"):
            raise UsageError(f"unexpected argument {argument!r} (see `pagecast run --help`)")
        similar = difflib.get_close_matches(name, ours, 1, cutoff=0.75)
        if similar or runner == LOCAL_RUNNER or is_dataflow(runner):
            hint = f"; did you mean {similar[0]}?" if similar else " (see `pagecast run --help`)"
            raise UsageError(f"unknown option {name}{hint}")
    if runner == LOCAL_RUNNER:
        for argument in args:
            if argument.startswith("--direct_"):
                raise UsageError(f"{argument.split('=')[0]} has no effect here; use --workers N")
