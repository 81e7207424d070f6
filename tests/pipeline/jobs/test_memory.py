"""Memory of a worker stays level: what a page takes is given back with the page."""

import subprocess
import sys

import pytest

# In a process of its own: here threads and runners of other tests may leave something meanwhile.
PROGRAM = """
import gc
from pagecast.render import PageRenderer
from pagecast.style import PageStyle

texts = [f"Text number {n} about fjords, Ålesund and 日本語. " * 40 for n in range(5)]
renderer = PageRenderer(PageStyle(layout="LAYOUT"))
list(renderer.render_sizes(texts[0], [512, 640]))
gc.collect()
gc.disable()
for text in texts:
    list(renderer.render_sizes(text, [512, 640]))
print(gc.collect())
"""


@pytest.mark.parametrize("layout", ["basic", "raqm"])
def test_a_page_leaves_nothing_to_the_garbage_collector(layout: str) -> None:
    """Tables in a circle of references would wait for it, 200 KB a page."""
    program = PROGRAM.replace("LAYOUT", layout)
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("0\n", "")
