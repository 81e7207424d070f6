"""The commands: what each is told and says of itself. What does the work is imported late."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from pipeline.cli.asked import (
    DownloadOptions,
    PlanOptions,
    PreviewOptions,
    PublishOptions,
    ReportOptions,
    SplitOptions,
    VerifyOptions,
)
from pipeline.cli.commandline import Call, epilogue, given_or, new_app
from pipeline.options import ALL, HIDDEN, LOCAL_RUNNER, NOT_TYPED, WHERE, RunOptions
from pipeline.runners.environment import quick_imports

DONE = 0
STORES = "For a dataset in a store, Beam's --s3_endpoint_url and the like are taken too."
TOKEN = "HF_TOKEN is the token, where a dataset wants one; HF_ENDPOINT another hub."
ANY_PLACE = "."  # where nothing is written to
ASKED = "All other options are those of `pagecast run`, and Beam's own."

APP = new_app(
    "pagecast",
    "Turns Wikipedia articles (FineWiki parquet) into training data for vision-text compression.",
    "pagecast run --input 'enwiki/*.parquet' --output_dir out",
    "`pagecast COMMAND --help` lists the options, `pagecast --version` the version.\n"
    "Exit codes: 0 done, 1 failed or faulty, 2 wrong use, 130 stopped.",
    group_commands="commands",
)


@APP.command(
    sort_key=1,
    help_epilogue=epilogue("pagecast download --language en --output_dir finewiki", TOKEN),
)
def download(*, options: Annotated[DownloadOptions, ALL]) -> int:
    """Fetch FineWiki, or another dataset of parquet files, from the hub."""
    from pipeline.commands.download import download

    return download(options)


@APP.command(
    sort_key=2,
    usage="pagecast plan --input PATH ... [--output_dir DIR] [OPTIONS]",
    help_epilogue=epilogue(
        "pagecast plan --input 'enwiki/*.parquet' --output_dir out --image_shards", ASKED
    ),
    config=given_or(output_dir=ANY_PLACE),
)
def plan(
    *,
    asked: Annotated[PlanOptions | None, ALL] = None,
    options: Annotated[RunOptions, HIDDEN],
    call: Annotated[Call, NOT_TYPED],
) -> int:
    """Say what a run will make, how long it takes, if the disk has room."""
    with quick_imports(call.is_program):
        from pipeline.commands.plan import plan

    return plan(asked or PlanOptions(), options, call)


@APP.command(
    sort_key=3,
    usage="pagecast preview --text FILE|- | --input PARQUET  -o FILE [OPTIONS]",
    help_epilogue=epilogue(
        "pagecast preview --text notes.txt --style paper --modes tiny,base -o page.png",
        "How pages look is said as to `pagecast run`: --style, --font, --layout and the like, and "
        "--modes [base].",
    ),
    config=given_or(output_dir=ANY_PLACE, input=ANY_PLACE),
)
def preview(
    *,
    asked: Annotated[PreviewOptions, ALL],
    options: Annotated[RunOptions, HIDDEN],
    call: Annotated[Call, NOT_TYPED],
) -> int:
    """Draw the pages of a text, to see a style before any run."""
    from pipeline.commands.preview import preview

    return preview(asked, options, call.given)


@APP.command(
    sort_key=4,
    usage="pagecast run --input PATH ... --output_dir DIR [OPTIONS]",  # as it is, but found quicker
    help_epilogue=epilogue("pagecast run --input 'enwiki/*.parquet' --output_dir out --modes base"),
)
def run(*, options: Annotated[RunOptions, ALL], call: Annotated[Call, NOT_TYPED]) -> int:
    """Turn articles into samples, pages and a train/val split."""
    from pipeline.runners.forkserver import fork_server

    with fork_server(options) as server:  # while this process imports Beam
        with quick_imports(call.is_program, options.runner == LOCAL_RUNNER):
            from pipeline.commands.run import run

        return run(options, call.is_program, server, call.given)


@APP.command(
    sort_key=5,
    help_epilogue=epilogue(
        "pagecast split --output_dir out --name quick --max_samples 50 --val_size 5", STORES
    ),
)
def split(*, options: Annotated[SplitOptions, ALL], call: Annotated[Call, NOT_TYPED]) -> int:
    """Make one more split of a dataset, over the same pages."""
    with quick_imports(call.is_program):
        from pipeline.commands.split import split

    return split(options)


@APP.command(sort_key=6, help_epilogue=epilogue("pagecast verify --output_dir output/demo", STORES))
def verify(*, options: Annotated[VerifyOptions, ALL]) -> int:
    """Check a dataset, name every fault, and mend it if wanted."""
    from pipeline.commands.verify import verify

    return verify(options)


@APP.command(sort_key=7, help_epilogue=epilogue("pagecast report --output_dir output/demo", STORES))
def report(*, options: Annotated[ReportOptions, ALL]) -> int:
    """Show a dataset in one HTML page, its worst pages too."""
    from pipeline.commands.report import report

    return report(options)


@APP.command(
    sort_key=8,
    help_epilogue=epilogue("pagecast publish --output_dir out --repo me/pages --private", TOKEN),
)
def publish(*, options: Annotated[PublishOptions, ALL]) -> int:
    """Put a dataset onto the Hugging Face hub, with a card."""
    from pipeline.commands.publish import publish

    return publish(options)


@APP.command(sort_key=9, help_epilogue=epilogue('eval "$(pagecast completion bash)"'))
def completion(
    shell: Annotated[
        Literal["bash", "zsh", "fish"], Parameter(group=WHERE, help="bash, zsh or fish")
    ],
    /,
) -> int:
    """Print what makes a shell complete commands and options."""
    from pipeline.progress.streams import tell

    script = APP.generate_completion(shell=shell)
    if shell == "zsh":  # the library's is for a file that zsh finds by itself, not for `eval`
        script += "compdef _cyclopts_pagecast pagecast\n"
    tell(script)
    return DONE
