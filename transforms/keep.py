"""From shards to the articles that are kept: read, tokenized and long enough."""

from __future__ import annotations

from collections.abc import Mapping

import apache_beam as beam

from pagecast.dataset.shard import FAILED
from transforms.commit.filtered import WriteFiltered
from transforms.commit.samples import PENDING, UNFILTERED
from transforms.read.articles import FilterShort, ReadArticles
from transforms.tokenize import Tokenize

KEPT, FILTERED = "kept", "filtered"


class KeepArticles(beam.PTransform):
    """Read `pending` shards and keep their long articles; commit those too where that is asked for.

    Returns the `kept` articles, the shards that `failed` to be read, and the pieces of kept
    articles that were committed, `filtered`: of `unfiltered` shards too, which are done otherwise.

    Args:
      quick: whether fastokens may be used.
      filtered_to: the output directory where kept articles are committed, None if they are not.
    """

    def __init__(
        self,
        max_chars: int,
        min_tokens: int,
        tokenizer_path: str,
        quick: bool,
        filtered_to: str | None,
    ) -> None:
        super().__init__()
        self._max_chars = max_chars
        self._min_tokens = min_tokens
        self._tokenizer = tokenizer_path, quick
        self._filtered_to = filtered_to

    def expand(self, shards: Mapping[str, beam.PCollection]) -> dict[str, beam.PCollection]:
        """Take `pending` and `unfiltered` shards."""
        kept, failed = self._keep(shards[PENDING])
        filtered, all_failed = [], [failed]
        if self._filtered_to is not None:
            again, failed_again = self._keep(shards[UNFILTERED], "Again")
            all_failed.append(failed_again)
            # Written apart: flattened, the runner would hold all of the articles between stages.
            filtered = [
                kept | "WriteFiltered" >> beam.ParDo(WriteFiltered(self._filtered_to)),
                again | "WriteFilteredAgain" >> beam.ParDo(WriteFiltered(self._filtered_to)),
            ]
        pipeline = shards[PENDING].pipeline
        return {
            KEPT: kept,
            FILTERED: filtered | "AllFiltered" >> beam.Flatten(pipeline=pipeline),
            FAILED: all_failed | "AllFailed" >> beam.Flatten(),
        }

    def _keep(
        self, shards: beam.PCollection, label: str = ""
    ) -> tuple[beam.PCollection, beam.PCollection]:
        read = shards | f"ReadArticles{label}" >> beam.ParDo(
            ReadArticles(self._max_chars)
        ).with_outputs(FAILED, main="articles")
        kept = (
            read.articles
            | f"Tokenize{label}" >> beam.ParDo(Tokenize(*self._tokenizer))
            | f"FilterShort{label}" >> FilterShort(self._min_tokens)
        )
        return kept, read[FAILED]
