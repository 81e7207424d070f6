"""`run --input hf://...`: the bytes of a download, without one; and a hub that makes trouble."""

from __future__ import annotations

import io
import json
import os
import random
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pagecast import storage
from pagecast.dataset.shard import Shard
from pagecast.storage.errors import StoreError
from pagecast.storage.stores import hub as reading
from pagecast.storage.stores import hub_requests
from pipeline.launch import inputs, source
from tests.conftest import Command, Outcome, RunCommand, articles, tree
from tests.support.hub import FINEWIKI, FakeHub
from tests.support.stores import LONG, SMALL
from transforms.read import pages
from transforms.read.articles import read_columns

INPUT = f"hf://datasets/{FINEWIKI}/data/enwiki/*.parquet"
A, B = "data/enwiki/000.parquet", "data/enwiki/001.parquet"


def parquet(columns: dict[str, Any], group_rows: int = 1) -> bytes:
    written = io.BytesIO()
    pq.write_table(pa.table(columns), written, row_group_size=group_rows)
    return written.getvalue()


@pytest.fixture
def files() -> dict[str, bytes]:
    without_id = {"title": ["a", "b"], "text": [LONG, LONG[:900]]}
    return {A: parquet(articles(LONG, "short", LONG[5:])), B: parquet(without_id), "README.md": b""}


@pytest.fixture
def commit(hub: FakeHub, files: dict[str, bytes]) -> str:
    return hub.push(FINEWIKI, files)


@pytest.fixture(autouse=True)
def _in_the_directory_of_the_tokenizer(
    small_tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(small_tokenizer)


@pytest.mark.parametrize(("options", "workers"), [("", 2), ("--arrow --filtered", 1)])
def test_a_run_from_the_hub_is_the_run_from_a_download(
    hub: FakeHub,
    commit: str,
    tmp_path: Path,
    run: RunCommand,
    command: Command,
    options: str,
    workers: int,
) -> None:
    assert command(f"download --language en --output_dir {tmp_path / 'wiki'}").code == 0
    local = run(tmp_path / "wiki", options=f"{SMALL} {options}", into="local")
    found = run(INPUT, options=f"{SMALL} {options} --workers {workers}", into="found")
    assert (found.code, found.err) == (0, ""), found.err
    assert tree(found.path) == tree(local.path)
    assert found.manifest["source"] == [{"repo": FINEWIKI, "commit": commit}]
    assert [file["path"] for file in found.manifest["inputs"]] == ["000.parquet", "001.parquet"]
    assert {"001.parquet#3", "001.parquet#4"} <= {
        s["wiki_id"] for s in found.lines("samples.jsonl")
    }
    assert shard_paths(found) == {f"hf://datasets/{FINEWIKI}@{commit}/{name}" for name in (A, B)}
    assert command(f"verify --output_dir {found.path} --workers 1").code == 0
    assert hub.tokens_sent_away == 0


def shard_paths(found: Outcome) -> set[str]:
    lines = (found.path / "_pagecast/plan.jsonl").read_text().splitlines()
    return {json.loads(line)["shard"]["path"] for line in lines}


def test_only_the_needed_columns_are_fetched_in_one_request_a_row_group(hub: FakeHub) -> None:
    rows, rng = 400, random.Random(7)
    content = parquet(
        {
            "text": [rng.randbytes(900).hex() for _ in range(rows)],
            "id": [f"enwiki/{n}" for n in range(rows)],
            "wikiname": ["enwiki"] * rows,
            "title": [f"Title {n}" for n in range(rows)],
            "wikitext": [rng.randbytes(2000).hex() for _ in range(rows)],
        },
        group_rows=100,
    )
    commit = hub.push(FINEWIKI, {A: content})
    (path,) = inputs.find_files([INPUT])
    assert path == f"hf://datasets/{FINEWIKI}@{commit}/{A}"
    metadata = pq.read_metadata(io.BytesIO(content))
    needed = sum(
        column.total_compressed_size
        for column in map(metadata.row_group(1).column, range(metadata.num_columns))
        if column.path_in_schema in ("id", "title", "text")
    )
    layout = inputs.read_footer(path)
    assert (layout.groups, layout.size) == ((100,) * 4, len(content))
    footer = [request.sent for request in hub.content]
    assert sum(footer) <= 1 + (64 << 10)
    hub.content.clear()
    hub.requests.clear()
    for start in (0, 50):
        batches = list(read_columns(Shard(0, path, 1, start, 50, 100 + start)))
        assert sum(len(batch["text"]) for batch in batches) == 50
    assert len(hub.content) == 1  # the footer is known by now, and the second half of the group
    assert needed <= hub.content[0].sent < needed + 8192  # a small column between two is not a gap
    assert hub.requests == []  # nor is it asked again where the content is


def test_large_columns_come_in_few_requests(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request for each of their pages would take longer than the bytes."""
    monkeypatch.setattr(pages, "MOST_HELD_BYTES", 1 << 20)
    monkeypatch.setattr(pages, "BLOCK_BYTES", 1 << 19)
    monkeypatch.setattr(pages, "BUFFER_BYTES", 1 << 17)
    rng = random.Random(1)
    texts = [rng.randbytes(900).hex() for _ in range(2000)]
    sink = io.BytesIO()
    pq.write_table(pa.table(articles(*texts)), sink, data_page_size=10_000, write_batch_size=5)
    hub.push(FINEWIKI, {A: sink.getvalue()})
    (path,) = inputs.find_files([INPUT])
    batches = list(read_columns(Shard(0, path, 0, 0, 2000, 0)))
    assert [text.decode() for batch in batches for text in batch["text"]] == texts
    blocks = len(sink.getvalue()) / pages.BLOCK_BYTES
    assert len(hub.content) < 3 * blocks + 8, "for the pages, for the rows, for the footer"
    assert max(request.sent for request in hub.content) <= pages.BLOCK_BYTES


def test_a_push_is_not_mixed_into_a_run(
    hub: FakeHub, commit: str, files: dict[str, bytes], run: RunCommand
) -> None:
    first = run(INPUT, options=SMALL)
    before = tree(first.path)
    (first.path / "_pagecast/shards/00001.json").unlink()
    later = hub.push(FINEWIKI, {**files, A: parquet(articles(LONG[3:], "short", LONG[5:]))})
    refused = run(INPUT, options=SMALL)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert f"commit of {FINEWIKI} was {commit}, now {later}; " in refused.err
    again = run(INPUT.replace("/data/", f"@{commit}/data/"), options=SMALL)
    assert (again.code, again.err) == (0, "")
    assert tree(again.path) == before


def test_a_connection_that_breaks_and_a_hub_that_is_busy_cost_nothing(
    hub: FakeHub, commit: str, run: RunCommand
) -> None:
    expected = run(INPUT, options=SMALL, into="expected")
    reading._kept.clear()
    hub.cut, hub.statuses = 2, [503, 429]  # as often as is tried again here
    found = run(INPUT, options=SMALL)
    assert (found.code, found.err) == (0, ""), found.err
    assert (hub.cut, hub.statuses) == (0, [])
    assert tree(found.path) == tree(expected.path)


def test_a_hub_that_goes_away_is_one_line_and_the_next_run_goes_on(
    hub: FakeHub, commit: str, run: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = reading._fetch_once

    def goes_away(place: reading.Place, first: int, length: int) -> reading.Found:
        if first == 4:  # the first column
            hub.statuses = [503] * 99
        return fetch(place, first, length)

    monkeypatch.setattr(reading, "_fetch_once", goes_away)
    done = run(INPUT, options=SMALL)
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert f"StoreError: hf://datasets/{FINEWIKI}@{commit}/data/enwiki/00" in done.err
    assert "503" in done.err
    assert "the same command goes on from there" in done.err
    monkeypatch.setattr(reading, "_fetch_once", fetch)
    hub.statuses = []
    again = run(INPUT, options=SMALL)
    assert (again.code, again.err) == (0, "")


def test_a_token_that_is_missing_or_refused(
    hub: FakeHub, commit: str, run: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = "good"
    done = run(INPUT, options=SMALL)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "the hub wants a token (401): set HF_TOKEN" in done.err
    monkeypatch.setenv("HF_TOKEN", "bad")
    done = run(INPUT, options=SMALL)
    assert (done.code, "the hub refuses the token (401)" in done.err) == (2, True)
    assert not done.path.exists()
    monkeypatch.setenv("HF_TOKEN", "good")
    assert run(INPUT, options=SMALL).code == 0
    assert hub.tokens_sent_away == 0


def test_the_next_page_of_a_listing_may_be_elsewhere_and_gets_no_token(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "good")
    hub.push("o/d", {f"data/{n}.parquet": b"x" for n in range(3)})
    hub.page, hub.next_host = 1, hub.url.replace("127.0.0.1", "localhost")
    assert hub.next_host != hub.url
    assert len(list(reading.files_in("hf://datasets/o/d/data"))) == 3
    assert hub.tokens_sent_away == 0


def test_a_token_that_is_refused_later_stops_the_job_and_no_file_is_blamed(
    hub: FakeHub, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path, _) = inputs.find_files([INPUT])
    hub.token = "good"
    monkeypatch.setenv("HF_TOKEN", "old")
    with pytest.raises(StoreError, match=r"the hub refuses the token \(401\); set HF_TOKEN"):
        inputs.read_footer(path)


def test_an_address_that_is_no_longer_good_is_asked_for_again(hub: FakeHub, commit: str) -> None:
    path = f"hf://datasets/{FINEWIKI}@{commit}/{A}"
    with storage.RangeReader() as reader:
        assert reader.read(path, 0, 4) == b"PAR1"
        hub.expired = 1
        asked = len(hub.requests)
        assert reader.read(path, 1, 3) == b"AR1"
        assert reader.read(path, 2, 2) == b"R1"
    assert len(hub.requests) == asked + 1


def test_an_answer_of_another_range_is_not_believed(hub: FakeHub, commit: str) -> None:
    hub.whole = True
    with pytest.raises(StoreError, match="sent another range than it was asked for"):
        storage.read_bytes(f"hf://datasets/{FINEWIKI}@{commit}/{A}")


WRONG = {
    f"hf://datasets/{FINEWIKI}/data/xxwiki/*.parquet": "no such file or directory: 'hf://",
    f"hf://datasets/{FINEWIKI}/data/enwiki/*.csv": "no parquet file there",
    f"hf://datasets/{FINEWIKI}@v9/data": f"no such revision: 'hf://datasets/{FINEWIKI}@v9'",
    "hf://datasets/no/body": "no such repository: 'hf://datasets/no/body@main'",
    "hf://datasets/nobody": "it must be like hf://datasets/OWNER/NAME[@REVISION]/data/*.parquet",
    "hf://models/o/n/x": "it must be like hf://datasets/OWNER/NAME",
}


@pytest.mark.parametrize("given", WRONG)
def test_what_is_not_there_is_one_line_and_writes_nothing(
    hub: FakeHub, commit: str, run: RunCommand, given: str
) -> None:
    done = run(given, options=SMALL)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith(f"pagecast: error: --input {given}: ")
    assert WRONG[given] in done.err
    assert not done.path.exists()


@pytest.mark.parametrize("line", ["run --input a.parquet --output_dir", "verify --output_dir"])
def test_nothing_is_written_to_the_hub(hub: FakeHub, command: Command, line: str) -> None:
    done = command(f"{line} hf://datasets/o/n")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "pagecast: error: --output_dir hf://datasets/o/n: datasets on the hub can only be read, "
        "as --input\n"
    )


def test_which_files_are_input(hub: FakeHub) -> None:
    names = ["a.parquet", "b.csv", "c/d.parquet", "_x/e.parquet", "c/é #1.parquet"]
    commit = hub.push("o/n", dict.fromkeys(names, b"x"), "refs/pr/1")
    root = f"hf://datasets/o/n@{commit}"
    asked = "hf://datasets/o/n@refs%2Fpr%2F1"
    for given, found in {
        asked: ["a.parquet", "c/d.parquet", "c/é #1.parquet"],
        f"{asked}/": ["a.parquet", "c/d.parquet", "c/é #1.parquet"],
        f"{asked}/*.parquet": ["a.parquet"],
        f"{asked}/c": ["c/d.parquet", "c/é #1.parquet"],
        f"{asked}/c/é #1.parquet": ["c/é #1.parquet"],
        f"{asked}/?.*": ["a.parquet", "b.csv"],
    }.items():
        assert inputs.find_files([given]) == [f"{root}/{name}" for name in found], given
    assert storage.read_bytes(f"{root}/c/é #1.parquet") == b"x"
    assert list(storage.files_in(f"{root}/c")) == [f"{root}/c/d.parquet", f"{root}/c/é #1.parquet"]


def test_lines_and_missing_files(hub: FakeHub) -> None:
    commit = hub.push("o/n", {"a.jsonl": b"one\ntwo", "empty": b""})
    path = f"hf://datasets/o/n@{commit}/a.jsonl"
    with storage.open_read(path) as file:
        assert list(file) == [b"one\n", b"two"]
    assert storage.size_of(path) == 7
    assert storage.read_bytes(f"hf://datasets/o/n@{commit}/empty") == b""
    assert storage.size_of(f"hf://datasets/o/n@{commit}/empty") == 0
    assert not storage.exists(path + "x")
    with pytest.raises(FileNotFoundError, match="no such file or directory: 'hf://"):
        storage.read_bytes(path + "x")


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(place: reading.Place, first: int, length: int) -> reading.Found:
        asked.append(place.path)
        return bytes(length), None

    monkeypatch.setattr(reading, "_fetch_once", fetch)
    monkeypatch.setattr(reading, "_kept", {})
    monkeypatch.setattr(reading, "KEPT_BYTES", 10)
    at = f"hf://datasets/o/n@{'a' * 40}/"
    for name in "abcacb":  # as c comes, a was asked for longest ago; as a comes again, b
        reading._fetch(at + name, 0, 4)
    assert "".join(asked) == "abcab"
    for _ in range(2):
        reading._fetch(at + "d", 0, 6)  # more than half of all
        reading._fetch("hf://datasets/o/n/e", 0, 1)  # a branch may move
    assert "".join(asked) == "abcabdede"


def test_row_groups_that_are_fetched_more_than_once_are_told_of() -> None:
    groups = {"hf://datasets/o/n@c/a.parquet": (1000, 7), "/a.parquet": (5000,)}
    files = [inputs.InputFile(path, 1, sizes) for path, sizes in groups.items()]
    assert inputs.repeated_fetches(files, 256) == [
        "a row group of 1000 rows on the hub may be fetched for each of its 4 shards; "
        "--shard_rows 1000 fetches it once"
    ]
    assert inputs.repeated_fetches(files, 1000) == []
    assert inputs.repeated_fetches(files[1:], 256) == []


def test_a_file_of_another_size_is_not_cited(tmp_path: Path) -> None:
    fetched = source.Source("o/n", "main", "c", {"data/a.parquet": (5, "")})
    source.write(str(tmp_path / source.PINNED), fetched)
    assert source.read(str(tmp_path / source.PINNED)) == fetched
    here = str(tmp_path / "data/a.parquet")
    assert source.cited([(here, 5), (here, 5)]) == [{"repo": "o/n", "commit": "c"}]
    assert source.cited([(here, 6), (str(tmp_path / "b.parquet"), 5), ("s3://b/a", 5)]) == []


@pytest.mark.parametrize(("told", "wait"), [("7", 8), ("99999999999999", 61), ("tomorrow", 1)])
def test_the_hub_may_ask_for_a_longer_wait_but_not_for_any(
    hub: FakeHub, commit: str, told: str, wait: float
) -> None:
    hub.statuses, hub.retry_after = [429], told
    assert storage.size_of(f"hf://datasets/{FINEWIKI}@{commit}/{A}") > 0
    assert hub.waits == [wait]


def test_what_does_not_end_is_cut_off(hub: FakeHub, commit: str) -> None:
    hub.endless = True
    with pytest.raises(StoreError, match=f"{A}: the hub sends more than 1 bytes"):
        storage.read_bytes(f"hf://datasets/{FINEWIKI}@{commit}/{A}")
    assert hub.waits == []


def test_what_hardly_comes_is_given_up(
    hub: FakeHub, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_requests, "PATIENCE", -1.0)  # it is over as soon as something comes
    monkeypatch.setattr(hub_requests, "LEAST", 1)
    assert storage.size_of(f"hf://datasets/{FINEWIKI}@{commit}/{A}") > 0
    monkeypatch.setattr(hub_requests, "LEAST", 1 << 40)
    with pytest.raises(StoreError, match="the hub sends next to nothing"):
        list(reading.files_in(f"hf://datasets/{FINEWIKI}@{commit}/data/enwiki"))


@pytest.mark.parametrize(("name", "most"), [("MOST_PAGES", 3), ("LISTING_SECONDS", -1.0)])
def test_a_listing_that_does_not_end_is_left(
    hub: FakeHub, commit: str, monkeypatch: pytest.MonkeyPatch, name: str, most: float
) -> None:
    monkeypatch.setattr(reading, name, most)
    hub.more = True
    with pytest.raises(StoreError, match="the hub's listing does not come to an end"):
        list(reading.files_in(f"hf://datasets/{FINEWIKI}@{commit}/data/enwiki"))
    assert len(hub.requests) == max(most, 1)


@pytest.mark.parametrize("answer", [[], [1], [{"type": "file"}], {"sha": 1}, "x"])
def test_an_answer_that_makes_no_sense_is_one_line(
    hub: FakeHub, command: Command, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.support.hub.Handler._api", lambda self, *_: self._json(answer))
    done = command("download --repo o/n --output_dir none")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "StoreError: hf://datasets/o/n@main: " in done.err
    with pytest.raises(StoreError, match="makes no sense") if answer else nullcontext():
        list(reading.files_in("hf://datasets/o/n"))


def test_a_process_that_was_forked_has_its_own_connection(hub: FakeHub, commit: str) -> None:
    path = f"hf://datasets/{FINEWIKI}@{commit}/{A}"
    with storage.RangeReader() as reader:
        assert reader.read(path, 0, 4) == b"PAR1"
        child = os.fork()
        if child == 0:
            os._exit(0 if reader.read(path, 1, 3) == b"AR1" else 1)
        assert reader.read(path, 2, 2) == b"R1"
        assert os.waitpid(child, 0)[1] == 0
