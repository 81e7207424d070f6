"""What a trainer does with datasets, run by a Python that has PyTorch and the library alone.

    python trainer.py EXPECTED DIRECTORY ...

EXPECTED is a dataset whose images are files. Each other one has to give the same samples, in the
same order, with the same pages: by PyTorch's loaders, forked and spawned after this process has
read, and by a script that knows no more than `train.jsonl` and `images/`.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from torch.utils.data import DataLoader, Dataset

from pagecast.torch import PageDataset

MODES = ("tiny", "base")
DOCUMENT = Path(__file__).parents[2] / "docs/loading.md"
WORKERS = {"fork": 8, "spawn": 2}  # each that is spawned imports PyTorch, which takes seconds


class Plain(Dataset):
    """A trainer's own dataset, written for `train.jsonl` and `images/{mode}/{id}.png`."""

    def __init__(self, data: str, mode: str) -> None:
        with open(data, encoding="utf-8") as lines:
            self.samples = [json.loads(line) for line in lines]
        self.images, self.mode = Path(data).parent / "images" / mode, mode

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, at: int) -> dict:
        sample = self.samples[at]
        with PIL.Image.open(self.images / f"{sample['id']}.png") as image:
            page = np.array(image.convert("RGB"))
        return {"id": sample["id"], "page": torch.from_numpy(page).permute(2, 0, 1)}


def use_pages(directory: str) -> None:
    """Let this process open pages that are not files: the adapter of docs/loading.md."""
    found = re.findall(r"```py\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    loading, adapter = (code for code in found if "hf://" not in code)
    for code in (loading, adapter):
        exec(code.replace("output/demo", directory), {})


def check(directory: str, mode: str, method: str, expected: list[dict]) -> None:
    """Compare what a loader gives with what is expected."""
    dataset = PageDataset(directory, "train", mode, rgb=True)
    assert torch.equal(torch.as_tensor(dataset[0]["page"]), expected[0]["page"])  # the parent read
    tokens = [
        sample["context_tokens"] for sample in Plain(f"{directory}/train.jsonl", mode).samples
    ]
    loader = DataLoader(
        dataset, batch_size=4, num_workers=WORKERS[method], multiprocessing_context=method
    )
    at = 0
    for batch in loader:
        for name, page, context in zip(
            batch["id"], batch["page"], batch["context_tokens"], strict=True
        ):
            assert name == expected[at]["id"], (directory, mode, method, at)
            assert torch.equal(page, expected[at]["page"]), (directory, mode, method, name)
            assert context.tolist() == tokens[at]
            at += 1
    assert at == len(expected) == len(dataset)


def main(reference: str, *directories: str) -> None:
    warnings.filterwarnings("ignore", message=".*worker processes in total")
    installed = ("torch", "transformers", "tokenizers", "huggingface_hub", "Pillow", "pagecast")
    print(json.dumps({name: importlib.metadata.version(name) for name in installed}))
    plain = {mode: list(Plain(f"{reference}/train.jsonl", mode)) for mode in MODES}
    for directory in (reference, *directories):
        for mode, method in (("tiny", "fork"), ("base", "fork"), ("base", "spawn")):
            check(directory, mode, method, plain[mode])
    for directory in directories:
        before = PIL.Image.open
        use_pages(directory)
        for mode in MODES:
            loader = DataLoader(Plain(f"{directory}/train.jsonl", mode), None, num_workers=2)
            for item, right in zip(loader, plain[mode], strict=True):
                assert item["id"] == right["id"] and torch.equal(item["page"], right["page"])
        PIL.Image.open = before
    loaded = {"apache_beam", "transformers", "pyarrow"} & set(sys.modules)
    print(f"{len(directories) + 1} datasets are the same; loaded beside: {sorted(loaded)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
