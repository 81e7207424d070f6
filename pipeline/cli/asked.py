"""What the commands beside `run` can be told; see `options`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from cyclopts import Parameter

from pipeline.cli.kinds import Amount, Count, Place, Whole, text, within
from pipeline.options import (
    FETCHED,
    FINEWIKI,
    HOW,
    LEGIBILITY,
    LOOKED_AT,
    NOT_TYPED,
    OUTPUTS,
    WHERE,
    SplitAsked,
    UsageError,
    usable_cpus,
)


@dataclass(frozen=True)
class PlanOptions:
    """What `plan` was asked beside what `run` is."""

    sample: Annotated[
        int, within(10), text(LOOKED_AT, "articles to read, all if there are no more")
    ] = 5000  # some 10 seconds; of fewer than 10 nothing can be said of how uncertain it is
    sample_seed: Annotated[Whole, text(LOOKED_AT, "another choice of them")] = 0
    json: Annotated[bool, text(LOOKED_AT, "print the numbers as one JSON object")] = False


@dataclass(frozen=True)
class PreviewOptions:
    """What `preview` was asked to draw."""

    output: Annotated[
        Place, text(WHERE, "the image; of several, what their names begin with", "FILE"),
        Parameter(name=["--output", "-o"]),
    ]  # fmt: skip
    text: Annotated[
        Place | None,
        text(LOOKED_AT, "a text of your own; - is standard input", "FILE"),
        Parameter(allow_leading_hyphen=True),
    ] = None
    side_by_side: Annotated[bool, text(WHERE, "all pages in one image")] = False


@dataclass(frozen=True)
class SplitOptions(SplitAsked):
    """What `split` was asked to make.

    Raises:
      UsageError: the name is none, or two values do not go together.
    """

    output_dir: Annotated[Place, text(WHERE, "the dataset, also one that is being made")]
    name: Annotated[str, text(WHERE, "the split goes to DIR/splits/NAME", "NAME")]
    arrow: Annotated[bool, text(OUTPUTS, "for datasets.load_from_disk too")] = False
    parquet: Annotated[bool, text(OUTPUTS, "as Parquet too, images inside")] = False
    overwrite: Annotated[bool, text(WHERE, "make a split of that name anew")] = False
    force_unlock: Annotated[bool, text(WHERE, "though another `split` may be at it")] = False
    workers: Annotated[Count, text(HOW, "local processes")] = field(default_factory=usable_cpus)
    quiet: Annotated[bool, text(HOW, "no progress")] = False
    store_args: Annotated[tuple[str, ...], NOT_TYPED] = ()

    def __post_init__(self) -> None:
        from pagecast.dataset.layout import SPLIT_NAME

        if not SPLIT_NAME.fullmatch(self.name):
            raise UsageError(
                f"--name {self.name!r} cannot be a split's: give letters, digits, -, _ and ., at "
                "most 100, of which the first is no - or ."
            )
        super().__post_init__()


@dataclass(frozen=True)
class PublishOptions:
    """What `publish` was asked to send."""

    output_dir: Annotated[Place, text(LOOKED_AT, "the dataset")]
    repo: Annotated[str, text(WHERE, "on the hub, made if it is not there", "OWNER/NAME")]
    revision: Annotated[str | None, text(WHERE, "a branch, made too", "BRANCH")] = None
    private: Annotated[bool, text(WHERE, "a repository that is made is private")] = False
    license: Annotated[
        str | None, text(WHERE, "by the hub's name of it; FineWiki's is known", "ID")
    ] = None
    no_verify: Annotated[bool, text(HOW, "send it unchecked; else as `verify` does")] = False
    dry_run: Annotated[bool, text(HOW, "write the card and list the files; send nothing")] = False
    quiet: Annotated[bool, text(HOW, "no progress")] = False


@dataclass(frozen=True)
class VerifyOptions:
    """What `verify` was asked to do."""

    output_dir: Annotated[Place, text(LOOKED_AT, "the dataset")]
    sample: Annotated[
        Count | None, text(LOOKED_AT, "only N samples chosen at random, wherever they stand")
    ] = None
    seed: Annotated[Whole, text(LOOKED_AT, "seed of these choices")] = 0
    redraw: Annotated[
        bool, text(LOOKED_AT, "redraw all pages; else those of one sample per shard")
    ] = False
    repair: Annotated[bool, text(HOW, "remove what is damaged, for a run to make again")] = False
    force_unlock: Annotated[bool, text(HOW, "with --repair: though a run may hold DIR")] = False
    workers: Annotated[Count, text(HOW, "local processes")] = field(default_factory=usable_cpus)
    quiet: Annotated[bool, text(HOW, "no progress")] = False
    store_args: Annotated[tuple[str, ...], NOT_TYPED] = ()


@dataclass(frozen=True)
class ReportOptions:
    """What `report` was asked to do."""

    output_dir: Annotated[Place, text(LOOKED_AT, "the dataset")]
    sample: Annotated[
        Count | None, text(LOOKED_AT, "at most N samples [20000; in a store 2000]")
    ] = None
    seed: Annotated[Whole, text(LOOKED_AT, "seed of the samples shown")] = 0
    quiet: Annotated[bool, text(LOOKED_AT, "no progress")] = False
    ocr: Annotated[Amount, text(LEGIBILITY, "samples of each style to read at each mode")] = 0
    ocr_judge: Annotated[
        str | None, text(LEGIBILITY, "what reads them [Tesseract]", "MODULE:FUNCTION")
    ] = None
    ocr_language: Annotated[str, text(LEGIBILITY, "the language Tesseract expects", "LANG")] = "eng"
    store_args: Annotated[tuple[str, ...], NOT_TYPED] = ()


@dataclass(frozen=True)
class DownloadOptions:
    """What `download` was asked to fetch."""

    output_dir: Annotated[Place, text(FETCHED, "where the files go")]
    language: Annotated[str | None, text(FETCHED, "Wikipedia's code: en, de, simple", "CODE")] = (
        None
    )
    subset: Annotated[
        str | None, text(FETCHED, "a directory of the dataset, or of its data/", "NAME")
    ] = None
    repo: Annotated[str, text(FETCHED, "the dataset", "OWNER/NAME")] = FINEWIKI
    revision: Annotated[str, text(FETCHED, "branch, tag or commit", "REV")] = "main"
    workers: Annotated[Count, text(HOW, "files at a time")] = 4
    quiet: Annotated[bool, text(HOW, "no progress")] = False
