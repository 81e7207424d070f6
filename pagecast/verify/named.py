"""Checking a split of `pagecast split` by itself: its files, and of all samples its own."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from pagecast.dataset.split import TRAIN, VAL, SplitSettings
from pagecast.verify.check import Check, shards_of
from pagecast.verify.manifest import asset_faults
from pagecast.verify.shard import Redraw, ShardReport, check_shard
from pagecast.verify.split import split_by_the_rule


@dataclass
class NamedCheck(Check):
    """One verification of a named split, whose dataset is `dataset`."""

    name: str = ""

    def run(self) -> None:
        """Check the split and its samples; of other samples and files nothing is read."""
        self.faults += asset_faults(self.dataset)
        if self.faults:
            return
        silent = replace(self, dataset=self.of_named(self.name), faults=[])
        manifest = silent.read_manifest(self.name)  # what is wrong with it `check_named` says
        reports: list[ShardReport] = []
        if manifest is not None:
            numbers = shards_of(manifest)
            self.shards = [shard for shard in self.shards if shard.number in numbers]
            chosen = self.choose_of(self.settings_of(manifest))
            redraw = Redraw(self.redraw_all, self.seed)
            work = partial(check_shard, dataset=self.dataset, chosen=chosen, redraw=redraw)
            reports += self.each("shards", work, self.shards)
            self.faults += [fault for report in reports for fault in report.faults]
            self.samples_checked = len(chosen)
            self.pages_checked = sum(report.pages for report in reports)
        self.check_named(self.name, reports)

    def choose_of(self, settings: SplitSettings) -> frozenset[str]:
        """Return the ids of the samples that the split has, or of some."""
        look = partial(check_shard, dataset=self.dataset, chosen=frozenset())
        _, samples, _ = self.contents(list(self.each("receipts", look, self.shards)))
        split = split_by_the_rule(samples, settings).numbers
        ids = [samples.id(number) for number in np.concatenate([split[VAL], split[TRAIN]]).tolist()]
        if self.chosen_count is not None:
            ids = random.Random(self.seed).sample(ids, min(self.chosen_count, len(ids)))
        return frozenset(ids)
