"""Rendering samples at every vision mode; a shard's images go to their sink one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import apache_beam as beam

from pagecast import pulse, storage
from pagecast.dataset.assets import PageSettings, load_renderer
from pagecast.dataset.layout import FILES, NONE, image_names
from pagecast.dataset.sample import ModeImages, Sample, page_names
from pagecast.dataset.shard import ShardSamples
from pagecast.modes import VisionMode
from pagecast.render import PageMetadata, encode_png
from pagecast.style.drawing import SheetRenderer
from pagecast.style.record import page_record, pages_of
from transforms import metrics
from transforms.errors import map_with_errors
from transforms.render import sinks
from transforms.render.sinks import ImageFiles, ImageSink, ImageTars, Pngs


def render_sample(
    sample: Sample, settings: PageSettings, renderers: SheetRenderer
) -> tuple[Sample, dict[str, Pngs]]:
    """Draw the context at the modes that the sample has no metadata for.

    Returns the sample with the metadata of all modes, smallest page first, and the new images by
    mode; none where images are not stored.
    """
    wanted = [mode for mode in settings.modes if mode.name not in sample.font_metadata]
    sizes = [mode.px for mode in wanted]
    text, sheet = sample.context_text, renderers.sheet
    label, renderer = renderers.of(sample.id, sample.wiki_id)
    records: dict[str, dict[str, Any]] = dict(sample.font_metadata)
    pngs: dict[str, Pngs] = {}

    def note(mode: VisionMode, metadata: PageMetadata) -> list[str]:
        """Keep what is known of the pages of a mode, and return what their images are called."""
        found, tokens = metadata._asdict(), len(sample.context_tokens)
        records[mode.name] = page_record(found, sheet, (label, renderer.style), mode.px, tokens)
        return page_names(sample.id, pages_of(records[mode.name]))

    if settings.form == NONE:
        for mode, metadata in zip(wanted, renderer.describe_sizes(text, sizes), strict=True):
            note(mode, metadata)
    else:
        for mode, pages in zip(wanted, renderer.render_pages(text, sizes), strict=True):
            encoded = [encode_png(image, settings.png_level) for image in pages.images]
            pngs[mode.name] = dict(zip(note(mode, pages.metadata), encoded, strict=True))
    names = [mode.name for mode in settings.modes]
    stored = [] if settings.form == NONE else names
    rendered = replace(
        sample,
        images={n: image_names(n, sample.id, pages_of(records[n])) for n in stored},
        font_metadata={name: records[name] for name in names},
    )
    return rendered, pngs


def render_shard(
    batch: ShardSamples,
    open_sink: Callable[[], ImageSink],
    render: Callable[[Sample], tuple[Sample, dict[str, Pngs]]],
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
    ) -> tuple[Sample, dict[str, Pngs]]:
        """Render what a sample lacks; a tar written again gets the images of the old one too."""
        renderers = load_renderer(self._output_dir, self._settings.sheet)
        rendered, pngs = render_sample(sample, self._settings, renderers)
        pulse.beat()
        for mode, images in stored.items():
            if images.tar is not None:
                path = storage.join(self._output_dir, images.tar)
                pngs[mode] = {
                    name: earlier.read(path, *images.places[name][:2])
                    for name in images.names_of(sample.id)
                }
        return rendered, pngs

    def _sink(self, batch: ShardSamples) -> ImageSink:
        storage.protect(self._output_dir)
        if self._settings.form == NONE:
            return sinks.NoImages()
        if self._settings.form == FILES:
            return ImageFiles(self._output_dir, batch.images)
        names = [mode.name for mode in self._settings.modes]
        return ImageTars(self._output_dir, batch.shard.number, names)
