"""A split with its pages as PyTorch's loaders take it. Imports PyTorch, which nothing else does."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from torch.utils.data import Dataset

from pagecast.reader import PageReader


class PageDataset(Dataset):
    """The samples of a split with their pages at one mode, for `torch.utils.data.DataLoader`.

        pages = PageDataset("output/demo", "train", "base")
        loader = DataLoader(pages, batch_size=8, num_workers=4)

    An item has `id`, `context_tokens` and `continuation_tokens` (int32), and `page` (uint8 of
    [height, width], with `rgb` of [3, height, width]); a batch has tensors of them and a list of
    `id`. Where the dataset is paged, `page` has all pages of the sample: give a `collate_fn`.

    Args:
      dataset: where it is, as `PageReader` takes it; or a reader.

    Raises:
      ReaderError: there is no such dataset, split or mode.
    """

    def __init__(
        self,
        dataset: PageReader | str | os.PathLike[str],
        split: str = "train",
        mode: str = "base",
        rgb: bool = False,
    ) -> None:
        self.reader = dataset if isinstance(dataset, PageReader) else PageReader(dataset)
        self.samples = self.reader[split]
        self.reader.size_of(mode)
        self.mode, self.rgb = mode, rgb

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, at: int) -> dict[str, Any]:
        return self._item(self.samples[at])

    def __getitems__(self, at: Sequence[int]) -> list[dict[str, Any]]:
        """Return the items of a batch: from a store, its samples are fetched together."""
        return [self._item(sample) for sample in self.samples.take(at)]

    def _item(self, sample: dict[str, Any]) -> dict[str, Any]:
        batch = self.reader.collate([sample], self.mode, self.rgb)
        pages = {"page": batch["page"]} if self.reader.is_paged else {}
        return {name: column[0] for name, column in batch.items()} | pages
