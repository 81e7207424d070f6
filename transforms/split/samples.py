"""From receipts to the written parts of the split."""

from __future__ import annotations

from collections.abc import Mapping

import apache_beam as beam
from apache_beam.pvalue import AsList, AsSingleton

from pagecast.dataset.split import SplitSettings
from transforms.split.assign import DistinctKeys, article_keys, assign_split
from transforms.split.plan import PlanSplit


class SplitSamples(beam.PTransform):
    """Plan the split of all `receipts` and write its parts, unless there are `failures`.

    Where input is missing the split would be another one tomorrow, so none is written. Returns the
    `plan`, `article_counts` and the written `parts`.

    Args:
      write_part: writes a part from where its lines are, `WritePart`.
      takes_plan: whether it is given the plan, which on Flink takes network buffers of each worker.
    """

    def __init__(
        self, settings: SplitSettings, write_part: beam.DoFn, takes_plan: bool = False
    ) -> None:
        super().__init__()
        self._settings, self._write_part, self._takes_plan = settings, write_part, takes_plan

    def expand(self, inputs: Mapping[str, beam.PCollection]) -> dict[str, beam.PCollection]:
        """Take `receipts` and `failures`."""
        plan = inputs["receipts"] | "PlanSplit" >> PlanSplit(self._settings)
        whole = inputs["receipts"] | "StopOnFailure" >> beam.Filter(
            lambda _, failed: not failed, AsList(inputs["failures"])
        )
        parts = (
            whole
            | "AssignSplit" >> beam.FlatMap(assign_split, AsSingleton(plan), self._settings)
            | "GroupByPart" >> beam.GroupByKey()
            | "WritePart" >> beam.ParDo(self._write_part, *[AsSingleton(plan)] * self._takes_plan)
        )
        article_counts = (
            whole
            | "ArticleKeys" >> beam.FlatMap(article_keys, AsSingleton(plan), self._settings)
            | "CountArticles" >> beam.CombinePerKey(DistinctKeys())
        )
        return {"plan": plan, "article_counts": article_counts, "parts": parts}
