"""Where pages go: a file each, a tar for each shard and mode, or nowhere.

A sink takes the images of one shard. What it has taken counts when it is committed; a shard that
has to be done once more discards it. The same pages always give the same bytes, so that writing an
image twice is harmless.
"""

from __future__ import annotations

import tarfile
from collections.abc import Mapping, Sequence
from typing import Protocol

from pagecast import storage
from pagecast.dataset.layout import END_OF_TAR, image_name, member_name, tar_name
from pagecast.dataset.sample import ModeImages, Sample, StoredImage, digest_of, sample_of


def tar_member(name: str, content: bytes) -> bytes:
    """Return a file as it stands in a tar: a header that only depends on the arguments, content."""
    header = tarfile.TarInfo(name)
    header.size = len(content)
    padding = bytes(-len(content) % tarfile.BLOCKSIZE)
    return header.tobuf(tarfile.USTAR_FORMAT) + content + padding


Pngs = Mapping[str, bytes]  # the images of a sample in one mode: name to PNG


class ImageSink(Protocol):
    """Takes the images of one shard."""

    def add(self, sample: Sample, pngs: Mapping[str, Pngs]) -> None:
        """Take the images of a rendered sample, by mode."""

    def commit(self) -> dict[str, ModeImages]:
        """Make what was taken last, and say where it is."""

    def discard(self) -> None:
        """Undo what was taken."""


class ImageFiles:
    """A file for each image, images/{mode}/{id}.png, written at once under its own name.

    Args:
      earlier: images that are there already; those of samples that are added stay, others go.
    """

    def __init__(self, output_dir: str, earlier: Mapping[str, ModeImages]) -> None:
        self._output_dir = output_dir
        self._earlier = earlier
        self._written: dict[str, dict[str, StoredImage]] = {}
        self._samples: set[str] = set()
        self._uploads = storage.Uploads()

    def add(self, sample: Sample, pngs: Mapping[str, Pngs]) -> None:
        """Write the images."""
        self._samples.add(sample.id)
        for mode, pages in pngs.items():
            written = self._written.setdefault(mode, {})
            for page, png in pages.items():
                # Noted first: a file that could only be written in part is to be discarded too.
                written[page] = StoredImage(0, len(png), digest_of(png))
                self._uploads.write(self._path(mode, page), png)

    def commit(self) -> dict[str, ModeImages]:
        """Return the shard's images, the earlier ones too."""
        self._uploads.wait()
        stored = dict(self._written)
        for mode, (_, _, places) in self._earlier.items():
            gone = {page for page in places if sample_of(page) not in self._samples}
            storage.remove(self._path(mode, page) for page in gone)
            stored[mode] = {page: image for page, image in places.items() if page not in gone}
        return {
            mode: ModeImages(None, sum(image.length for image in places.values()), places)
            for mode, places in stored.items()
        }

    def discard(self) -> None:
        """Remove the files that were written."""
        self._uploads.abandon()
        for mode, places in self._written.items():
            storage.remove(self._path(mode, page) for page in places)

    def _path(self, mode: str, page: str) -> str:
        return storage.join(self._output_dir, image_name(mode, page))


class ImageTars:
    """An uncompressed tar for each mode, in WebDataset's naming; without samples there is none.

    A sample's image is `{id}.png`, or its pages `{id}.p0.png` and so on; the tar of the first mode
    also has its record, `{id}.json`.
    """

    def __init__(self, output_dir: str, shard: int, modes: Sequence[str]) -> None:
        self._output_dir = output_dir
        self._first = modes[0]
        self._names = {mode: tar_name(mode, shard) for mode in modes}
        self._writers: dict[str, storage.Writer] = {}
        self._places: dict[str, dict[str, StoredImage]] = {mode: {} for mode in modes}

    def add(self, sample: Sample, pngs: Mapping[str, Pngs]) -> None:
        """Append the images, and the record behind those of the first mode."""
        for mode in self._names:
            writer = self._writer(mode)
            for page, png in pngs[mode].items():
                offset = writer.size + tarfile.BLOCKSIZE
                self._places[mode][page] = StoredImage(offset, len(png), digest_of(png))
                writer.write(tar_member(member_name(page), png))
            if mode == self._first:
                writer.write(tar_member(f"{sample.id}.json", sample.json_line().rstrip()))

    def _writer(self, mode: str) -> storage.Writer:
        if mode not in self._writers:
            path = storage.join(self._output_dir, self._names[mode])
            self._writers[mode] = storage.Writer(path)
        return self._writers[mode]

    def commit(self) -> dict[str, ModeImages]:
        """End the tars and let them appear."""
        if not self._writers:  # loaders refuse an empty tar; older versions wrote some
            storage.remove(storage.join(self._output_dir, name) for name in self._names.values())
        images = {}
        for mode, writer in self._writers.items():
            writer.write(END_OF_TAR)
            writer.commit()
            images[mode] = ModeImages(self._names[mode], writer.size, self._places[mode])
        return images

    def discard(self) -> None:
        """Leave no tar."""
        for writer in self._writers.values():
            writer.abandon()


class NoImages:
    """Stores nothing."""

    def add(self, sample: Sample, pngs: Mapping[str, Pngs]) -> None:
        """Take nothing."""

    def commit(self) -> dict[str, ModeImages]:
        """Return no images."""
        return {}

    def discard(self) -> None:
        """Undo nothing."""
