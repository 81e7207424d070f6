"""What each command can be told: an option is a field, with its type, default, help, group, bounds.

The command line, the file of `--config`, help and completion follow from these fields, so this
imports nothing slow. The settings are frozen and checked; no I/O: what is wrong touches no disk.

Annotations are not postponed here: Cyclopts would look for the names of an inherited field's in the
module of the class that inherits it.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

from cyclopts import Group, Parameter

from pagecast.modes import VISION_MODES
from pagecast.style.style import MOST_PAGES
from pipeline.cli.kinds import Amount, Count, Modes, Place, Whole, text, within
from transforms.read.limits import MAX_ARTICLE_CHARS, MAX_SHARD_ROWS, MOST_ARTICLE_CHARS

if TYPE_CHECKING:
    from pagecast.dataset.split import SplitSettings

LOCAL_RUNNER = "DirectRunner"
BUILTIN = "builtin"
STYLES = (DEFAULT_STYLE := "default", "paper", "glyph", "dense")  # that are shipped
FINEWIKI = "HuggingFaceFW/finewiki"
IN_FINGERPRINT = "decides"  # marks the options that decide the bytes of samples and pages

WHERE = Group.create_ordered("where")
SAMPLES = Group.create_ordered("what becomes a sample")
PAGES = Group.create_ordered("pages")
SPLIT = Group.create_ordered("split")
OUTPUTS = Group.create_ordered("more outputs")
LOOKED_AT = Group.create_ordered("what is looked at")
LEGIBILITY = Group.create_ordered("legibility")
FETCHED = Group.create_ordered("what is fetched")
HOW = Group.create_ordered("how it runs")
HERE = Group.create_ordered("a cluster here")

NOT_TYPED = Parameter(parse=False)  # what the command line is parsed into, beside the options
ALL = Parameter(name="*")  # options whose names are those of the fields
HIDDEN = Parameter(name="*", show=False)  # the same, but help does not repeat them


class UsageError(Exception):
    """The command cannot be carried out as it was given; nothing was written."""


def usable_cpus() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, kw_only=True)
class SplitAsked:
    """Which split was asked for.

    Raises:
      UsageError: its train set would be empty.
    """

    max_samples: Annotated[Count, text(SPLIT, "samples in train and val together")] = 510_000
    val_size: Annotated[Amount, text(SPLIT, "samples in val")] = 10_000
    seed: Annotated[Whole, text(SPLIT, "seed of the hashes that decide the split")] = 42

    def __post_init__(self) -> None:
        if self.val_size >= self.max_samples:
            raise UsageError(
                f"--val_size {self.val_size} leaves no sample to train on: it must be less than "
                f"--max_samples {self.max_samples}, which counts both"
            )

    @property
    def split(self) -> "SplitSettings":
        """What decides the split."""
        from pagecast.dataset.split import SplitSettings

        return SplitSettings(self.max_samples, self.val_size, self.seed)


@dataclass(frozen=True)
class RunOptions(SplitAsked):
    """What `run` was asked to do.

    Raises:
      UsageError: two values do not go together.
    """

    input: Annotated[
        tuple[Place, ...],
        text(WHERE, "parquet files, globs, directories, hf://datasets/...", "PATH ..."),
    ]
    output_dir: Annotated[Place, text(WHERE, "directory for everything")]
    config: Annotated[
        Place | None,
        text(WHERE, "YAML or TOML file of options; those given here win", "FILE"),
        Parameter(allow_repeating=False),
    ] = field(default=None, compare=False)
    min_tokens: Annotated[Count, text(SAMPLES, "shortest article that is kept"), IN_FINGERPRINT] = (
        2000
    )
    context_tokens: Annotated[Count, text(SAMPLES, "tokens drawn as a page"), IN_FINGERPRINT] = 1000
    continuation_tokens: Annotated[Amount, text(SAMPLES, "tokens that follow"), IN_FINGERPRINT] = (
        1000
    )
    modes: Annotated[Modes, text(PAGES, "sizes, or NAME=PX"), IN_FINGERPRINT] = VISION_MODES
    num_articles: Annotated[
        Count | None, text(SAMPLES, "use only the first N rows"), IN_FINGERPRINT
    ] = None
    max_article_chars: Annotated[
        int,
        within(1, MOST_ARTICLE_CHARS),
        text(SAMPLES, f"longer articles fail; at most {MOST_ARTICLE_CHARS}"),
        IN_FINGERPRINT,
    ] = MAX_ARTICLE_CHARS
    tokenizer: Annotated[Place, text(SAMPLES, "or a hub id, or a directory", "NAME")] = BUILTIN
    tokenizer_revision: Annotated[
        str | None, text(SAMPLES, "commit or tag of the hub id", "REV")
    ] = None
    font: Annotated[
        tuple[Place, ...] | None,
        text(PAGES, "fonts by preference, or auto for those here", "FILE ..."),
    ] = None
    language: Annotated[
        str | None, text(PAGES, "what pages of a language need, as ar, hi, zh", "CODE")
    ] = None
    layout: Annotated[
        Literal["basic", "raqm", "harfbuzz"] | None,
        text(PAGES, "basic, or harfbuzz for any script", "NAME"),
        IN_FINGERPRINT,
    ] = None
    line_break: Annotated[
        Literal["spaces", "unicode"] | None,
        text(PAGES, "spaces, or unicode for CJK and the like", "NAME"),
    ] = None
    style: Annotated[
        Place,
        text(PAGES, "paper, glyph, dense, or a file; other options win", "FILE|NAME"),
    ] = DEFAULT_STYLE
    max_pages: Annotated[
        int | None, within(1, MOST_PAGES), text(PAGES, "pages of a context at most")
    ] = None
    vary: Annotated[
        Literal["all", "train"], text(PAGES, "which samples vary, if the style does", "all|train")
    ] = "all"
    png_level: Annotated[
        int, within(1, 9), text(PAGES, "deflate effort, 1 to 9"), IN_FINGERPRINT
    ] = 5
    shard_rows: Annotated[int, within(1, MAX_SHARD_ROWS), text(HOW, "rows per unit of work")] = 256
    workers: Annotated[Count, text(HOW, "local processes")] = field(default_factory=usable_cpus)
    stall_minutes: Annotated[Count, text(HOW, "how long a local process may get no further")] = 30
    max_errors: Annotated[
        Amount, text(SAMPLES, "articles that may fail with exit code still 0")
    ] = 0
    overwrite: Annotated[bool, text(WHERE, "remove what an earlier run left in DIR first")] = False
    no_merge: Annotated[bool, text(SPLIT, "leave train and val as part files")] = False
    arrow: Annotated[bool, text(OUTPUTS, "the split for datasets.load_from_disk too")] = False
    parquet: Annotated[bool, text(OUTPUTS, "the split as Parquet too, images inside")] = False
    filtered: Annotated[bool, text(OUTPUTS, "the kept articles with their tokens too")] = False
    no_images: Annotated[bool, text(PAGES, "store no pages; a reader draws them on demand")] = False
    image_shards: Annotated[bool, text(PAGES, "one tar of pages for each shard and mode")] = False
    no_report: Annotated[bool, text(OUTPUTS, "make no report.html at the end")] = False
    force_unlock: Annotated[bool, text(WHERE, "go on though another run may hold DIR")] = False
    quiet: Annotated[bool, text(HOW, "no progress, only what went wrong and the table")] = False
    verbose: Annotated[bool, text(HOW, "all that Beam and other libraries tell")] = False
    no_preflight: Annotated[bool, text(WHERE, "start though the disk seems too small")] = False
    runner: Annotated[str, text(HOW, "Beam runner; options of Beam's are taken too", "NAME")] = (
        LOCAL_RUNNER
    )
    beam_args: Annotated[tuple[str, ...], NOT_TYPED] = ()

    def __post_init__(self) -> None:
        if self.tokenizer_revision and self.tokenizer == BUILTIN:
            raise UsageError("--tokenizer_revision needs --tokenizer with a hub id")
        if self.no_images and self.image_shards:
            raise UsageError("--image_shards stores images, --no_images does not: choose one")
        if self.quiet and self.verbose:
            raise UsageError("--quiet says less, --verbose more: choose one")
        for name in ("input", "font"):
            if getattr(self, name) == ():
                raise UsageError(f"--{name} names no file")
        if not self.output_dir:
            raise UsageError("--output_dir is empty")
        for name in ("output_dir", "tokenizer"):  # neither Beam nor transformers take such a path
            try:
                getattr(self, name).encode()
            except UnicodeEncodeError as error:
                raise UsageError(f"--{name} is not valid UTF-8") from error
        super().__post_init__()

    @property
    def doubt(self) -> str | None:
        """What is allowed and hardly meant; whoever gives another `min_tokens` means it."""
        stride = self.context_tokens + self.continuation_tokens
        if not self.min_tokens == RunOptions.min_tokens < stride:
            return None
        return (
            f"articles of {self.min_tokens} to {stride - 1} tokens are kept and give no sample, "
            f"which takes {stride}; to leave them out give --min_tokens {stride}"
        )

    @property
    def merge(self) -> bool:
        """Whether the parts of the split are merged in the end."""
        return not self.no_merge

    @property
    def form(self) -> str:
        """How pages are stored, by its name in `layout`."""
        from pagecast.dataset.layout import FILES, NONE, SHARDS

        return SHARDS if self.image_shards else NONE if self.no_images else FILES

    def fingerprint_with(self, styles: Mapping[str, Any]) -> dict[str, Any]:
        """Return what decides the bytes of samples and pages, as the manifest shows it.

        Args:
          styles: of `style_record`. The place of `layout` is where it always stood.
        """
        hints = get_type_hints(RunOptions, include_extras=True)
        found = {
            n: getattr(self, n) for n, hint in hints.items() if IN_FINGERPRINT in hint.__metadata__
        }
        found["modes"] = [mode.name for mode in self.modes]
        found["images"] = self.form
        found |= styles
        return {name: value for name, value in found.items() if name != "layout" or value}


def is_dataflow(runner: str) -> bool:
    """Tell whether a runner is Google Dataflow's, by any of the names that Beam takes."""
    return runner.lower().rpartition(".")[2] in ("dataflow", "dataflowrunner")
