"""The command `preview`: the pages of a text of one's own, before any run. Needs no Beam."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from pagecast import storage
from pagecast.modes import VISION_MODES, vision_tokens
from pagecast.render import PageMetadata, encode_png
from pagecast.storage.errors import StoreError
from pagecast.style.drawing import SheetRenderer
from pagecast.style.option import AUTO
from pagecast.tokens.tokenizer import ReferenceTokenizer
from pipeline.cli.asked import PreviewOptions
from pipeline.cli.stylefile import read_sheet
from pipeline.launch import fonts, languages
from pipeline.launch.assets import resolve_styles, resolve_tokenizer
from pipeline.options import RunOptions, UsageError
from pipeline.progress.streams import tell
from pipeline.progress.terminal import one_line

DONE = 0
STDIN = "-"
MOST_BYTES = 16 << 20  # of a text
ROWS_READ = 16  # of parquet at a time
GAP, MAT = 16, 128  # between pages that are side by side: pixels, gray


class Drawn(NamedTuple):
    """The pages of a text in one style and mode."""

    style: str
    mode: str
    px: int
    images: tuple[Image.Image, ...]
    metadata: PageMetadata
    vision_tokens: int | None


def preview(asked: PreviewOptions, run: RunOptions, given: Collection[str]) -> int:
    """Draw a text, say how it was set, and return the exit code.

    Args:
      given: the names of the options that were given.

    Raises:
      UsageError: the text or the style cannot be had, or the images cannot be written.
    """
    if ("text" in given) == ("input" in given):
        raise UsageError("give the text: either --text FILE, or --input with a parquet file")
    if not asked.output:
        raise UsageError("--output is empty")
    modes = run.modes if "modes" in given else [m for m in VISION_MODES if m.name == "base"]
    run = languages.applied(run, given)
    tokenizer = ReferenceTokenizer(resolve_tokenizer(run).content)
    text = first_context(run, tokenizer) if asked.text is None else read_text(asked.text)
    tokens = len(tokenizer.encode(text))
    named = read_sheet(run)
    found = fonts.find([text]) if AUTO in named.fonts else ()
    styles = resolve_styles(run, named, found)
    renderers = SheetRenderer(styles.sheet, styles.contents)
    drawn = list(draw(text, renderers, {mode.name: mode.px for mode in modes}))
    for path, image in laid_out(asked, drawn):
        try:
            storage.commit(path, [encode_png(image, run.png_level)])
        except (OSError, StoreError) as error:
            raise UsageError(f"--output {path} cannot be written: {error}") from error
    for each in drawn:
        tell(one_line(describe(each, tokens)))
    return DONE


def read_text(path: str) -> str:
    """Return the text in a file, or on standard input.

    Raises:
      UsageError: it cannot be read, is too long, or is not UTF-8.
    """
    try:
        content = sys.stdin.buffer.read(MOST_BYTES + 1) if path == STDIN else _start_of(path)
    except (OSError, StoreError) as error:
        raise UsageError(f"--text {path} cannot be read: {error}") from error
    if len(content) > MOST_BYTES:
        raise UsageError(f"--text {path} has more than {MOST_BYTES >> 20} MB: give a part of it")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        where = f"{error.reason} at byte {error.start}"
        raise UsageError(f"--text {path} is not UTF-8: {where}") from error


def _start_of(path: str) -> bytes:
    if storage.is_local(path) and os.path.isdir(path):
        raise OSError("it is a directory")
    with storage.open_read(path) as file:
        return file.read(MOST_BYTES + 1)


def first_context(run: RunOptions, tokenizer: ReferenceTokenizer) -> str:
    """Return the context of the first sample that a run would make of a parquet file.

    Raises:
      UsageError: there is none, or the file cannot be read.
    """
    (path, *more) = run.input
    if more:
        raise UsageError("--input: one parquet file is enough for a preview")
    try:
        for text in _texts(path):
            tokens = tokenizer.encode(text)
            if len(tokens) >= max(run.min_tokens, run.context_tokens + run.continuation_tokens):
                return tokenizer.decode(tokens[: run.context_tokens])
    except (OSError, StoreError, pa.ArrowException, KeyError) as error:
        why = " ".join(str(error).split())
        raise UsageError(
            f"--input {path} cannot be read as parquet with a column text: {why}"
        ) from error
    raise UsageError(
        f"--input {path} has no article that gives a sample, which takes {run.min_tokens} tokens; "
        "give a smaller --min_tokens, or --text"
    )


def _texts(path: str) -> Iterator[str]:
    with storage.open_read(path) as source, pq.ParquetFile(source, buffer_size=1 << 20) as file:
        for batch in file.iter_batches(ROWS_READ, columns=["text"], use_threads=False):
            yield from (text for text in batch["text"].to_pylist() if isinstance(text, str))


def draw(text: str, renderers: SheetRenderer, modes: dict[str, int]) -> Iterator[Drawn]:
    """Yield the pages of a text in the first form of each style, at each mode."""
    for label, renderer in renderers.firsts():
        pages = renderer.render_pages(text, modes.values())
        for (mode, px), (images, metadata) in zip(modes.items(), pages, strict=True):
            tokens = vision_tokens(*renderer.style.page_size(px))
            whole = None if tokens is None else tokens * len(images)
            yield Drawn(label, mode, px, images, metadata, whole)


def laid_out(asked: PreviewOptions, drawn: Sequence[Drawn]) -> Iterator[tuple[str, Image.Image]]:
    """Yield the images to write, and where; what only one of is there is not named."""
    if asked.side_by_side:
        yield asked.output, side_by_side([image for each in drawn for image in each.images])
        return
    stem, suffix = os.path.splitext(asked.output)
    for each in drawn:
        names = [each.style] * (len({d.style for d in drawn}) > 1)
        names += [each.mode] * (len({d.mode for d in drawn}) > 1)
        for number, image in enumerate(each.images):
            page = [f"p{number}"] * (len(each.images) > 1)
            yield "-".join([stem, *names, *page]) + suffix, image


def side_by_side(images: Sequence[Image.Image]) -> Image.Image:
    """Return images in a row, on a mat."""
    width = sum(image.width + GAP for image in images) + GAP
    height = max(image.height for image in images) + 2 * GAP
    is_gray = all(image.mode == "L" for image in images)
    row = Image.new("L" if is_gray else "RGB", (width, height), MAT if is_gray else (MAT,) * 3)
    x = GAP
    for image in images:
        row.paste(image, (x, GAP))
        x += image.width + GAP
    return row


def describe(drawn: Drawn, tokens: int) -> str:
    """Say in one line how a text was set."""
    found, pages = drawn.metadata, len(drawn.images)
    width, height = drawn.images[0].size
    lines = f"{found.rendered_lines:,} lines"
    if found.is_truncated:
        lines = f"{found.rendered_lines:,} of {found.total_lines:,} lines, the rest does not fit"
    cost = "no whole number of vision tokens"
    if drawn.vision_tokens:
        ratio = tokens / drawn.vision_tokens
        cost = f"{tokens:,} tokens in {drawn.vision_tokens:,} vision tokens (ratio {ratio:.1f})"
    return (
        f"{drawn.style} {drawn.mode}: {pages} page{'s' * (pages > 1)} of {width} x {height}, "
        f"type of {found.font_size} px, {lines}, {cost}, {found.clipped_lines:,} clipped lines, "
        f"{found.missing_glyphs:,} missing glyphs"
    )
