"""What `run` was asked to do: frozen, checked settings. No I/O: what is wrong touches no disk."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from transforms.images import PageSettings
from transforms.limits import MAX_ARTICLE_CHARS, MAX_SHARD_ROWS, MOST_ARTICLE_CHARS
from transforms.modes import VISION_MODES, VisionMode
from transforms.pictures import FILES, NONE, SHARDS
from transforms.render.breaking import LINE_BREAKS
from transforms.render.page import LAYOUTS
from transforms.split import SplitSettings

LOCAL_RUNNER = "DirectRunner"
BUILTIN = "builtin"


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
    font: tuple[str, ...] | None = None
    layout: str = "basic"
    line_break: str = "spaces"
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
    quiet: bool = False
    verbose: bool = False
    no_preflight: bool = False
    runner: str = LOCAL_RUNNER
    beam_args: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._check_numbers()
        for name, choices in (("layout", LAYOUTS), ("line_break", LINE_BREAKS)):
            if (value := getattr(self, name)) not in choices:
                raise UsageError(f"--{name} {value} is not one of {', '.join(choices)}")
        if self.tokenizer_revision and self.tokenizer == BUILTIN:
            raise UsageError("--tokenizer_revision needs --tokenizer with a hub id")
        if self.no_images and self.image_shards:
            raise UsageError("--image_shards stores pictures, --no_images does not: choose one")
        if self.quiet and self.verbose:
            raise UsageError("--quiet says less, --verbose more: choose one")
        if not self.output_dir:
            raise UsageError("--output_dir is empty")
        for name in ("output_dir", "tokenizer"):  # neither Beam nor transformers take such a path
            try:
                getattr(self, name).encode()
            except UnicodeEncodeError as error:
                raise UsageError(f"--{name} is not valid UTF-8") from error

    def _check_numbers(self) -> None:
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
        if self.max_article_chars > MOST_ARTICLE_CHARS:
            raise UsageError(
                f"--max_article_chars is {self.max_article_chars}; a worker has memory for at most "
                f"{MOST_ARTICLE_CHARS}"
            )
        if self.shard_rows > MAX_SHARD_ROWS:
            raise UsageError(
                f"--shard_rows is {self.shard_rows}; a worker holds at most {MAX_SHARD_ROWS} rows"
            )
        if self.val_size >= self.max_samples:
            raise UsageError(
                f"--val_size {self.val_size} leaves no sample to train on: it must be less than "
                f"--max_samples {self.max_samples}, which counts both"
            )

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
        return PageSettings(self.modes, self.layout, self.png_level, form, self.line_break)

    @property
    def deciding(self) -> dict[str, Any]:
        """The options that decide the bytes of samples and pages, as the manifest shows them."""
        found = {
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
        if self.line_break != "spaces":  # else as ever, so that work begun before goes on
            found["line_break"] = self.line_break
        return found


def is_dataflow(runner: str) -> bool:
    """Tell whether a runner is Google Dataflow's, by any of the names that Beam takes."""
    return runner.lower().rpartition(".")[2] in ("dataflow", "dataflowrunner")


def usable_cpus() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
