"""Writing a part of the split as Parquet files: its lines, and the images of their samples.

With images a part is some gigabytes, so its range of keys is cut into files of about 500 MB, and
each is written a row group at a time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from errno import ENOENT
from itertools import islice
from typing import NamedTuple

import pyarrow as pa

from pagecast import storage
from pagecast.dataset.layout import image_name, parse_parquet_name, receipt_path
from pagecast.dataset.receipts import read_images
from pagecast.dataset.sample import StoredImage, digest_of
from pagecast.dataset.split import KEY_BITS
from pagecast.dataset.tables import parquet
from pagecast.dataset.tables.parquet import RowGroup
from transforms.split.assign import Reference


class ImageError(Exception):
    """A stored image is not the one that was written."""


class Place(NamedTuple):
    """A stored image and the file that it is in, relative to the output directory."""

    file: str
    image: StoredImage


def of_file(references: Sequence[Reference], path: str) -> Sequence[Reference]:
    """Return those references, which are in the order of their keys, that go to a Parquet file."""
    name = parse_parquet_name("/".join(path.split("/")[-2:]))
    assert name is not None, "made by `parquet_path`"
    bounds = (-(-(number << KEY_BITS) // name.of) for number in (name.number, name.number + 1))
    first, end = (bisect_left(references, bound, key=lambda r: r.key) for bound in bounds)
    return references[first:end]


# The images of a sample, in the order of the modes, and the pages of each.
Pages = Sequence[Sequence[Place]]


def find_places(
    references: Sequence[Reference], modes: Sequence[str], output_dir: str
) -> Sequence[Pages]:
    """Return where the images of samples are: shard by shard is quick."""
    found: list[list[list[Place]]] = [[] for _ in references]
    if not modes:
        return found
    wanted: dict[int, list[int]] = defaultdict(list)
    for number, reference in enumerate(references):
        wanted[reference.shard].append(number)
    receipts = storage.read_each(receipt_path(output_dir, shard) for shard in wanted)
    for (shard, numbers), content in zip(wanted.items(), receipts, strict=True):
        if content is None:
            raise ImageError(f"the receipt {receipt_path(output_dir, shard)} is gone")
        images = read_images(content)
        for number in numbers:
            for mode, stored in ((mode, images[mode]) for mode in modes):
                found[number].append(
                    [
                        Place(stored.tar or image_name(mode, name), stored.places[name])
                        for name in stored.names_of(references[number].id)
                    ]
                )
    return found


def row_groups(
    lines: Iterator[bytes], places: Sequence[Pages], output_dir: str
) -> Iterator[RowGroup]:
    """Yield samples with their images, as many together as a row group holds.

    Raises:
      ImageError: an image is not the one that was written.
      OSError: it cannot be read.
    """
    while places:
        count = size = 0
        for images in places[: parquet.GROUP_ROWS]:
            count += 1
            size += sum(place.image.length for pages in images for place in pages)
            if size >= parquet.GROUP_BYTES:
                break
        some = places[:count]
        pngs = _read([place for images in some for pages in images for place in pages], output_dir)
        images_of = [[[next(pngs) for _ in pages] for pages in images] for images in some]
        yield RowGroup(list(islice(lines, count)), images_of)
        places = places[count:]


def _read(places: Sequence[Place], output_dir: str) -> Iterator[bytes]:
    paths = [storage.join(output_dir, *place.file.split("/")) for place in places]
    found = storage.read_ranges(
        (path, place.image.offset, place.image.length)
        for path, place in zip(paths, places, strict=True)
    )
    for path, place in zip(paths, places, strict=True):
        try:
            png = next(found)
        except OSError as error:
            if error.errno not in (None, ENOENT):
                raise
            png = b""
        if digest_of(png) != place.image.digest:
            raise ImageError(
                f"{path} has not the image that was written; `pagecast verify --output_dir "
                f"{output_dir} --repair`, then the same `run` command draws it again"
            )
        yield png


def stream(
    lines: Iterator[bytes], references: Sequence[Reference], schema: pa.Schema, output_dir: str
) -> Iterator[bytes]:
    """Yield the pieces of a Parquet file of samples, whose lines come next among `lines`."""
    places = find_places(references, parquet.modes(schema), output_dir)
    return parquet.stream(row_groups(lines, places, output_dir), schema)
