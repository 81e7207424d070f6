"""Does it fit on the disk? Asked by `run` before it writes anything, and never wrongly answered."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pagecast.style.entry import StyleEntry
from pagecast.style.sheet import StyleSheet
from pipeline.estimate import estimate as estimating
from pipeline.estimate import preflight
from pipeline.estimate.outputs import Disk
from pipeline.estimate.preflight import FIXED_BYTES, FIXED_FILES, surely_fits, ways_out
from pipeline.launch.inputs import InputFile, read_footer
from pipeline.options import RunOptions
from tests.conftest import SAMPLE, Outcome, RunCommand, articles, parse_run, tree, write_parquet
from tests.support.stores import LONG, SMALL

BLOCK = 4096
GROUPS = InputFile("a.parquet", 10**9, (1000, 1000, 500), text=(4_000_000, 6_000_000, 2_000_000))


def options(more: str = "") -> RunOptions:
    return parse_run(f"--input a --output_dir o {more}".split())


def needs(
    files: list[InputFile],
    more: str = "",
    sheet: StyleSheet = StyleSheet(),  # noqa: B008
) -> tuple[int, int]:
    """Return the bytes and the files with which a disk is surely large enough."""
    given = options(more)

    def least(disk: Callable[[int], Disk]) -> int:
        low, high = 0, 10**13
        while low < high:
            middle = (low + high) // 2
            if surely_fits(files, given, disk(middle), sheet):
                high = middle
            else:
                low = middle + 1
        return low

    return (
        least(lambda free: Disk("/x", free, None, BLOCK)),
        least(lambda free: Disk("/x", None, free, BLOCK)),
    )


def test_the_bound_is_above_what_a_run_makes(demo: Outcome) -> None:
    size, number = needs([read_footer(SAMPLE)], "--arrow --filtered")
    files = [file for file in demo.path.rglob("*") if file.is_file()]
    assert number > len(files)
    assert size - FIXED_BYTES > 1.5 * sum(file.stat().st_size for file in files)
    size, _ = needs([read_footer(SAMPLE)], "--no_images")
    assert size - FIXED_BYTES > 2 * (demo.path / "samples.jsonl").stat().st_size


def test_the_bound_is_from_footers_alone() -> None:
    """12 MB of text have 3,000 samples of 2,000 tokens at most."""
    size, number = needs([GROUPS], "--modes tiny")
    assert number == 3000 + 5 * (2500 // 256 + 3) + 3 + FIXED_FILES
    assert needs([GROUPS], "--modes tiny,base")[1] == number + 3000
    assert needs([GROUPS], "--modes tiny --image_shards") == (size, number - 3000 + 12)
    assert needs([GROUPS], "--no_images")[1] == number - 3000
    assert needs([GROUPS], "--modes tiny --num_articles 1000")[1] < number / 2 + FIXED_FILES
    lines = InputFile("a.jsonl", 12_000_000, (2500,), None, (0,))
    assert needs([lines], "--modes tiny")[1] == number - 2 * 5
    assert needs([InputFile("bad", 10**9, (), "cut short")]) == (FIXED_BYTES, FIXED_FILES)


@pytest.mark.parametrize(
    ("given", "ways"),
    [
        ("", "use --no_images, --image_shards, fewer --modes, a smaller --num_articles or"),
        ("--modes tiny", "use --no_images, --image_shards, a smaller --num_articles or another"),
        ("--image_shards", "use --no_images, fewer --modes, a smaller --num_articles or another"),
        ("--no_images", "use a smaller --num_articles or another disk"),
    ],
)
def test_what_to_do_is_something_that_helps(given: str, ways: str) -> None:
    assert ways_out(options(given)).startswith(ways)


Free = Callable[..., None]


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch, small_tokenizer: Path) -> Free:
    """Let the disk have so many bytes and files free."""
    monkeypatch.chdir(small_tokenizer)

    def patch(size: int | None, files: int | None = None) -> None:
        disk = Disk("/the/disk", size, files, BLOCK)
        monkeypatch.setattr(preflight, "disk_of", lambda path: disk)

    return patch


@pytest.fixture
def given(tmp_path: Path) -> Path:
    return write_parquet(tmp_path / "in.parquet", articles(*[LONG] * 60, "short"), group_rows=10)


def test_a_disk_that_is_too_small_is_refused_before_anything_is_written(
    run: RunCommand, free: Free, given: Path
) -> None:
    free(1_000_000)
    found = run(given, options=SMALL)
    assert (found.code, found.out) == (2, "")
    assert found.err.startswith("pagecast: error: this run needs about ")
    assert found.err.endswith(
        "1.0 MB are free on the disk of /the/disk; use --no_images, --image_shards, a smaller "
        "--num_articles or another disk, or start it with --no_preflight\n"
    )
    assert found.err.count("\n") == 1
    assert not found.path.exists()


def test_a_disk_without_room_for_the_files_is_refused_too(
    run: RunCommand, free: Free, given: Path
) -> None:
    free(None, 100)
    found = run(given, options=SMALL)
    assert found.code == 2
    assert " files; 100 more can be made on the disk of /the/disk; use --no_images," in found.err
    assert not found.path.exists()


def test_no_preflight_starts_it_all_the_same(run: RunCommand, free: Free, given: Path) -> None:
    free(0, 0)
    assert run(given, options=f"{SMALL} --no_preflight").code == 0


def test_most_runs_cost_no_look_at_articles(
    run: RunCommand, free: Free, given: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(estimating, "estimate")
    free(10**9, 10**6)
    done = run(given, options=SMALL)
    assert (done.code, done.err) == (0, "")


UNITS = {"kB": 1e3, "MB": 1e6}


def amounts(found: Outcome) -> list[float]:
    """Return the amounts of bytes that are named: needed, from, to, free."""
    assert found.code == 2
    return [float(n) * UNITS[unit] for n, unit in re.findall(r"([\d.]+) ([kM]B)", found.err)]


def needed(found: Outcome) -> float:
    return amounts(found)[0]


def test_what_is_finished_needs_no_room_again(run: RunCommand, free: Free, given: Path) -> None:
    free(1)
    whole = needed(run(given, options=SMALL))
    free(10**9, 10**6)
    assert run(given, options=SMALL).code == 0
    shards = Path(run(given, options=SMALL).path / "_pagecast/shards")
    before = sum(len(content) for content in tree(shards.parent.parent).values())
    (shards / "00003.json").unlink()
    free(1)
    rest = run(given, options=SMALL)
    # A sixth of the shards is left to do, and samples.jsonl is always written again.
    assert needed(rest) < whole - 0.5 * before
    free(int(needed(rest)) + 10_000)
    assert run(given, options=SMALL).code == 0


def test_more_modes_need_only_their_own_room(run: RunCommand, free: Free, given: Path) -> None:
    free(10**9, 10**6)
    assert run(given, options=SMALL).code == 0
    free(1)
    more = SMALL.replace("tiny", "tiny,base") if "tiny" in SMALL else f"{SMALL},base"
    again, fresh = run(given, options=more), run(given, options=more, into="fresh")
    assert needed(again) < needed(fresh)


def test_overwrite_frees_what_is_there(
    run: RunCommand, free: Free, given: Path, tmp_path: Path
) -> None:
    free(10**9, 10**6)
    assert run(given, options=SMALL).code == 0
    free(1)
    large = SMALL.replace("tiny", "huge=4096")
    refused = amounts(run(given, options=f"{large} --overwrite"))
    sizes = [f.stat().st_size for f in (tmp_path / "out").rglob("*") if f.is_file()]
    used = sum(size + -size % BLOCK for size in sizes)
    fresh = needed(run(given, options=large, into="fresh"))
    assert refused[0] == pytest.approx(fresh - used, rel=0.1)


def test_a_run_that_may_fit_is_started_with_a_warning(
    run: RunCommand, free: Free, given: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused is only what even the lower end of the interval has no room for."""
    monkeypatch.setattr(preflight, "ARTICLES", 20)  # of 60
    varied = articles(*(LONG * (1 + n * n % 5) for n in range(60)))
    write_parquet(given, varied, group_rows=10)
    free(1)
    estimate, low, high, *_ = amounts(run(given, options=SMALL))
    assert low < 0.95 * estimate < estimate < high
    free(int((estimate + low) / 2))
    found = run(given, options=SMALL)
    assert found.code == 0
    assert found.err.startswith("pagecast: warning: this run needs about ")
    assert found.err.endswith(" on the disk of /the/disk; it may not fit\n")


def test_what_cannot_be_known_stops_nothing(
    run: RunCommand, free: Free, given: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no idea")

    monkeypatch.setattr(estimating, "estimate", fail)
    free(1)
    found = run(given, options=SMALL)
    assert found.code == 0
    assert found.err == (
        "pagecast: warning: it is not known whether the disk has room (RuntimeError: no idea)\n"
    )
    monkeypatch.setattr(preflight, "disk_of", lambda path: None)
    assert run(given, options=SMALL, into="other").err == ""


def test_input_that_cannot_be_read_is_for_the_run_to_name(
    run: RunCommand, free: Free, given: Path
) -> None:
    content = bytearray(given.read_bytes())
    for at in range(100, 400):
        content[at] ^= 0xFF
    given.write_bytes(content)
    free(20_000_000)
    found = run(given, options=SMALL)
    assert found.code == 1
    assert "pagecast: cannot read " in found.err


def test_colours_and_further_pages_need_more_room() -> None:
    plain, number = needs([GROUPS], "--modes base")
    for fields in ({"ink": "#203040"}, {"size": 12, "max_pages": 3}):
        size, files = needs([GROUPS], "--modes base", StyleSheet((StyleEntry.of(fields),)))
        assert size > 2 * plain
        assert (files > 2 * number) == ("size" in fields)
