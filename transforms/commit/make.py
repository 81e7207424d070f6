"""From kept articles to committed samples with their pages."""

from __future__ import annotations

from collections.abc import Mapping

import apache_beam as beam

from pagecast.dataset.assets import PageSettings
from transforms.chunk import ExpandChunks
from transforms.commit.samples import FINISHED, INCOMPLETE, RestoreSamples, WriteSamples
from transforms.keep import KEPT
from transforms.render.pages import RenderPages


class MakeSamples(beam.PTransform):
    """Cut `kept` articles into samples, draw their pages and commit them, shard by shard.

    `incomplete` shards, which an earlier run drew at fewer modes, get the pages that they lack.
    Returns the receipts of all shards, `finished` ones too.
    """

    def __init__(
        self,
        output_dir: str,
        expand_chunks: ExpandChunks,
        pages: PageSettings,
    ) -> None:
        super().__init__()
        self._output_dir = output_dir
        self._expand_chunks = expand_chunks
        self._render = RenderPages(pages, output_dir)
        self._write = WriteSamples(output_dir, [mode.name for mode in pages.modes])

    def expand(self, inputs: Mapping[str, beam.PCollection]) -> beam.PCollection:
        """Take `kept` articles, `incomplete` shards and the receipts of `finished` ones."""
        written = (
            inputs[KEPT]
            | "ExpandChunks" >> beam.ParDo(self._expand_chunks)
            | "RenderPages" >> beam.ParDo(self._render)
            | "WriteSamples" >> beam.ParDo(self._write)
        )
        # Apart to the end: flattened before, the runner would hold whole samples between stages.
        extended = (
            inputs[INCOMPLETE]
            | "RestoreSamples" >> beam.ParDo(RestoreSamples(self._output_dir))
            | "RenderMissing" >> beam.ParDo(self._render)
            | "RewriteSamples" >> beam.ParDo(self._write)
        )
        return (inputs[FINISHED], written, extended) | "AllReceipts" >> beam.Flatten()
