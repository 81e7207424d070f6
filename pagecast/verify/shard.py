"""Checking one shard: its receipt, its lines and its images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pagecast import storage
from pagecast.dataset.layout import NONE, SHARDS, image_names, receipt_path, shard_path
from pagecast.dataset.receipts import Receipt, read_images
from pagecast.dataset.sample import STYLE, ModeImages, Sample, Tokens
from pagecast.dataset.shard import Shard
from pagecast.dataset.split import u64
from pagecast.render.page import PageMetadata
from pagecast.style.record import COSTS, pages_of
from pagecast.tokens.tokenizer import load_tokenizer
from pagecast.verify.dataset import Dataset, Fault
from pagecast.verify.expected import Expected, expected_samples
from pagecast.verify.images import images_faults, metadata_fault

Digests = npt.NDArray[np.uint64]
UNKNOWN = 0  # the digest of a line that was not looked at, or cannot be trusted


class ShardReport(NamedTuple):
    """What was found in a shard.

    receipt: None where it is missing or damaged. digests: of its samples' lines, in input order,
    as `digest` gives them. rows: the same of lines with images, as `row_digest` does. pages: how
    many images were looked at.
    """

    shard: Shard
    receipt: Receipt | None
    digests: Digests
    rows: Digests
    faults: tuple[Fault, ...]
    pages: int = 0


def digest(line: bytes) -> int:
    """Return 64 bits that tell a line from any other; never 0."""
    return int.from_bytes(hashlib.blake2b(line, digest_size=8).digest(), "big") or 1


def row_digest(line: bytes, images: Iterable[str]) -> int:
    """Return 64 bits of a line and of the digests, of `digest_of`, of the sample's images."""
    return digest(line + "".join(images).encode())


class Redraw(NamedTuple):
    """Which pages are redrawn: all, or those of one sample of each shard by a seed."""

    all: bool = False
    seed: int = 0

    def of(self, shard: int, wanted: Sequence[Expected]) -> frozenset[str]:
        """Return the ids of a shard's samples whose pages are redrawn."""
        if not wanted or self.all:
            return frozenset(sample.id for sample in wanted)
        return frozenset([wanted[u64(f"{self.seed}:{shard}") % len(wanted)].id])


def check_shard(
    shard: Shard,
    dataset: Dataset,
    chosen: Set[str] | None = None,
    redraw: Redraw = Redraw(),  # noqa: B008
) -> ShardReport:
    """Check a shard, or of its samples only those that were chosen.

    What is at fault in a shard is mended by doing it again, so every fault names the receipt.
    """
    # Below no directory, paths are the names relative to the output directory.
    lines_name, receipt_name = shard_path("", shard.number), receipt_path("", shard.number)
    remove = (receipt_name,)
    nothing: Digests = np.zeros(0, np.uint64)
    try:
        content = storage.read_bytes(receipt_path(dataset.output_dir, shard.number))
        receipt = Receipt.from_json(content)
        images = read_images(content)
    except FileNotFoundError:
        fault = Fault(receipt_name, "", "is missing: the shard is not done")
        return ShardReport(shard, None, nothing, nothing, (fault,))
    except (OSError, ValueError) as error:
        fault = Fault(receipt_name, "", f"is damaged ({error})", remove)
        return ShardReport(shard, None, nothing, nothing, (fault,))
    faults = [
        Fault(receipt_name, "", what, remove)
        for what in receipt_faults(receipt, shard, dataset, images)
    ]
    if faults:
        return ShardReport(shard, None, nothing, nothing, tuple(faults))
    expected = list(expected_samples(receipt))
    if chosen is not None:
        wanted = [sample for sample in expected if sample.id in chosen]
    else:
        wanted = expected
    digests, rows = np.zeros((2, len(expected)), np.uint64)
    lines, line_faults = _read_lines(shard, receipt, dataset, wanted, chosen is None)
    faults += [Fault(lines_name, sample, what, remove) for sample, what in line_faults]
    intact = not line_faults
    redrawn = redraw.of(shard.number, wanted)
    decode = load_tokenizer(dataset.tokenizer, False).decode  # by what is right, not quick
    for sample in wanted:
        line = lines.get(sample.id)
        if line is None:
            continue
        found = list(sample_faults(line, sample, dataset, decode))
        if not found and sample.id in redrawn and (what := metadata_fault(dataset, line)):
            found.append(what)
        faults += [Fault(lines_name, sample.id, what, remove) for what in found]
        if intact and not found:
            digests[sample.number] = digest(line)
            pages = (
                stored.places[name].digest
                for stored in images.values()
                for name in stored.names_of(sample.id)
            )
            rows[sample.number] = row_digest(line, pages)
    faults += [
        fault._replace(remove=remove)
        for fault in images_faults(shard, dataset, images, wanted, lines, chosen is None, redrawn)
    ]
    looked_at = [stored.names_of(s.id) for s in wanted for stored in images.values()]
    return ShardReport(shard, receipt, digests, rows, tuple(faults), sum(map(len, looked_at)))


def receipt_faults(
    receipt: Receipt, shard: Shard, dataset: Dataset, images: dict[str, ModeImages]
) -> Iterator[str]:
    """Yield what is wrong with a receipt itself."""
    if not receipt.shard.has_rows_of(shard):
        yield "is of other rows than the plan says"
    if list(receipt.modes) != dataset.modes:
        yield f"is of the modes {', '.join(receipt.modes)}, not {', '.join(dataset.modes)}"
    counted = receipt.kept + sum(receipt.dropped.values()) + len(receipt.errors)
    if counted != shard.rows:
        yield f"accounts for {counted} of {shard.rows} rows"
    rows = [article.row for article in receipt.articles]
    last = shard.first_row + shard.rows
    if sorted(set(rows)) != rows or (rows and not shard.first_row <= rows[0] <= rows[-1] < last):
        yield "has articles that are not of its rows"
    if sum(sample.length for sample in expected_samples(receipt)) != receipt.jsonl_bytes:
        yield "has lines that are together not as long as it says"
    ids = [sample.id for sample in expected_samples(receipt)]
    wanted = [] if dataset.pages.form == NONE else dataset.modes
    if not ids and not (dataset.pages.form == SHARDS and images):  # once tars were empty then
        wanted = []
    if list(images) != wanted or not all(are_of(stored, ids) for stored in images.values()):
        yield "does not list just the images of its samples"
    elif receipt.pages != (pages := sum(len(stored.places) for stored in images.values())):
        yield f"counts {receipt.pages} pages, there are {pages}"


def are_of(stored: ModeImages, ids: Sequence[str]) -> bool:
    """Tell whether images are just the pages of some samples, in their order."""
    try:
        return list(stored.places) == [name for each in ids for name in stored.names_of(each)]
    except KeyError:
        return False


def sample_faults(
    line: bytes, expected: Expected, dataset: Dataset, decode: Callable[[Tokens], str]
) -> Iterator[str]:
    """Yield what is wrong with a sample's line."""
    try:
        sample = Sample.from_json_line(line)
    except ValueError as error:
        yield str(error)
        return
    if (sample.id, sample.wiki_id) != (expected.id, expected.wiki_id):
        yield f"it is {sample.id} of {sample.wiki_id}, not {expected.id} of {expected.wiki_id}"
    stride = dataset.context_tokens + dataset.continuation_tokens
    for name, tokens, count in (
        ("context", sample.context_tokens, dataset.context_tokens),
        ("continuation", sample.continuation_tokens, dataset.continuation_tokens),
    ):
        if len(tokens) != count:
            yield f"it has {len(tokens)} {name} tokens, not {count}"
    total = sample.total_article_tokens
    if total < dataset.min_tokens or total // stride != expected.chunks:
        yield f"it says {total} tokens, its article has {expected.chunks} chunks of {stride}"
    try:
        text = decode(sample.context_tokens)
    except Exception as error:  # ids that the vocabulary does not have
        yield f"its context_tokens cannot be decoded ({error})"
    else:
        if text != sample.context_text:
            yield "its context_text is not what its context_tokens decode to"
    if sample.images != images_of(sample, dataset):
        yield "its images are not those of its modes"
    yield from _metadata_faults(sample, dataset)
    if sample.json_line() != line:
        yield "it is not written as `json.dumps` writes it"


def images_of(sample: Sample, dataset: Dataset) -> dict[str, str | list[str]]:
    """Return what a sample should say of its images, going by how many pages it says it has."""
    stored = dataset.modes if dataset.pages.form != NONE else []
    pages = {mode: pages_of(sample.font_metadata.get(mode, {})) for mode in stored}
    return {mode: image_names(mode, sample.id, pages[mode]) for mode in stored}


def _metadata_faults(sample: Sample, dataset: Dataset) -> Iterator[str]:
    is_varied, pages = dataset.sheet.is_varied, sample.font_metadata.values()
    known = (*PageMetadata._fields, *COSTS * dataset.sheet.is_paged, *[STYLE] * is_varied)
    if list(sample.font_metadata) != dataset.modes or any(tuple(page) != known for page in pages):
        yield "its font_metadata are not those of its modes"
    elif is_varied:
        label, _ = dataset.sheet.style_of(sample.id, sample.wiki_id)
        if others := [page[STYLE] for page in pages if page[STYLE] != label]:
            yield f"its style is {others[0]!r}, by its id it should be {label!r}"


def _read_lines(
    shard: Shard, receipt: Receipt, dataset: Dataset, wanted: Sequence[Expected], whole: bool
) -> tuple[dict[str, bytes], list[tuple[str, str]]]:
    """Return the lines of samples by id, and faults as (sample, what)."""
    path = shard_path(dataset.output_dir, shard.number)
    try:
        if not whole:
            with storage.RangeReader() as reader:
                return {s.id: reader.read(path, s.offset, s.length) for s in wanted}, []
        content = storage.read_bytes(path)
    except FileNotFoundError:
        return {}, [("", "is missing")]
    except OSError as error:
        return {}, [("", f"cannot be read ({error})")]
    if hashlib.sha256(content).hexdigest() == receipt.jsonl_sha256:
        return {s.id: content[s.offset : s.offset + s.length] for s in wanted}, []
    faults = [("", f"its SHA-256 is not that of its receipt ({len(content)} bytes, "
               f"{receipt.jsonl_bytes} written)")]  # fmt: skip
    lines: dict[str, bytes] = {}
    for number, line in enumerate(content.splitlines(keepends=True)):
        try:
            name = Sample.from_json_line(line).id
        except ValueError as error:
            faults.append(("", f"line {number + 1}: {error}"))
            continue
        if name in lines:
            faults.append((name, "is there twice"))
        lines[name] = line
    ids = {sample.id for sample in wanted}
    faults += [(name, "does not belong there") for name in lines if name not in ids]
    faults += [(s.id, "is missing") for s in wanted if s.id not in lines]
    return lines, faults
