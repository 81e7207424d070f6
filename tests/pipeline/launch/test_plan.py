import hashlib
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pagecast.dataset.shard import Failure, Shard
from pipeline.launch.inputs import (
    InputFile,
    coarse_groups,
    find_files,
    plan_shards,
    read_footer,
    read_layout,
    relative_names,
)
from pipeline.options import UsageError
from tests.conftest import articles, write_parquet
from transforms.read import footer

A = InputFile("/in/a", 10, (5, 0, 3))
B = InputFile("/in/b", 10, (4,))
DAMAGED = InputFile("/in/a2", 0, (), "cut short")
NO_TEXT = InputFile("/in/a3", 10, (7,), "it has no column 'text'")


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_find_files_takes_paths_globs_and_directories_once_and_sorted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["b.parquet", "d/a.parquet", "d/e/c.parquet", "[x]1.parquet"]
    touch(*(tmp_path / name for name in names))
    touch(tmp_path / "d/notes.txt", tmp_path / "d/.cache/z.parquet", tmp_path / "d/_tmp.parquet")
    monkeypatch.chdir(tmp_path)

    def found(*inputs: str) -> list[str]:
        return [str(Path(path).relative_to(tmp_path)) for path in find_files(inputs)]

    assert found(".") == sorted(names)
    assert found("d") == ["d/a.parquet", "d/e/c.parquet"]
    assert found("*.parquet") == ["[x]1.parquet", "b.parquet"]
    assert found("[x]1.parquet") == ["[x]1.parquet"]
    everything = sorted([*names, "d/_tmp.parquet"])  # a glob takes what it matches
    assert found("**/*.parquet", "b.parquet", str(tmp_path / "b.parquet")) == everything
    assert found("d/notes.txt") == ["d/notes.txt"]


@pytest.mark.parametrize("given", ["nothing", "no/*.parquet", "empty"])
def test_find_files_names_the_input_that_matches_nothing(tmp_path: Path, given: str) -> None:
    (tmp_path / "empty").mkdir()
    touch(tmp_path / "a.parquet")
    with pytest.raises(UsageError, match="no parquet file there") as error:
        find_files([str(tmp_path / "a.parquet"), str(tmp_path / given)])
    assert given in str(error.value)


def test_read_footer(tmp_path: Path) -> None:
    texts = ["a" * 1000, "b" * 2000, "c" * 3000, None, "e"]
    path = write_parquet(tmp_path / "a.parquet", articles(*texts), group_rows=2)
    found = read_footer(str(path))
    size, content = path.stat().st_size, footer.fetch(path.open("rb"))[1]
    digest = hashlib.sha256(content).hexdigest()
    assert found == InputFile(str(path), size, (2, 2, 1), None, (), found.text, digest)
    assert found.rows == 5
    for size, text in zip(found.text, (3000, 3000, 1), strict=True):  # and what parquet adds
        assert text <= size < 4 * text + 100


def test_read_footer_says_why_a_file_is_unusable(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", articles(*"abcde"))
    (tmp_path / "cut.parquet").write_bytes(path.read_bytes()[:-9])
    assert "magic bytes" in str(read_footer(str(tmp_path / "cut.parquet")).fault)
    assert "No such file" in str(read_footer(str(tmp_path / "gone.parquet")).fault)
    touch(tmp_path / "empty.parquet")
    assert read_footer(str(tmp_path / "empty.parquet")).fault
    pq.write_table(pa.table({"id": ["x"]}), tmp_path / "columns.parquet")
    found = read_footer(str(tmp_path / "columns.parquet"))
    assert found.fault == "it has no column 'title', only id"
    assert found.rows == 1


def test_plan_gives_every_row_its_global_position() -> None:
    assert list(plan_shards([A, B], 3, None)) == [
        Shard(0, "/in/a", 0, 0, 3, 0),
        Shard(1, "/in/a", 0, 3, 2, 3),
        Shard(2, "/in/a", 2, 0, 3, 5),
        Shard(3, "/in/b", 0, 0, 2, 8),
        Shard(4, "/in/b", 0, 2, 2, 10),
    ]


@pytest.mark.parametrize(
    ("articles", "rows"),
    [(1, [1]), (5, [5]), (6, [5, 1]), (8, [5, 3]), (9, [5, 3, 1]), (99, [5, 3, 4])],
)
def test_plan_of_the_first_articles(articles: int, rows: list[int]) -> None:
    shards = list(plan_shards([A, B], 256, articles))
    assert [shard.rows for shard in shards] == rows


def test_files_that_cannot_be_used_are_in_the_plan_and_the_others_go_on() -> None:
    assert list(plan_shards([A, DAMAGED, NO_TEXT, B], 256, None)) == [
        Shard(0, "/in/a", 0, 0, 5, 0),
        Shard(1, "/in/a", 2, 0, 3, 5),
        Failure("/in/a2", "the whole file", "cut short"),
        Failure("/in/a3", "the whole file", "it has no column 'text'"),
        Shard(2, "/in/b", 0, 0, 4, 15),  # the 7 rows of a3 keep their positions
    ]


def test_coarse_groups_are_warned_about() -> None:
    assert coarse_groups([A, InputFile("/in/c", 1, (4096,))], 256) == []
    (warning,) = coarse_groups([InputFile("/in/c", 1, (10, 5000))], 256)
    assert "/in/c has a row group of 5000 rows: its shards hold 313 rows, not 256" in warning


def test_relative_names_do_not_depend_on_where_the_input_lies() -> None:
    def named(*paths: str) -> list[str]:
        return relative_names([InputFile(path, 1, ()) for path in paths])

    assert named("/x/y/a", "/x/y/b/c") == ["a", "b/c"] == named("/z/a", "/z/b/c")
    assert named("/x/a") == ["a"]


def test_a_footer_whose_counts_of_rows_disagree_is_damaged(tmp_path: Path) -> None:
    """A plan of a thousand million rows would fill the disk."""
    path = write_parquet(tmp_path / "a.parquet", articles(*"abcdef"))
    content = path.read_bytes()
    length = int.from_bytes(content[-8:-4], "little")
    pages, footer = content[: -8 - length], content[-8 - length : -8]
    found = set()
    for at in (at for at, byte in enumerate(footer) if byte == 2 * 6):  # zigzag of 6
        other = footer[:at] + b"\xfe\xff\xff\xff\x7f" + footer[at + 1 :]
        path.write_bytes(pages + other + len(other).to_bytes(4, "little") + b"PAR1")
        found.add(read_footer(str(path)).fault)
        assert read_footer(str(path)).rows in (0, 6)
    assert any(fault and "its footer is damaged: " in fault for fault in found)


def test_links_are_followed_capitals_count_and_nothing_leads_back(tmp_path: Path) -> None:
    for name in ("real/b.parquet", "mix/A.PARQUET", "mix/_x/c.parquet", "other/d.parquet"):
        (path := tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(name.encode())
    (tmp_path / "mix/more").symlink_to("../real")
    (tmp_path / "real/other").symlink_to("../other")
    (tmp_path / "other/back").symlink_to("../real")  # and so to itself
    (tmp_path / "alone").symlink_to("mix")
    found = find_files([str(tmp_path / "mix")])
    assert [path.removeprefix(f"{tmp_path}/") for path in found] == [
        "mix/A.PARQUET",
        "mix/more/b.parquet",
        "mix/more/other/d.parquet",
    ]
    assert len(find_files([str(tmp_path / "alone")])) == 3


def test_a_file_that_is_there_twice_is_used_once_and_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.parquet").write_bytes(b"")
    (tmp_path / "b.parquet").symlink_to("a.parquet")
    (tmp_path / "c.parquet").hardlink_to(tmp_path / "a.parquet")
    assert find_files([str(tmp_path)]) == [str(tmp_path / "a.parquet")]
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 2
    assert said[0].endswith(f"b.parquet is the same file as {tmp_path}/a.parquet: it is used once")


def test_a_directory_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "a.parquet").write_bytes(b"")
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)  # root may read everything
    with pytest.raises(UsageError, match=r"--input .*/closed cannot be read: Permission denied"):
        find_files([str(tmp_path)])


def test_what_a_directory_or_a_glob_names_is_never_passed_over(tmp_path: Path) -> None:
    touch(tmp_path / "in/spark.parquet/part-0.parquet", tmp_path / "in/_tmp/c.parquet")
    touch(tmp_path / "in/a.parquet", tmp_path / "in/sub/b.parquet", tmp_path / "in/sub/notes.txt")
    (tmp_path / "in/more").symlink_to("gone")
    (tmp_path / "in/d.parquet").symlink_to("gone.parquet")
    (tmp_path / "in/ring.parquet").symlink_to("ring.parquet")
    os.mkfifo(tmp_path / "in/pipe.parquet")

    def found(given: str) -> list[str]:
        return [
            path.removeprefix(f"{tmp_path}/in/") for path in find_files([f"{tmp_path}/{given}"])
        ]

    named = [
        "a.parquet",
        "d.parquet",
        "pipe.parquet",
        "ring.parquet",
        "spark.parquet/part-0.parquet",
    ]
    assert found("in/*.parquet") == named
    assert found("in/*") == found("in") == sorted([*named, "more", "sub/b.parquet"])
    assert found("in/s*/") == ["spark.parquet/part-0.parquet", "sub/b.parquet"]
    faults = {
        name: read_layout(str(tmp_path / "in" / name), 9).fault
        for name in ("more", "d.parquet", "ring.parquet", "pipe.parquet")
    }
    assert faults == {
        "more": "it is a link to gone, which is not there",
        "d.parquet": "it is a link to gone.parquet, which is not there",
        "ring.parquet": "it is a link to ring.parquet, which is not there",
        "pipe.parquet": "it is a pipe, a socket or a device, not a regular file",
    }
    with pytest.raises(UsageError, match="no parquet file there; it is a link to gone, which is"):
        find_files([str(tmp_path / "in/more")])


@pytest.mark.parametrize("glob", ["*/*.parquet", "*/a.parquet", "**/a.parquet", "**", "o*/d*/*"])
def test_a_glob_names_a_directory_that_it_cannot_look_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, glob: str
) -> None:
    closed = tmp_path / "open/dark"
    if not glob.startswith("o"):
        closed = tmp_path / "dark"
    closed.mkdir(parents=True)
    touch(tmp_path / "a.parquet", tmp_path / "light/a.parquet")
    may = os.access
    monkeypatch.setattr(
        os, "access", lambda p, mode: str(p).rstrip("/") != str(closed) and may(p, mode)
    )
    with pytest.raises(UsageError, match=r"--input .*dark/? cannot be read: Permission denied"):
        find_files([f"{tmp_path}/{glob}"])
