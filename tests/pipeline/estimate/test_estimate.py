"""What a sample says of the whole: counted, drawn, and what becomes files."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pagecast.dataset.layout import FILES, NONE, SHARDS
from pagecast.dataset.sample import Tokens
from pagecast.dataset.shard import Failure, Shard
from pipeline.estimate import measure
from pipeline.estimate.estimate import duration
from pipeline.estimate.interval import Interval, around, ratio
from pipeline.estimate.measure import (
    ARROW,
    BLOCKS,
    FILTERED,
    KEPT,
    LINE,
    PACKED,
    PNG,
    SAMPLES,
    TAR,
    Measured,
    Measuring,
)
from pipeline.estimate.outputs import (
    ARTICLES,
    POOL,
    REST,
    ROWS,
    SPLIT,
    TABLES,
    WHOLE,
    Disk,
    Files,
    Outputs,
    disk_of,
    outputs,
    room_in,
    split_sizes,
)
from pipeline.estimate.sample import Choice, Cluster, choose
from pipeline.launch.assets import resolve_styles
from pipeline.launch.inputs import plan_shards, read_footer
from pipeline.options import RunOptions
from tests.conftest import articles, parse_run, write_parquet

BLOCK = 4096
TEXTS = ["a b c d", "a b c", None, "a b c d e f g h i", " ", "x " * 40, "y" * 1001, "k l m n o"]


def test_an_interval_is_as_wide_as_places_differ() -> None:
    chance = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        places = chance.gamma(2.0, 50.0, 1000)
        looked_at = chance.choice(places, 30, replace=False)
        found = ratio(list(looked_at), [1] * 30, 1 - 30 / 1000)
        hits += found.low <= places.mean() <= found.high
    assert hits > 0.9 * 400
    assert ratio([1.0, 2.0, 3.0], [1, 1, 1], 0.0) == Interval(2, 2, 2)
    assert ratio([5.0], [1], 0.5) == Interval(5, 0, 10)  # one place says nothing of others


def test_a_ratio_is_certain_where_it_is_the_same_everywhere() -> None:
    assert ratio([2.0, 4.0, 20.0], [1, 2, 10], 1.0) == Interval(2, 2, 2)
    found = ratio([2.0, 5.0, 20.0], [1, 2, 10], 1.0)
    assert found.low < found.estimate == 27 / 13 < found.high


def test_uncertainties_of_a_product_add_up_as_if_at_right_angles() -> None:
    assert around(10, 3) * around(100, 40) == around(1000, 500)
    assert around(10, 3) * 2.0 + around(1) == Interval(21, 15, 27)
    assert around(1, 3).low == 0


class Words:
    """A tokenizer whose tokens are words."""

    lossless = True

    def __init__(self, definition: bytes, quick: bool) -> None:
        self.words: list[str] = []
        self.control = np.array([], dtype=np.int32)

    def encode(self, text: str) -> Tokens:
        first = len(self.words)
        self.words += text.split()
        return np.arange(first, len(self.words), dtype=np.int32)

    def decode(self, tokens: Tokens) -> str:
        return " ".join(self.words[token] for token in tokens)


def options(more: str = "") -> RunOptions:
    small = "--min_tokens 4 --context_tokens 2 --continuation_tokens 2 --max_article_chars 1000"
    return parse_run(f"--input a --output_dir b --modes x=64,y=128 {small} {more}".split())


def shards(path: Path) -> list[Shard]:
    write_parquet(path, articles(*TEXTS), group_rows=4)
    found = plan_shards([read_footer(str(path))], 256, None)
    return [shard for shard in found if isinstance(shard, Shard)]


@pytest.fixture(autouse=True)
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "ArticleTokenizer", Words)


def measured(choice: Choice, most: int = 100, seed: int = 0, more: str = "") -> Measured:
    tokenizer, asked = SimpleNamespace(content=b""), options(more)
    sources: Any = SimpleNamespace(
        tokenizer=tokenizer, styles=resolve_styles(asked), quick_tokenizer=True
    )
    return Measuring(asked, sources, BLOCK).measure(choice, most, seed)


def test_every_row_is_accounted_for(tmp_path: Path) -> None:
    found = measured(choose(shards(tmp_path / "a.parquet"), 100, 0))
    names = ("kept", "failed", "samples", "dropped, too_short", "dropped, null_text",
             "dropped, blank_text")  # fmt: skip
    assert [found.counts[name] for name in names] == [
        Interval(n, n, n) for n in (4, 1, 1 + 2 + 10 + 1, 1, 1, 1)
    ]
    assert [(error.row, error.step) for error in found.errors] == [(6, "read")]
    assert (found.decoded, found.drawn) == (8, 14)
    assert found.bytes[BLOCKS] == Interval(*[2 * BLOCK] * 3)
    pngs = found.bytes[PNG + "x"] + found.bytes[PNG + "y"]
    assert pngs.low == pngs.high
    # Each page in a tar of its own block or more, and the record once.
    assert found.bytes[TAR].estimate > pngs.estimate + found.bytes[LINE].estimate + 3 * 512
    for mode in ("x", "y"):
        assert len(found.metadata[mode]) == 14
        assert {page["font_size"] for page in found.metadata[mode]} == {30}
    assert found.characters == 28
    assert not found.missing


def test_no_more_samples_are_drawn_than_asked_for_and_a_seed_decides_which(tmp_path: Path) -> None:
    choice = choose(shards(tmp_path / "a.parquet"), 100, 0)
    first, again, other = (measured(choice, 5, seed) for seed in (1, 1, 2))
    assert {found.drawn for found in (first, again, other)} == {5}
    assert first.bytes == again.bytes != other.bytes
    assert first.bytes[LINE].low < first.bytes[LINE].high


def test_a_cluster_counts_by_its_weight(tmp_path: Path) -> None:
    one, two = shards(tmp_path / "a.parquet")
    found = measured(Choice([Cluster(one, one, 3.0), Cluster(two, two, 1.0)], 16, False))
    assert found.counts[SAMPLES].estimate == 3 * (1 + 2) + 10 + 1
    assert found.counts[SAMPLES].low < found.counts[SAMPLES].high


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
    assert found.counts[KEPT].estimate == 2


@pytest.mark.parametrize("form", ["--no_images", "--image_shards"])
def test_images_are_measured_in_all_forms(form: str, tmp_path: Path) -> None:
    choice = choose(shards(tmp_path / "a.parquet"), 100, 0)
    found, usual = measured(choice, 1, more=form), measured(choice, 1)
    for name in (PNG + "x", BLOCKS):
        assert found.bytes[name] == usual.bytes[name]
    shorter = found.bytes[LINE].estimate < usual.bytes[LINE].estimate
    assert shorter == (form == "--no_images")


def found_in(samples: float) -> Measured:
    sizes = {LINE: 20_000, ARROW: 9000, PNG + "x": 30_000, BLOCKS: 32_768, TAR: 60_000}
    sizes |= {PNG + "y": 30_000, PACKED: 63_000}
    return Measured(
        {SAMPLES: around(samples, samples / 10), FILTERED: around(5e6, 1e6)},
        {name: around(size, 0) for name, size in sizes.items()},
    )


def of_run(samples: float = 500, more: str = "") -> Outputs:
    given = options(f"--max_samples 1000 --val_size 100 {more}")
    return outputs(found_in(samples), given, 2, 10, BLOCK)


def test_the_split_has_no_more_samples_than_were_asked_for() -> None:
    half = of_run(2000).others
    assert half[SPLIT].disk.estimate == pytest.approx(half[WHOLE].disk.estimate / 2, rel=0.01)
    given = options("--max_samples 1000 --val_size 100")
    assert [split_sizes(n, given) for n in (2000, 500, 0)] == [(100, 900), (50, 450), (0, 0)]


def test_what_is_not_asked_for_is_not_in_the_total() -> None:
    usual = {POOL, SPLIT, REST}
    for more, asked in {
        "": {FILES, WHOLE},
        "--arrow --image_shards": {SHARDS, WHOLE, ROWS},
        "--filtered --no_images": {NONE, WHOLE, ARTICLES},
        "--no_merge": {FILES},
        "--parquet": {FILES, WHOLE, TABLES},
    }.items():
        found = of_run(more=more)
        assert found.asked == usual | asked
        each = {**found.images, **found.others}
        assert found.end.disk.estimate == sum(each[name].disk.estimate for name in found.asked)


def test_merging_needs_room_for_what_is_there_twice_meanwhile() -> None:
    def over_the_end(more: str) -> float:
        found = of_run(more=more)
        return found.peak.disk.estimate - found.end.disk.estimate

    assert over_the_end("") == pytest.approx(0, abs=2 * BLOCK)  # samples.jsonl is after the split
    assert over_the_end("--filtered") == pytest.approx(5e6, rel=0.01)


def test_without_samples_there_are_still_files() -> None:
    empty = Measured({name: Interval() for name in (SAMPLES, FILTERED)})
    found = outputs(empty, options(), 2, 10, BLOCK)
    assert found.images[FILES].disk == Interval()
    assert found.peak.disk.estimate > 0


def test_what_is_there_needs_no_room(tmp_path: Path) -> None:
    disk, most = Disk("/x", None, None, BLOCK), Files(around(9, 2), around(100_000, 1000))
    (tmp_path / "below").mkdir()
    for name, size in (("a", 1), ("below/b", BLOCK + 1), (WHOLE, 10**6), ("empty", 0)):
        (tmp_path / name).write_bytes(bytes(size))
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")  # a link has a size of its own
    room = room_in(str(tmp_path), disk, most, overwrite=False)
    assert room["needed"] == around(100_000 - 4 * BLOCK, 1000).whole()
    assert room["needed_files"] == around(5, 2).whole()
    fresh = room_in(str(tmp_path / "new"), disk, most, overwrite=False)
    assert fresh["needed"] == most.disk.whole()
    assert room_in(str(tmp_path), disk, most, overwrite=True)["needed"]["estimate"] == 0


def timed(samples: int, workers: int, busy: float = 1.0) -> Interval:
    found = Measured({SAMPLES: around(samples, 0)}, drawn=100, decoded=1000, busy=busy, start=5.0)
    found.seconds.update({"read": 1, "tokenize": 2, "draw": 3})  # type: ignore[arg-type]
    shard = Shard(0, "a", 0, 0, 5000, 0)
    choice = Choice([Cluster(shard._replace(rows=1000), shard, 5.0)], 5000, False)
    return duration(found, choice, [shard], options(f"--workers {workers} --no_report"))


def test_time_is_that_of_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    one, none = timed(10_000, 1), timed(0, 1)
    assert one.estimate - none.estimate == pytest.approx(10_000 * (3 / 100 / 0.97 + 5e-4))
    assert none.estimate == pytest.approx(5.0 + (5 * 1 + 5 * 2) / 0.97)
    assert one.low < 0.75 * one.estimate
    assert 1.25 * one.estimate < one.high < 0.3 * timed(10_000, 1, busy=5.0).high
    assert timed(10_000, 2).estimate < one.estimate


def statvfs(**changes: int) -> Any:
    fields = {"f_frsize": 4096, "f_bsize": 65536, "f_blocks": 10, "f_bavail": 5, "f_files": 9,
              "f_favail": 7}  # fmt: skip
    return lambda path: SimpleNamespace(**{**fields, **changes})


def test_the_disk_is_that_of_the_nearest_directory_there_is(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "file").write_text("x")
    for path, above in {"a": "a", "a/b/c": "a", "file/d": "", "x": ""}.items():
        found = disk_of(str(tmp_path / path))
        assert found is not None
        assert found.path == str(tmp_path / above)
        real = os.statvfs(tmp_path)
        assert found.block == real.f_frsize
        assert found.free is not None and 0 < found.free <= real.f_blocks * real.f_frsize


@pytest.mark.parametrize(
    ("changes", "disk"),
    [
        ({}, (20_480, 7, 4096)),
        ({"f_frsize": 0}, (5 * 65536, 7, 65536)),
        ({"f_files": 0, "f_favail": 0}, (20_480, None, 4096)),  # Btrfs makes them as needed
        ({"f_blocks": 0, "f_bavail": 0}, (None, 7, 4096)),
        ({"f_bavail": 0}, (0, 7, 4096)),
    ],
)
def test_a_limit_that_is_not_there_is_none(
    changes: dict[str, int], disk: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "statvfs", statvfs(**changes))
    assert disk_of(str(tmp_path)) == Disk(str(tmp_path), *disk)


def test_a_disk_that_does_not_answer_is_unknown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(path: str) -> None:
        raise OSError("stale handle")

    monkeypatch.setattr(os, "statvfs", fail)
    assert disk_of(str(tmp_path)) is None
