"""The step that commits kept articles with their tokens."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam

from pagecast.dataset.filtered import FilteredPiece, write_filtered
from pagecast.dataset.shard import ShardArticles
from transforms import metrics


class WriteFiltered(beam.DoFn):
    """Commit the kept articles of each shard."""

    def __init__(self, output_dir: str) -> None:
        self._output_dir = output_dir

    def process(self, batch: ShardArticles) -> Iterator[FilteredPiece]:
        """Yield what was committed."""
        with metrics.timed("write_filtered"):
            piece = write_filtered(batch, self._output_dir)
        yield piece
