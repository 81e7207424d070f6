"""Rendering samples at every vision mode, each page handed to the picture sink at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import apache_beam as beam

from transforms import storage
from transforms.faults import attempt
from transforms.records import Sample, ShardSamples, VisionMode, image_name
from transforms.render import PageRenderer, encode_png

StorePicture = Callable[[str, bytes], None]


_loaded = threading.local()


def load_renderer(font_path: str, layout: str) -> PageRenderer:
    """Make a renderer with the font of the job's assets, once a thread: runners may use several."""
    if getattr(_loaded, "key", None) != (font_path, layout):
        _loaded.renderer = PageRenderer(storage.read_bytes(font_path), layout)
        _loaded.key = (font_path, layout)
    return _loaded.renderer


def render_sample(
    sample: Sample,
    modes: Sequence[VisionMode],
    renderer: PageRenderer,
    png_level: int,
    store: StorePicture,
) -> Sample:
    """Draw the context at every mode, store each picture, and return the sample with its metadata.

    `store` is called with the picture's path relative to the output directory and its PNG bytes.
    """
    font_metadata = {}
    pages = renderer.render_sizes(sample.context_text, [mode.px for mode in modes])
    for mode, page in zip(modes, pages, strict=True):
        store(image_name(mode.name, sample.id), encode_png(page.image, png_level))
        font_metadata[mode.name] = page.metadata._asdict()
    return replace(sample, font_metadata=font_metadata)


class RenderPages(beam.DoFn):
    """Render a shard's samples into `output_dir`/images; what goes on has no pixels."""

    def __init__(
        self,
        modes: Sequence[VisionMode],
        font_path: str,
        layout: str,
        png_level: int,
        output_dir: str,
    ) -> None:
        self._modes = tuple(modes)
        self._font_path = font_path
        self._layout = layout
        self._png_level = png_level
        self._output_dir = output_dir

    def process(self, batch: ShardSamples) -> Iterator[ShardSamples]:
        """Yield the samples with the metadata of their pages."""
        articles, errors = attempt("render", batch.articles, self._render_article, lambda a: a[0])
        yield replace(batch, articles=tuple(articles), errors=batch.errors + errors)

    def _render_article(self, samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
        renderer = load_renderer(self._font_path, self._layout)
        stored: list[str] = []

        def store(name: str, png: bytes) -> None:
            path = storage.join(self._output_dir, name)
            # The same sample always gives the same bytes, so writing one twice is harmless.
            storage.write_in_place(path, png)
            stored.append(path)

        try:
            return tuple(
                render_sample(sample, self._modes, renderer, self._png_level, store)
                for sample in samples
            )
        except Exception:
            storage.remove(stored)  # an article is in with all its pages or not at all
            raise
