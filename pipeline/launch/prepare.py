"""Before a job: look at what was asked for, then write what the workers need."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from pagecast import storage
from pagecast.dataset.filtered import find_whole
from pagecast.dataset.layout import OPTIONS, PLAN
from pagecast.dataset.manifest import fonts_record, style_record
from pagecast.dataset.shard import Failure, Shard, plan_line
from pagecast.dataset.versions import more_versions, versions
from pagecast.probe import PROBE, probe
from pagecast.style.drawing import SheetRenderer
from pagecast.style.option import AUTO
from pagecast.style.record import costs_of_mode
from pipeline import graph
from pipeline.cli import configfile
from pipeline.cli.stylefile import read_sheet
from pipeline.launch import fonts, inputs, languages, source, trial
from pipeline.launch.assets import Asset, Styles, resolve_styles, resolve_tokenizer
from pipeline.launch.output import directory, ours, reads
from pipeline.options import RunOptions, UsageError
from pipeline.progress.terminal import say


class Sources(NamedTuple):
    """What a job is made from, and where it goes; whether fastokens is to be used."""

    output_dir: str
    files: list[inputs.InputFile]
    tokenizer: Asset
    styles: Styles
    quick_tokenizer: bool = True


def find_sources(options: RunOptions, writes: bool = True) -> Sources:
    """Find and check everything that a job needs, without writing anything.

    Args:
      writes: whether there is to be an output directory.

    Raises:
      UsageError: something that was asked for is not there or does not fit.
    """
    paths = inputs.find_files(options.input)
    files = inputs.read_layouts(paths, options.shard_rows)
    if not any(file.rows or file.fault for file in files):
        raise UsageError(f"--input {' '.join(options.input)}: the files have no rows")
    tokenizer = resolve_tokenizer(options)
    named = read_sheet(options)
    found, texts = [], list[str]()
    if AUTO in named.fonts or all(storage.is_local(path) for path in paths):
        texts = [article.text for article in trial.sample(options, files)]
    if AUTO in named.fonts:
        found = fonts.find(texts)
    if lacking := languages.warning(texts, named.values_of("layout"), paths):
        say(f"warning: {lacking}")
    styles = resolve_styles(options, named, found)
    inputs.check_tokenized(files, tokenizer.content)
    local = storage.is_local(options.output_dir)
    out = os.path.abspath(options.output_dir) if local else options.output_dir.rstrip("/")
    if writes:
        removed = directory.check(out, options.overwrite)
        reads.refuse_removal(out, removed, reads.read_by(options, paths, named.fonts))
    if options.doubt:
        say(f"warning: {options.doubt}")
    return Sources(out, files, tokenizer, styles, trial.is_quick(options, files, tokenizer))


def prepare(options: RunOptions, sources: Sources) -> tuple[graph.Job, int]:
    """Write configuration, assets and plan; return the job and how many shards it has.

    Raises:
      UsageError: the output directory has the work of another configuration.
    """
    out, files, tokenizer, styles, quick = sources
    config = configuration(options, files, tokenizer, styles)
    planned = inputs.plan_shards(files, options.shard_rows, options.num_articles)
    directory.claim(out, config, options.overwrite, planned)
    storage.commit(storage.private(out, OPTIONS), [configfile.effective(options)])
    ours.sweep(out, options.form)
    directory.invalidate(
        out,
        _decides_split(options),
        options.arrow,
        options.parquet,
    )
    shards = write_plan(out, inputs.plan_shards(files, options.shard_rows, options.num_articles))
    directory.planned(out)
    for warning in (
        *inputs.coarse_groups(files, options.shard_rows),
        *inputs.repeated_fetches(files, options.shard_rows),
    ):
        say(f"warning: {warning}")
    for font in styles.fonts:
        font.store(out)
    is_done = options.filtered and find_whole(out) is not None
    return graph.Job(options, out, tokenizer.store(out), styles.sheet, is_done, quick), shards


def _decides_split(options: RunOptions) -> dict[str, Any]:
    """Return what decides the split and its files."""
    found = {
        **options.split.asked(),
        "modes": [mode.name for mode in options.modes],
        "merge": options.merge,
    }
    if options.no_images:  # Arrow files of older versions had such a column, empty
        found["images"] = False
    return found


def write_plan(output_dir: str, entries: Iterable[Shard | Failure]) -> int:
    """Write the plan file and return how many shards it has."""
    shards = 0

    def lines() -> Iterator[bytes]:
        nonlocal shards
        for entry in entries:
            shards += isinstance(entry, Shard)
            yield plan_line(entry)

    storage.commit(storage.private(output_dir, PLAN), lines())
    return shards


def configuration(
    options: RunOptions, files: Sequence[inputs.InputFile], tokenizer: Asset, styles: Styles
) -> dict[str, Any]:
    """Return what decides the bytes of samples and pages, and where they come from."""
    names = inputs.relative_names(files)
    return {
        "options": options.fingerprint_with(style_record(styles.sheet)),
        "shard_rows": options.shard_rows,
        "vision_modes": {
            mode.name: {
                "px": mode.px,
                **costs_of_mode(styles.sheet, mode.px, options.context_tokens),
            }
            for mode in options.modes
        },
        "tokenizer": {"name": tokenizer.name, "sha256": tokenizer.sha256},
        **fonts_record([{"name": font.name, "sha256": font.sha256} for font in styles.fonts]),
        PROBE: probe(
            SheetRenderer(styles.sheet, styles.contents),
            {mode.name: mode.px for mode in options.modes},
        ),
        "versions": versions(*more_versions(styles.sheet)),
        "source": source.cited((file.path, file.size) for file in files),
        "inputs": [
            {"path": name, "bytes": file.size, "rows": file.rows, **_footer(file)}
            for name, file in zip(names, files, strict=True)
        ],
    }


def _footer(file: inputs.InputFile) -> dict[str, str]:
    return {} if file.footer_sha256 is None else {"footer_sha256": file.footer_sha256}
