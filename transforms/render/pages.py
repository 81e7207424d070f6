"""Rendering samples at every vision mode; a shard's images go to their sink one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import apache_beam as beam

from pagecast import pulse, storage
from pagecast.dataset.assets import PageSettings, load_renderer
from pagecast.dataset.layout import FILES, NONE, image_name
from pagecast.dataset.sample import STYLE, ModeImages, Sample
from pagecast.dataset.shard import ShardSamples
from pagecast.render import encode_png
from pagecast.style.drawing import SheetRenderer
from transforms import metrics
from transforms.errors import map_with_errors
from transforms.render import sinks
from transforms.render.sinks import ImageFiles, ImageSink, ImageTars


def render_sample(
    sample: Sample, settings: PageSettings, renderers: SheetRenderer
) -> tuple[Sample, dict[str, bytes]]:
    """Draw the context at the modes that the sample has no metadata for.

    Returns the sample with the metadata of all modes, smallest page first, and the new images,
    mode to PNG; none where images are not stored.
    """
    modes = [mode for mode in settings.modes if mode.name not in sample.font_metadata]
    sizes = [mode.px for mode in modes]
    label, renderer = renderers.of(sample.id, sample.wiki_id)
    drawn = {STYLE: label} if renderers.sheet.is_varied else {}
    metadata: dict[str, dict[str, Any]] = dict(sample.font_metadata)
    pngs = {}
    if settings.form == NONE:
        for mode, described in zip(
            modes, renderer.describe_sizes(sample.context_text, sizes), strict=True
        ):
            metadata[mode.name] = described._asdict() | drawn
    else:
        pages = renderer.render_sizes(sample.context_text, sizes)
        for mode, page in zip(modes, pages, strict=True):
            pngs[mode.name] = encode_png(page.image, settings.png_level)
            metadata[mode.name] = page.metadata._asdict() | drawn
    names = [mode.name for mode in settings.modes]
    rendered = replace(
        sample,
        images={} if settings.form == NONE else {n: image_name(n, sample.id) for n in names},
        font_metadata={name: metadata[name] for name in names},
    )
    return rendered, pngs


def render_shard(
    batch: ShardSamples,
    open_sink: Callable[[], ImageSink],
    render: Callable[[Sample], tuple[Sample, dict[str, bytes]]],
) -> ShardSamples:
    """Render a shard's samples into a sink; an article is in with all its pages or not at all.

    Where an article fails, what was stored is discarded and the shard done once more without it:
    a tar gives nothing back.
    """
    articles, errors = batch.articles, batch.errors
    while True:
        sink = open_sink()

        def render_article(
            samples: tuple[Sample, ...], sink: ImageSink = sink
        ) -> tuple[Sample, ...]:
            rendered = []
            for sample in samples:
                page, pngs = render(sample)
                sink.add(page, pngs)
                rendered.append(page)
            return tuple(rendered)

        try:
            done, failed = map_with_errors("render", articles, render_article, lambda a: a[0])
            stored = {} if failed else sink.commit()
        except BaseException:
            sink.discard()
            raise
        if not failed:
            return replace(batch, articles=tuple(done), errors=errors, images=stored)
        sink.discard()
        rows = {error.row for error in failed}
        articles = tuple(samples for samples in articles if samples[0].row not in rows)
        errors += failed


class RenderPages(beam.DoFn):
    """Render a shard's samples into `output_dir`/images; what goes on has no pixels.

    Samples of a shard that an earlier run rendered at fewer modes get what they lack.
    """

    def __init__(self, settings: PageSettings, output_dir: str) -> None:
        self._settings = settings
        self._output_dir = output_dir

    def process(self, batch: ShardSamples) -> Iterator[ShardSamples]:
        """Yield the samples with the metadata of their pages, and where the images are."""
        with metrics.timed("render_pages"), storage.RangeReader() as earlier:
            rendered = render_shard(
                batch, lambda: self._sink(batch), partial(self._render, batch.images, earlier)
            )
        yield rendered

    def _render(
        self, stored: dict[str, ModeImages], earlier: storage.RangeReader, sample: Sample
    ) -> tuple[Sample, dict[str, bytes]]:
        """Render what a sample lacks; a tar written again gets the images of the old one too."""
        renderers = load_renderer(self._output_dir, self._settings.sheet)
        rendered, pngs = render_sample(sample, self._settings, renderers)
        pulse.beat()
        for mode, (tar, _, places) in stored.items():
            if tar is not None:
                offset, length, _ = places[sample.id]
                path = storage.join(self._output_dir, tar)
                pngs[mode] = earlier.read(path, offset, length)
        return rendered, pngs

    def _sink(self, batch: ShardSamples) -> ImageSink:
        storage.protect(self._output_dir)
        if self._settings.form == NONE:
            return sinks.NoImages()
        if self._settings.form == FILES:
            return ImageFiles(self._output_dir, batch.images)
        names = [mode.name for mode in self._settings.modes]
        return ImageTars(self._output_dir, batch.shard.number, names)
