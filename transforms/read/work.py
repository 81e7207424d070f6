"""What there is to do: the shards of the plan, by how far an earlier run got with each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import apache_beam as beam

from pagecast import storage
from pagecast.dataset.layout import PLAN
from pagecast.dataset.shard import FAILED
from transforms.commit.samples import FINISHED, INCOMPLETE, PENDING, UNFILTERED, FindReceipts
from transforms.read.shards import ReadPlan
from transforms.read.versions import SameVersions


class FindWork(beam.PTransform):
    """Read the plan and tell shards that are done from those to do.

    Returns the receipts of shards that are `finished`; the shards that are `pending`, `incomplete`
    or `unfiltered`, as `FindReceipts` has it; and the input files that `failed` in the launcher.

    Args:
      versions: those of the launcher, without which a worker may not work.
      modes, filtered: see `FindReceipts`.
    """

    def __init__(
        self,
        output_dir: str,
        versions: Mapping[str, str | None],
        modes: Sequence[str],
        filtered: bool,
    ) -> None:
        super().__init__()
        self._plan = storage.private(output_dir, PLAN)
        self._versions = versions
        self._find = FindReceipts(output_dir, modes, filtered)

    def expand(self, pipeline: beam.Pipeline) -> dict[str, beam.PCollection]:
        """Return the five collections by their names."""
        plan = pipeline | "ReadPlan" >> ReadPlan(self._plan)
        names = PENDING, INCOMPLETE, UNFILTERED
        found = (
            plan.shards
            | "Reshuffle" >> beam.Reshuffle()
            | "CheckWorker" >> beam.ParDo(SameVersions(self._versions))
            | "FindReceipts" >> beam.ParDo(self._find).with_outputs(*names, main=FINISHED)
        )
        return {FAILED: plan[FAILED], **{name: found[name] for name in (FINISHED, *names)}}
