"""Checking the images of a shard: that each is what was written, and that it is a page."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from functools import lru_cache, partial
from itertools import groupby

from PIL import Image, ImageChops

from pagecast import storage
from pagecast.dataset.assets import PageSettings, load_renderer
from pagecast.dataset.layout import image_name, member_name, tar_name
from pagecast.dataset.sample import ModeImages, Sample, StoredImage, digest_of, sample_of
from pagecast.dataset.shard import Shard
from pagecast.probe import Made, others, unlike
from pagecast.render import PageRenderer
from pagecast.style.frame import Frame, frame
from pagecast.style.record import page_record
from pagecast.verify.dataset import Dataset, Fault
from pagecast.verify.expected import Expected


def images_faults(
    shard: Shard,
    dataset: Dataset,
    images: dict[str, ModeImages],
    wanted: Sequence[Expected],
    lines: dict[str, bytes],
    whole: bool,
    redrawn: Set[str] = frozenset(),
) -> Iterator[Fault]:
    """Yield what is wrong with the images of the samples wanted, and with whole tars.

    Args:
      lines: the samples' lines by id, as far as they are there.
      redrawn: ids of samples whose pages are redrawn and compared.
    """
    sizes = {mode.name: mode.px for mode in dataset.pages.modes}
    with storage.RangeReader() as reader:
        for mode, stored in images.items():
            if stored.tar is not None and stored.places and whole:
                yield from _tar_faults(shard, dataset, mode, stored, lines)
            others = {place.digest: name for name, place in stored.places.items()}
            pages = [(s, *page) for s in wanted for page in enumerate(stored.names_of(s.id))]
            frame_of = lru_cache(partial(_frame_of, dataset, sizes[mode]))
            for sample, page, name in pages:
                place = stored.places[name]
                file = stored.tar or image_name(mode, name)
                path = dataset.path(file)
                try:
                    if stored.tar is None:
                        png = storage.read_bytes(path)
                    else:
                        png = reader.read(path, place.offset, place.length)
                except FileNotFoundError:
                    yield Fault(file, sample.id, "its image is missing")
                    continue
                except OSError as error:
                    yield Fault(file, sample.id, f"its image cannot be read ({error})")
                    continue
                always = sample.id in redrawn
                redraw = partial(_redraw, dataset, lines.get(sample.id), sizes[mode], page)
                there = frame_of(sample.id, sample.wiki_id)
                for what in image_faults(png, place, others, there, redraw, always):
                    yield Fault(file, sample.id, what)


def _frame_of(dataset: Dataset, px: int, sample: str, wiki_id: str) -> Frame:
    """Return where lines go on the pages of a sample."""
    return frame(dataset.sheet.style_of(sample, wiki_id)[1], px)


def _tar_faults(
    shard: Shard, dataset: Dataset, mode: str, stored: ModeImages, lines: dict[str, bytes]
) -> Iterator[Fault]:
    """Check that a tar read as a tar has just the members that the receipt's places say."""
    file = tar_name(mode, shard.number)
    first = mode == dataset.modes[0]
    wanted: list[tuple[str, int | None]] = []
    for sample, pages in groupby(stored.places, sample_of):
        wanted += [(member_name(page), stored.places[page].offset) for page in pages]
        if first:
            wanted.append((f"{sample}.json", None))
    try:
        if stored.tar != file:
            yield Fault(file, "", f"the receipt has the images in {stored.tar}")
        if (size := storage.size_of(dataset.path(file))) != stored.size:
            yield Fault(file, "", f"it has {size} bytes, {stored.size} were written")
        with storage.open_read(dataset.path(file)) as opened, tarfile.open(fileobj=opened) as tar:
            members = tar.getmembers()
            found = [(m.name, m.offset_data if m.name.endswith(".png") else None) for m in members]
            if found != wanted:
                yield Fault(file, "", "its members are not those of its receipt")
            for member in members:
                sample = member.name.removesuffix(".json")
                record = tar.extractfile(member) if sample in lines else None
                if record and record.read() != lines[sample].rstrip():
                    yield Fault(file, sample, "its record differs from its line")
    except (OSError, tarfile.TarError) as error:
        yield Fault(file, "", f"cannot be read as a tar ({error})")


def why_not_redrawn(dataset: Dataset) -> str:
    """Say why pages cannot be drawn here as they were; nothing if they can."""
    _, *made = dataset.made
    return _why_not_redrawn(dataset.output_dir, dataset.pages, json.dumps(made))


@lru_cache(maxsize=4)
def _why_not_redrawn(output_dir: str, pages: PageSettings, made: str) -> str:
    record = Made(pages.sheet, *json.loads(made))
    if not others(record):
        return ""  # the same versions: pages that are others here were drawn wrongly
    sizes = {mode.name: mode.px for mode in pages.modes}
    try:
        return unlike(record, lambda: load_renderer(output_dir, pages.sheet), sizes)
    except (OSError, ValueError, ImportError) as error:  # this Pillow cannot do such pages at all
        return str(error)


def metadata_fault(dataset: Dataset, line: bytes) -> str | None:
    """Say whether the metadata of a sample's pages are not those of its text."""
    if why_not_redrawn(dataset):
        return None
    sample = Sample.from_json_line(line)
    label, renderer = _renderer_of(dataset, sample)
    modes, drawn, tokens = dataset.pages.modes, (label, renderer.style), len(sample.context_tokens)
    found = renderer.describe_sizes(sample.context_text, [mode.px for mode in modes])
    for mode, metadata in zip(modes, found, strict=True):
        record = page_record(metadata._asdict(), dataset.sheet, drawn, mode.px, tokens)
        if sample.font_metadata.get(mode.name) != record:
            return f"its font_metadata of {mode.name} are not those of its text"
    return None


def _renderer_of(dataset: Dataset, sample: Sample) -> tuple[str, PageRenderer]:
    return load_renderer(dataset.output_dir, dataset.sheet).of(sample.id, sample.wiki_id)


def _redraw(dataset: Dataset, line: bytes | None, px: int, page: int) -> Image.Image | None:
    """Redraw a sample's page, if it can be drawn here as it was."""
    if line is None or why_not_redrawn(dataset):
        return None
    sample = Sample.from_json_line(line)
    try:
        return _renderer_of(dataset, sample)[1].draw(sample.context_text, px, page=page)
    except IndexError:  # its text has no such page
        return Image.new("L", (0, 0))


def image_faults(
    png: bytes,
    written: StoredImage,
    others: Mapping[str, str],
    frame: Frame,
    redraw: Callable[[], Image.Image | None],
    always: bool = False,
) -> Iterator[str]:
    """Yield what is wrong with an image.

    Args:
      written: what the receipt says of it.
      others: digest to id, of the images of the same mode and shard.
      frame: where lines go on the page.
      redraw: redraws the page, or gives None where that cannot be done as it was.
      always: whether to do so in any case, not only where there is ink in the margins.
    """
    if (digest := digest_of(png)) != written.digest:
        if digest in others:
            yield f"it is the image of {others[digest]}"
            return
        if len(png) < written.length:
            yield f"it is cut short: {len(png)} of {written.length} bytes"
        else:
            yield "it is not the image that was written"
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            image.load()
    except Exception as error:  # Pillow raises many kinds on damaged files
        yield f"it cannot be decoded ({error})"
        return
    if image.mode != frame.style.mode:
        yield f"it is of mode {image.mode}, not {'gray' if frame.style.mode == 'L' else 'RGB'}"
    elif image.size != frame.size:
        width, height = frame.size
        yield f"it has {image.width} by {image.height} pixels, not {width} by {height}"
    else:
        strange = not ink_inside(image, frame)
        page = redraw() if always or strange else None
        if page and page.tobytes() != image.tobytes():
            yield "it has ink in the margins" if strange else "it is not the page of its text"


def ink_inside(image: Image.Image, frame: Frame) -> bool:
    """Tell whether all ink of a page is inside its margins.

    Not so for every page: a word too long for its line is cut at the edge, and some letters reach
    beyond their place.
    """
    paper, _ = frame.style.painted
    inked = ImageChops.difference(image, Image.new(image.mode, image.size, paper)).getbbox()
    if inked is None:
        return True
    left, top, right, bottom = inked
    return (
        left >= frame.lefts[0]
        and top >= frame.top
        and right <= frame.lefts[-1] + frame.box
        and bottom <= frame.top + frame.height
    )
