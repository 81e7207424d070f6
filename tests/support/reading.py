"""Reading a dataset as processes of their own do, which import nothing else of the tests."""

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


def check_in_process(dataset: Dataset, reader: PageReader, answers: Any) -> None:
    answers.put(wrong_pages(dataset, reader))
