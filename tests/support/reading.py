"""Reading a dataset as processes of their own do, which import nothing else of the tests."""

import hashlib
import json
from pathlib import Path
from typing import Any

from PIL import Image

from pagecast.reader import PageReader


class Dataset:
    """A dataset of one form, and the images that it should have."""

    def __init__(self, path: Path, demo: Path) -> None:
        self.path = path
        self.samples = [json.loads(line) for line in (path / "samples.jsonl").open()]
        self.expected = {
            (sample["id"], mode): pixels(demo / f"images/{mode}/{sample['id']}.png")
            for sample in self.samples
            for mode in ("tiny", "base")
        }


def pixels(path: Path) -> bytes:
    with Image.open(path) as image:
        return image.tobytes()


def digest_of(reader: PageReader, sample: dict[str, Any], mode: str) -> bytes:
    image = reader.image(sample, mode)
    assert image.mode == "L"
    return image.tobytes()


def wrong_pages(dataset: Dataset, reader: PageReader) -> list[tuple[str, str]]:
    return [
        (sample["id"], mode)
        for sample in dataset.samples
        for mode in ("tiny", "base")
        if digest_of(reader, sample, mode) != dataset.expected[sample["id"], mode]
    ]


def share_in_process(
    readers: list[PageReader], mode: str, share: tuple[int, int], answers: Any
) -> None:
    """Answer with what a loader process reads of each dataset: its share, so many of so many."""
    start, of = share
    found = []
    for reader in readers:
        train = reader["train"]
        for at, sample in zip(
            range(start, len(train), of), train.take(range(start, len(train), of)), strict=True
        ):
            page = hashlib.sha256(digest_of(reader, sample, mode)).hexdigest()
            found.append((at, sample, page))
    answers.put(found)


def check_in_process(dataset: Dataset, reader: PageReader, answers: Any) -> None:
    answers.put(wrong_pages(dataset, reader))
