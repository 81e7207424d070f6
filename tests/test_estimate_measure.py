"""What is counted and drawn in the clusters, by a tokenizer that makes each word a token."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.estimate.drawing import BLOCKS, LINE, PNG, TAR, Drawing
from pipeline.estimate.forecast import DRAWN
from pipeline.estimate.measure import Cuts, Measured, measure
from pipeline.estimate.sample import Choice, Cluster, choose
from pipeline.plan import plan_shards, read_footer
from tests.conftest import articles, parse_run, write_parquet
from transforms.records import Failure, Shard, Tokens
from transforms.render.fonts import default_font

CUTS = Cuts(min_tokens=4, context=2, continuation=2, max_article_chars=1000)
TEXTS = ["a b c d", "a b c", None, "a b c d e f g h i", " ", "x " * 40, "y" * 1001, "k l m n o"]


class Words:
    """A tokenizer whose tokens are words."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.control = np.array([], dtype=np.int32)

    def encode(self, text: str) -> Tokens:
        first = len(self.words)
        self.words += text.split()
        return np.arange(first, len(self.words), dtype=np.int32)

    def decode(self, tokens: Tokens) -> str:
        return " ".join(self.words[token] for token in tokens)


def drawing(more: str = "") -> Drawing:
    pages = parse_run(f"--input a --output_dir b --modes x=64,y=128 {more}".split()).pages
    return Drawing(pages, [default_font()], 4096)


def shards(path: Path) -> list[Shard]:
    write_parquet(path, articles(*TEXTS), group_rows=4)
    found = plan_shards([read_footer(str(path))], 256, None)
    return [shard for shard in found if isinstance(shard, Shard)]


def measured(choice: Choice, most: int = 100, seed: int = 0) -> Measured:
    return measure(choice, CUTS, Words(), drawing(), most, seed)  # type: ignore[arg-type]


def total(found: Measured, name: str) -> float:
    return sum(weight * sums.get(name, 0) for weight, sums in [*found.counted, *found.drawn])


def test_every_row_is_accounted_for(tmp_path: Path) -> None:
    found = measured(choose(shards(tmp_path / "a.parquet"), 100, 0))
    names = ("rows", "kept", "failed", "samples", "dropped, too_short", "dropped, null_text",
             "dropped, blank_text", DRAWN)  # fmt: skip
    assert [total(found, name) for name in names] == [8, 4, 1, 1 + 2 + 10 + 1, 1, 1, 1, 14]
    assert [(error.row, error.step) for error in found.errors] == [(6, "read")]
    assert found.decoded == 8
    for mode in ("x", "y"):
        png, tar = total(found, PNG + mode), total(found, TAR + mode)
        assert total(found, BLOCKS + mode) == 14 * 4096
        assert png + 14 * 512 < tar
    assert total(found, TAR + "x") > total(found, LINE)  # the records are in the first tar


def test_no_more_samples_are_drawn_than_asked_for_and_a_seed_decides_which(tmp_path: Path) -> None:
    choice = choose(shards(tmp_path / "a.parquet"), 100, 0)
    first, again, other = (measured(choice, 5, seed) for seed in (1, 1, 2))
    assert {total(found, DRAWN) for found in (first, again, other)} == {5}
    assert first.drawn == again.drawn
    assert first.drawn != other.drawn


def test_a_block_that_was_chosen_twice_counts_twice(tmp_path: Path) -> None:
    one, two = (Cluster(shard, shard, 1.0) for shard in shards(tmp_path / "a.parquet"))
    found = measured(Choice([one, two, one], 12, False))
    assert found.counted[0] == found.counted[2] != found.counted[1]
    assert found.drawn[0] == found.drawn[2] != found.drawn[1]
    assert found.decoded == 8


def test_what_cannot_be_read_is_named_by_its_shard_and_gives_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    choice = choose(shards(path), 100, 0)
    content = bytearray(path.read_bytes())
    content[4:60] = bytes(56)
    path.write_bytes(content)
    found = measured(choice)
    (failure,) = found.failures
    assert isinstance(failure, Failure)
    assert failure[:2] == (str(path), "row group 0, rows 0 to 3")
    assert total(found, "rows") == 4


def test_how_pages_look_is_kept(tmp_path: Path) -> None:
    it = drawing()
    choice = choose(shards(tmp_path / "a.parquet"), 100, 0)
    measure(choice, CUTS, Words(), it, 100, 0)  # type: ignore[arg-type]
    assert it.drawn == 14
    assert it.clock()[1] == 7  # the first half warms up
    assert [look.mode.name for look in it.legibility()] == ["x", "y"]
    assert {(look.font_size, look.truncated) for look in it.legibility()} == {(30, 0.0)}
    assert it.characters == 28
    assert not it.missing


@pytest.mark.parametrize("form", ["--no_images", "--image_shards", ""])
def test_pictures_are_measured_in_all_forms(form: str, tmp_path: Path) -> None:
    it = drawing(form)
    choice = choose(shards(tmp_path / "a.parquet"), 100, 0)
    found = measure(choice, CUTS, Words(), it, 1, 0)  # type: ignore[arg-type]
    usual = measured(choice, 1)
    for name in (PNG + "x", BLOCKS + "y", TAR + "y"):
        assert total(found, name) == total(usual, name) > 0
    shorter = total(usual, LINE) - total(found, LINE)
    assert (shorter > 0) == (form == "--no_images")
