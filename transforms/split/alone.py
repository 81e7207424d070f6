"""The split of receipts that are there: by the functions of the graph, and without a graph.

What is held is what the graph shuffles: references of some 30 bytes a sample.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial, reduce
from typing import TYPE_CHECKING, NamedTuple

from pagecast.dataset.receipts import Part, Receipt
from pagecast.dataset.split import Keys, SplitPlan, SplitSettings
from transforms.split.assign import DistinctKeys, ShardReferences, article_keys, assign_split
from transforms.split.parts import PartSettings, write_part
from transforms.split.plan import CountKeys, border_articles, plan_split

if TYPE_CHECKING:
    from pagecast.verify.check import Each


class WrittenSplit(NamedTuple):
    """What `SplitSamples` gives in the graph."""

    plan: SplitPlan
    article_counts: dict[str, int]
    parts: list[Part]


def split_receipts(
    receipts: Sequence[Receipt], wanted: SplitSettings, settings: PartSettings, each: Each
) -> WrittenSplit:
    """Split the samples of receipts and write the parts, several at a time as `each` does it."""
    count, distinct = CountKeys(wanted.seed), DistinctKeys()
    histogram = reduce(count.add_input, receipts, count.create_accumulator())
    borders = (b for receipt in receipts for b in border_articles(receipt, histogram, wanted))
    plan = plan_split(borders, histogram, wanted)
    groups: dict[str, list[ShardReferences]] = defaultdict(list)
    keys: dict[str, list[Keys]] = defaultdict(list)
    for receipt in receipts:
        for name, references in assign_split(receipt, plan, wanted):
            groups[name].append(references)
        for split, found in article_keys(receipt, plan, wanted):
            keys[split].append(found)
    work = partial(_write, settings=settings, plan=plan)
    return WrittenSplit(
        plan,
        {split: distinct.extract_output(found) for split, found in keys.items()},
        list(each("parts", work, sorted(groups.items()))),
    )


def _write(
    part: tuple[str, Iterable[ShardReferences]], settings: PartSettings, plan: SplitPlan
) -> Part:
    name, shards = part
    return write_part(name, shards, settings, plan.files_of(name.split("-")[0]))
