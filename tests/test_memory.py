"""Memory of a worker stays level: what a page takes is given back with the page."""

import gc

import pytest

from transforms.render import PageRenderer

TEXTS = [f"Text number {n} about fjords, Ålesund and 日本語. " * 40 for n in range(5)]


@pytest.mark.parametrize("layout", ["basic", "raqm"])
def test_a_page_leaves_nothing_to_the_garbage_collector(layout: str) -> None:
    """Tables in a circle of references would wait for it, 200 KB a page."""
    renderer = PageRenderer(layout=layout)
    list(renderer.render_sizes(TEXTS[0], [512, 640]))
    gc.collect()
    gc.disable()
    try:
        for text in TEXTS:
            list(renderer.render_sizes(text, [512, 640]))
        assert gc.collect() == 0
    finally:
        gc.enable()
