import io
import tarfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from apache_beam import Create, ParDo
from apache_beam.testing.util import assert_that
from PIL import Image

from pagecast.dataset.assets import PageSettings
from pagecast.dataset.layout import FILES, NONE, SHARDS
from pagecast.dataset.sample import Sample
from pagecast.dataset.shard import Shard, ShardSamples
from pagecast.modes import VISION_MODES, VisionMode
from pagecast.render import PageRenderer
from pagecast.render.oracle import OracleRenderer
from pagecast.style.drawing import SheetRenderer
from pagecast.style.sheet import StyleSheet
from tests.conftest import in_beam
from transforms.render import pages
from transforms.render.pages import RenderPages, render_sample

SHARD = Shard(0, "p", 0, 0, 3, 0)
TINY_SMALL = VISION_MODES[:2]


def settings(form: str = FILES, modes: tuple[VisionMode, ...] = TINY_SMALL) -> PageSettings:
    return PageSettings(modes, 5, form)


def sample(row: int, chunk: int, text: str = "two words") -> Sample:
    tokens = np.zeros(1, np.int32)
    return Sample(row, f"w{row}", "T", chunk, 9, tokens, tokens, text)


def test_render_sample_gives_a_image_for_each_mode() -> None:
    rendered, pngs = render_sample(sample(4, 1), settings(), SheetRenderer())
    assert list(rendered.font_metadata) == list(pngs) == ["tiny", "small"]
    assert rendered.images == {
        "tiny": "images/tiny/sample_000004_chunk_1.png",
        "small": "images/small/sample_000004_chunk_1.png",
    }
    for ((name, png),), mode in zip(map(dict.items, pngs.values()), TINY_SMALL, strict=True):
        assert name == rendered.id
        expected = OracleRenderer().render("two words", mode.px)
        with Image.open(io.BytesIO(png)) as image:
            assert (image.mode, image.size) == ("L", (mode.px, mode.px))
            assert image.tobytes() == expected.image.tobytes()
        assert rendered.font_metadata[mode.name] == expected.metadata._asdict()


def test_metadata_are_plain_json_types() -> None:
    rendered, _ = render_sample(sample(0, 0), settings(), SheetRenderer())
    types = {name: type(value) for name, value in rendered.font_metadata["tiny"].items()}
    assert types == {
        "font_size": int, "total_lines": int, "rendered_lines": int, "is_truncated": bool,
        "clipped_lines": int, "missing_glyphs": int,
    }  # fmt: skip


def test_render_pages_stage_stores_images_and_passes_samples_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    batch = ShardSamples(SHARD, ((sample(0, 0), sample(0, 1)), (sample(2, 0),)), {"null_text": 1})

    def check(batches: list[ShardSamples]) -> None:
        (found,) = batches
        ids = [[s.id for s in article] for article in found.articles]
        assert ids == [
            ["sample_000000_chunk_0", "sample_000000_chunk_1"],
            ["sample_000002_chunk_0"],
        ]
        assert all(set(s.font_metadata) == {"tiny"} for a in found.articles for s in a)
        assert found.dropped == {"null_text": 1}

    with in_beam() as pipeline:
        stage = RenderPages(settings(modes=VISION_MODES[:1]), str(out))
        assert_that(pipeline | Create([batch]) | ParDo(stage), check)
    assert sorted(p.name for p in (out / "images/tiny").iterdir()) == [
        "sample_000000_chunk_0.png",
        "sample_000000_chunk_1.png",
        "sample_000002_chunk_0.png",
    ]


class FailsOnBad(PageRenderer):
    """A renderer that cannot draw one text."""

    def render_pages(self, text: str, sizes: Iterable[int]) -> Any:
        yield from super().render_pages(text, sizes)
        if text == "bad":
            raise ValueError("cannot draw")


class Failing(SheetRenderer):
    """One that has that renderer for all samples."""

    def of(self, sample: str, wiki_id: str) -> tuple[str, PageRenderer]:
        return "style", FailsOnBad()


def test_each_thread_has_its_own_renderer(tmp_path: Path) -> None:
    """A renderer is for one thread at a time, and a runner may use several in a process."""

    def load() -> SheetRenderer:
        return pages.load_renderer(str(tmp_path), StyleSheet())

    mine = load()
    assert load() is mine
    others: list[SheetRenderer] = []
    thread = threading.Thread(target=lambda: others.append(load()))
    thread.start()
    thread.join()
    assert others[0] is not mine


def test_an_article_that_cannot_be_drawn_leaves_no_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "load_renderer", lambda *_: Failing())
    batch = ShardSamples(
        SHARD, ((sample(0, 0),), (sample(1, 0), sample(1, 1, "bad")), (sample(2, 0),)), {}
    )
    (found,) = RenderPages(settings(), str(tmp_path)).process(batch)
    assert [a[0].row for a in found.articles] == [0, 2]
    assert [(e.row, e.wiki_id, e.step, e.reason) for e in found.errors] == [
        (1, "w1", "render", "ValueError: cannot draw")
    ]
    names = sorted(p.name for p in tmp_path.rglob("*.png"))
    assert names == sorted(2 * ["sample_000000_chunk_0.png", "sample_000002_chunk_0.png"])


def test_a_disk_that_refuses_a_image_is_not_the_articles_fault(tmp_path: Path) -> None:
    (tmp_path / "images").write_bytes(b"a file where the directory should be")
    stage = RenderPages(settings(), str(tmp_path))
    with pytest.raises(OSError, match="images"):
        list(stage.process(ShardSamples(SHARD, ((sample(0, 0),),), {})))


def test_only_missing_modes_are_rendered() -> None:
    first, _ = render_sample(sample(0, 0), settings(modes=VISION_MODES[1:2]), SheetRenderer())
    second, pngs = render_sample(first, settings(modes=VISION_MODES[:3]), SheetRenderer())
    whole, _ = render_sample(sample(0, 0), settings(modes=VISION_MODES[:3]), SheetRenderer())
    assert list(pngs) == ["tiny", "base"]
    assert second.json_line() == whole.json_line()


def test_without_images_there_are_metadata_all_the_same() -> None:
    drawn, _ = render_sample(sample(0, 0), settings(), SheetRenderer())
    rendered, pngs = render_sample(sample(0, 0), settings(NONE), SheetRenderer())
    assert (rendered.images, pngs) == ({}, {})
    assert rendered.font_metadata == drawn.font_metadata


def test_an_article_that_cannot_be_drawn_is_not_in_the_tar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "load_renderer", lambda *_: Failing())
    batch = ShardSamples(
        SHARD, ((sample(0, 0),), (sample(1, 0), sample(1, 1, "bad")), (sample(2, 0),)), {}
    )
    (found,) = RenderPages(settings(SHARDS), str(tmp_path)).process(batch)
    assert [a[0].row for a in found.articles] == [0, 2]
    assert [(e.row, e.step) for e in found.errors] == [(1, "render")]
    for mode in ("tiny", "small"):
        path = tmp_path / f"images/{mode}/00000.tar"
        with tarfile.open(path) as tar:
            names = [name for name in tar.getnames() if name.endswith(".png")]
        assert names == ["sample_000000_chunk_0.png", "sample_000002_chunk_0.png"]
        assert [f"{name}.png" for name in found.images[mode].places] == names
    assert len(list(tmp_path.rglob("images/*/*"))) == 2
