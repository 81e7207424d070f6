"""Objects of stores: large ones, broken and lost answers, odd names, many at once, after a fork."""

from __future__ import annotations

import asyncio
import gc
import gzip
import io
import json
import multiprocessing
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from botocore.exceptions import ClientError
from moto.backends import get_backend
from PIL import Image

from pagecast import storage
from pagecast.dataset.layout import MANIFEST, PLAN
from pagecast.dataset.shard import plan_line
from pagecast.reader import PageReader
from pagecast.storage.ahead import AHEAD, in_order
from pagecast.storage.errors import AccessDeniedError, StoreError
from pagecast.storage.stores import objects
from pagecast.storage.stores.store import ANYTHING, REFUSALS, REQUESTS, Store
from pagecast.storage.write import Uploads
from pipeline.launch import inputs
from pipeline.launch.output import lock
from pipeline.options import UsageError
from pipeline.progress.counter import State
from pipeline.progress.watch import ReceiptScan
from tests.conftest import articles, write_parquet
from tests.pipeline.progress import test_counter
from tests.support.emulators import ASKED, DENIED, S3, emulators, only, place, store

__all__ = ["emulators", "store"]  # fixtures
REFUSED = (PermissionError, AccessDeniedError)
ODD = "d/a b%20#?[1]*é+&%2F"


@only(*ASKED, "memory")
def test_small_things_that_a_store_must_do(store: Any) -> None:
    empty, one, odd = (place(store, key) for key in ("d/empty", "d/e/a[1]", ODD))
    storage.commit(empty, [])
    assert storage.read_bytes(empty) == b""
    assert storage.size_of(empty) == 0
    storage.write_in_place(one, b"one\ntwo")
    storage.write_in_place(place(store, "d/e/a1"), b"")
    storage.write_in_place(odd, b"1")
    assert (storage.read_bytes(odd), store.read(ODD)) == (b"1", b"1")
    with storage.open_read(one) as file:
        assert list(file) == [b"one\n", b"two"]
    with storage.RangeReader() as reader:
        assert reader.read(one, 4, 2) == b"tw"
    assert sorted(storage.files_in(place(store, "d"))) == [odd, empty]
    before = dict(storage.versions_in(place(store, "d/")))
    storage.commit(empty, [b"no more"])
    after = dict(storage.versions_in(place(store, "d")))
    assert before.keys() == after.keys() == {"empty", ODD.removeprefix("d/")}
    assert [name for name in before if before[name] != after[name]] == ["empty"]
    if not store.url.startswith("memory"):
        assert storage.version_of(empty) == after["empty"]
    storage.remove(place(store, f"d/{name}") for name in ("e/a[1]", "missing", ODD[2:]))
    assert sorted(storage.files_below(place(store, "d"))) == [place(store, "d/e/a1"), empty]
    assert list(storage.files_in(place(store, "nothing"))) == []
    for nothing in (store.url, store.url + "/", store.url.replace("bucket", "nobody") + "/none"):
        assert not storage.exists(nothing)
    with pytest.raises(FileNotFoundError, match=f"no such object: '{store.url}/none'"):
        storage.read_bytes(place(store, "none"))
    with pytest.raises(FileNotFoundError, match="no such object"):
        storage.read_bytes(store.url + "/")


@only(*ASKED, "memory")
def test_no_path_is_a_pattern_or_names_a_version(store: Any) -> None:
    named = ["a?versionId=1", "a?versionid=1", "a?generation=1", "a#1", "a*", "[a]"]
    named += [] if store.url.startswith("memory") else ["a::b"]
    for key in ("a", *named):
        storage.commit(place(store, key), [key.encode()])
    for key in named:
        assert storage.read_bytes(place(store, key)) == store.read(key) == key.encode()
        assert storage.size_of(place(store, key)) == len(key)
        storage.remove([place(store, key)])
    assert store.names() == ["a"]


def test_a_large_object_too_may_have_an_odd_name(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "PART_BYTES", 5 << 20)
    storage.commit(place(store, f"{ODD}?versionId=1"), [bytes(6 << 20)])
    assert store.names() == [f"{ODD}?versionId=1"]


def test_what_is_stored_compressed_is_read_as_it_is_and_markers_are_no_files(store: Any) -> None:
    content = gzip.compress(b"text")
    store.put("d/a.gz", content, encoding="gzip")
    store.put("d/", b"")
    store.put("d/e/", b"")
    assert storage.read_bytes(place(store, "d/a.gz")) == content
    with storage.RangeReader() as reader:
        assert reader.read(place(store, "d/a.gz"), 2, 5) == content[2:7]
    assert list(storage.files_below(place(store, "d"))) == [place(store, "d/a.gz")]
    assert list(storage.files_in(place(store, "d"))) == [place(store, "d/a.gz")]


@only(*ASKED, "memory")
def test_which_objects_are_input(store: Any, tmp_path: Path) -> None:
    for name in ("a.parquet", "b.csv", "c/d.parquet", "_x/e.parquet", "c/.f.parquet"):
        store.put(f"in/{name}", b"")
    found = {
        "in": ["a.parquet", "c/d.parquet"],
        "in/": ["a.parquet", "c/d.parquet"],
        "": ["a.parquet", "c/d.parquet"],
        "in/*.parquet": ["a.parquet"],
        "in/?.*": ["a.parquet", "b.csv"],
        "in/c/d.parquet": ["c/d.parquet"],
    }
    for given, names in found.items():
        path = place(store, given).rstrip("/") if not given else place(store, given)
        assert inputs.find_files([path]) == [place(store, f"in/{name}") for name in names], given
    scheme, local = store.url.partition(":")[0], write_parquet(tmp_path / "a", articles("x"))
    paths = [place(store, "in/a.parquet"), f"{scheme}://other/a.parquet", str(local)]
    names = inputs.relative_names([inputs.InputFile(path, 1, (1,)) for path in paths])
    assert names == [f"{scheme}:/bucket/in/a.parquet", f"{scheme}:/other/a.parquet", str(local)[1:]]


def test_a_large_object_is_sent_in_parts_whose_answers_may_be_lost(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "PART_BYTES", 5 << 20)  # S3 takes no smaller ones
    content, large = bytes(range(256)) * (12 << 12), place(store, "large")
    for requests in range(5):  # another one fails each time, and is carried out or is not
        store.requests[:] = [("", "")] * requests
        store.fail_every = 5
        storage.commit(large, [content[:7], content[7:]])
        store.fail_every = None
        assert store.read("large") == storage.read_bytes(large) == content
        storage.remove([large])
    storage.commit(large, [content])
    with storage.RangeReader() as reader:
        assert reader.read(large, 7 << 20, 300) == content[7 << 20 :][:300]
        with pytest.raises(OSError, match=f"ends at byte {len(content)}, not {len(content) + 1}"):
            reader.read(large, len(content) - 4, 5)


@only("s3")
def test_an_upload_whose_end_is_confirmed_too_late_is_looked_for(
    store: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "PART_BYTES", 5 << 20)
    call = objects._store("s3://bucket/large").fs.call_s3

    def gone(method: str, *given: Any, **more: Any) -> Any:  # moto does not know what to say
        done = call(method, *given, **more)
        if method != "complete_multipart_upload":
            return done
        answer = {"Error": {"Code": "NoSuchUpload"}, "ResponseMetadata": {"HTTPStatusCode": 404}}
        raise FileNotFoundError from ClientError(answer, "CompleteMultipartUpload")

    monkeypatch.setattr(objects._store("s3://bucket/large").fs, "call_s3", gone)
    storage.commit("s3://bucket/large", [bytes(6 << 20)])
    assert len(store.read("large")) == 6 << 20
    upload = objects.Upload("s3://bucket/large")
    upload.write(bytes(6 << 20))
    upload._size += 1
    with pytest.raises(FileNotFoundError, match="s3://bucket/large"):
        upload.commit()


def test_answers_that_break_off_are_fetched_again(store: Any) -> None:
    storage.commit(place(store, "a"), [b"0123456789"])
    store.cut = store.broken - 1
    assert storage.read_bytes(place(store, "a")) == b"0123456789"
    store.cut = store.broken
    with pytest.raises(StoreError, match=f"{store.url}/a: "):
        storage.read_bytes(place(store, "a"))


@only(*ASKED, "memory")
def test_an_object_that_is_given_up_never_appears(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "PART_BYTES", 5 << 20)
    storage.commit(place(store, "a"), [b"old"])

    def broken() -> Iterator[bytes]:
        yield bytes(11 << 20)
        raise RuntimeError("no more")

    for key in ("a", "b"):
        with pytest.raises(RuntimeError, match="no more"):
            storage.commit(place(store, key), broken())
    gc.collect()  # what some writers have so far becomes an object when they are collected
    assert store.names() == ["a"]
    assert store.read("a") == b"old"
    if isinstance(store, S3):
        assert "Uploads" not in store.client.list_multipart_uploads(Bucket="bucket")


def test_an_upload_that_the_store_refuses_leaves_what_was_there(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "PART_BYTES", 5 << 20)
    storage.commit(place(store, "a"), [b"old"])
    store.denied = " /bucket/a"
    for size in (1, 11 << 20):
        with pytest.raises(REFUSED, match="access denied") as failed:
            storage.commit(place(store, "a"), [bytes(size)])
        assert f"{store.url}/a" in str(failed.value)
    store.denied = None
    assert store.read("a") == b"old"
    if isinstance(store, S3):
        assert "Uploads" not in store.client.list_multipart_uploads(Bucket="bucket")


def test_requests_are_repeated_as_often_as_the_library_says_and_no_more(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.away = True
    told = rf"{store.url}/a: .*\b503\b|{store.url}/a: .*ServerBusy"
    with pytest.raises(StoreError, match=told) as failed:
        storage.commit(place(store, "a"), [b"x"])
    assert "\n" not in str(failed.value)
    assert store.refused == store.tries
    if isinstance(store, S3):
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")
        objects._opened.clear()
        for read in (storage.read_bytes, storage.size_of, storage.exists):
            store.refused = 0
            with pytest.raises(StoreError):
                read("s3://bucket/a")
            assert store.refused == 3


def test_what_may_not_be_read_is_not_missing(store: Any) -> None:
    storage.commit(place(store, "a"), [b"x"])
    store.denied = " /bucket/a"
    for read in (storage.read_bytes, storage.size_of, storage.exists):
        with pytest.raises(REFUSED, match="access denied") as failed:
            read(place(store, "a"))
        assert f"{store.url}/a" in str(failed.value)
        # Of S3 it may be said of single objects.
        assert isinstance(failed.value, StoreError) != isinstance(store, S3)


@only("s3")
@pytest.mark.parametrize("reason", sorted(REFUSALS))
def test_refused_credentials_refuse_all(store: S3, reason: str) -> None:
    store.denied, store.reason = "/bucket/a", reason
    with pytest.raises(StoreError, match=rf"^s3://bucket/a: {DENIED} \({reason}\)$") as failed:
        storage.read_bytes("s3://bucket/a")
    assert not isinstance(failed.value, PermissionError)


def test_progress_is_seen_in_a_store_and_each_receipt_fetched_once(store: Any) -> None:
    private = place(store, "out/_pagecast")
    storage.commit(f"{private}/{PLAN}", map(plan_line, test_counter.PLAN))
    look = ReceiptScan(place(store, "out"), test_counter.MODES)
    assert [state.shards for state in look.states()] == [0]
    for number in range(2):
        path = f"{private}/shards/{number:05d}.json"
        storage.commit(path, [test_counter.receipt(number, 4)])
    assert list(look.states())[-1] == State(2, 3, 8, 16, 1680, 1, 2, 8)
    store.requests.clear()
    storage.commit(f"{private}/shards/00000.json", [test_counter.receipt(0, 5)])
    assert list(look.states())[-1] == State(2, 3, 9, 18, 1890, 1, 2, 9)
    assert [path for method, path in store.requests if method == "GET"] == [
        "/bucket", "/bucket/out/_pagecast/shards/00000.json",
    ]  # fmt: skip


def test_a_store_that_fails_costs_a_look_and_nothing_else(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.impatient(monkeypatch)
    storage.commit(place(store, f"out/_pagecast/{PLAN}"), map(plan_line, test_counter.PLAN))
    look = ReceiptScan(place(store, "out"), test_counter.MODES)
    store.away = True
    with pytest.raises(StoreError):
        list(look.states())
    store.away = False
    assert [state.shards for state in look.states()] == [0]


@only(*ASKED, "memory")
@pytest.mark.parametrize("left", ["nothing", "a lock of a run that is gone"])
def test_of_two_starts_in_one_moment_one_has_the_lock(
    store: Any, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    if left != "nothing":
        if store.url.startswith("memory"):
            pytest.skip("memory:// has no condition for what is there already")
        owner = {"host": lock._myself()["host"], "pid": 2**22, "started": 1.0, "since": "long ago"}
        store.put("out/_pagecast/lock", json.dumps(owner).encode())
    both = threading.Barrier(2)
    put, mine = storage.put_instead, threading.local()

    def together(*given: Any) -> None:
        if not hasattr(mine, "met"):  # each has looked
            mine.met = both.wait(60)
        put(*given)

    def myself() -> dict[str, Any]:  # as two machines
        return {"host": threading.current_thread().name, "pid": 1, "since": "now"}

    monkeypatch.setattr(storage, "put_instead", together)
    monkeypatch.setattr(lock, "_myself", myself)
    ended, over = [], threading.Event()

    def start() -> None:
        try:
            with lock.hold(place(store, "out")):
                ended.append("held")
                over.wait(60)
        except UsageError as error:
            ended.append(str(error))
            over.set()

    threads = [threading.Thread(target=start, name=name) for name in ("here", "there")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    ended.sort(key=len)
    assert ended[0] == "held"
    assert f"{store.url}/out is in use by process 1 on " in ended[1]
    assert store.names() == []  # and was let go by the one that had it


def test_a_lock_whose_answer_was_lost_is_held(store: Any) -> None:
    store.requests[:] = [("", "")] * 2  # after the looks its writing is done and not answered
    store.fail_every = 4 - 1
    with lock.hold(place(store, "out")):
        store.fail_every = None
        assert store.names() == ["out/_pagecast/lock"]
    assert store.names() == []


class SlowStore(Store):
    """Notes what is written, and how many writings are under way at once."""

    def __init__(self) -> None:
        super().__init__(None)
        self.written: dict[str, bytes] = {}
        self.now = self.most = 0
        self.refuse: str | None = None

    async def put(self, place: Any, content: bytes, instead: Any = ANYTHING) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.01)
        self.now -= 1
        if place.key == self.refuse:
            raise StoreError("the store is away")
        self.written[place.key] = content


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> SlowStore:
    found = SlowStore()
    monkeypatch.setattr(objects, "_store", lambda path: found)
    return found


def test_objects_are_written_several_at_once(slow: SlowStore) -> None:
    uploads = Uploads()
    contents = {str(number): b"%d" % number for number in range(3 * AHEAD)}
    for key, content in contents.items():
        uploads.write(f"s3://b/{key}", content)
        assert len(uploads._running) <= AHEAD
    uploads.wait()
    assert slow.written == contents
    assert 1 < slow.most <= REQUESTS
    uploads.write("s3://b/again", b"x")  # after a wait it can go on
    uploads.wait()
    assert slow.written["again"] == b"x"


def test_a_stores_refusal_comes_out(slow: SlowStore) -> None:
    uploads = Uploads()
    slow.refuse = "1"
    with pytest.raises(StoreError, match="s3://b/1: the store is away"):
        for number in range(10 * AHEAD):
            uploads.write(f"s3://b/{number}", b"")
    assert len(slow.written) < 3 * AHEAD  # and it stopped there
    uploads.abandon()
    uploads.write("s3://b/1", b"")
    with pytest.raises(StoreError):
        uploads.wait()
    uploads.abandon()


def test_after_abandoning_nothing_is_written_any_more(slow: SlowStore) -> None:
    uploads = Uploads()
    for number in range(AHEAD):
        uploads.write(f"s3://b/{number}", b"")
    uploads.abandon()
    written = len(slow.written)
    assert (written < AHEAD, slow.now) == (True, 0)
    time.sleep(0.05)
    assert len(slow.written) == written
    uploads.write("s3://b/more", b"x")
    uploads.wait()
    assert slow.written["more"] == b"x"


def test_on_a_disk_files_are_written_at_once(tmp_path: Path, slow: SlowStore) -> None:
    Uploads().write(str(tmp_path / "a/b"), b"x")
    assert (tmp_path / "a/b").read_bytes() == b"x"


def test_results_come_in_order_and_few_are_held(slow: SlowStore) -> None:
    begun: list[int] = []

    async def work(number: int) -> int:
        await asyncio.sleep(0.001 * (number % 3))
        return number * number

    def begin(number: int) -> Any:
        begun.append(number)
        return asyncio.run_coroutine_threadsafe(work(number), fsspec.asyn.get_loop())

    results = in_order(begin, range(50), ahead=8)
    assert next(results) == 0
    assert len(begun) == 8
    assert list(results) == [number * number for number in range(1, 50)]


def test_ranges_and_contents_come_in_order_and_what_is_cut_short_is_named(store: Any) -> None:
    for number in range(30):
        store.put(f"d/{number}", b"%03d" % number)
    paths = [place(store, f"d/{number}") for number in range(31)]
    contents = list(storage.read_each(paths))
    assert contents == [b"%03d" % number for number in range(30)] + [None]
    wanted = [(path, 1, 2) for path in paths[:30]]
    assert list(storage.read_ranges(wanted)) == [b"%02d" % number for number in range(30)]
    with pytest.raises(OSError, match=f"{store.url}/d/3 ends at byte 3, not 4"):
        list(storage.read_ranges([(paths[3], 1, 3)]))
    with pytest.raises(FileNotFoundError, match=f"{store.url}/d/30"):
        list(storage.read_ranges([(paths[30], 0, 1)]))
    store.requests.clear()
    storage.remove(paths)
    assert len(store.requests) == (1 if isinstance(store, S3) else 31)
    assert store.names() == []


@only("s3", "gs")
def test_a_listing_is_read_as_far_as_it_is_wanted(store: Any) -> None:
    if isinstance(store, S3):
        (account,) = get_backend("s3").keys()
        moto = get_backend("s3")[account]["aws"]
        for number in range(2500):
            moto.put_object("bucket", f"many/{number:04d}", b"")
    else:
        store.put("a", b"")
        for number in range(2500):
            told = {"name": f"many/{number:04d}", "bucket": "bucket", "generation": "1"}
            store.objects.objects["bucket"][told["name"]] = told
    store.requests.clear()
    found = storage.files_below(place(store, "many"))
    assert next(found) == place(store, "many/0000")
    assert len(store.requests) == 1
    assert sum(1 for _ in found) == 2499
    assert len(store.requests) == 3


def finished(store: Any) -> None:
    """Put as much of a dataset into a store as a reader of its images looks at."""
    image = io.BytesIO()
    Image.new("L", (512, 512), 255).save(image, "PNG")
    told = {
        "outputs": {"images": "files"}, "vision_modes": {"tiny": {"px": 512}},
        "split": {"train": {"samples": 4}, "val": {"samples": 0}}, "font": {"sha256": ""},
        "options": {"layout": "basic"}, "versions": {},
    }  # fmt: skip
    store.put(f"out/{MANIFEST}", json.dumps(told).encode())
    for row in range(4):
        store.put(f"out/images/tiny/sample_{row:06d}_chunk_0.png", image.getvalue())


def read_pages(reader: PageReader, rows: list[int], found: Any) -> None:
    for row in rows:
        page = reader.image({"id": f"sample_{row:06d}_chunk_0"}, "tiny")
        found.put((row, page.size))


def test_forked_workers_of_a_loader_read_from_a_store_that_their_parent_read(store: Any) -> None:
    finished(store)
    fork = multiprocessing.get_context("fork")
    reader, found = PageReader(place(store, "out")), fork.Queue()
    parents = read_pages(reader, [0], found), objects._store(store.url)
    workers = [
        fork.Process(target=read_pages, args=(reader, [row, row + 2], found)) for row in (0, 1)
    ]
    for worker in workers:
        worker.start()
    read_pages(reader, [3], found)  # and the parent goes on
    told = sorted(found.get(timeout=60) for _ in range(6))
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert told == [(row, (512, 512)) for row in (0, 0, 1, 2, 3, 3)]
    assert objects._store(store.url) is parents[1]


def open_store(url: str, found: Any) -> None:
    serving = objects._store(url)
    found.put((id(serving), id(serving.fs), serving.loop._thread_id))


@only("s3")
def test_a_forked_process_has_a_file_system_and_a_thread_of_its_own(store: S3) -> None:
    assert not storage.exists("s3://bucket/a")
    fork = multiprocessing.get_context("fork")
    found, mine = fork.Queue(), objects._store("s3://bucket")
    worker = fork.Process(target=open_store, args=("s3://bucket", found))
    worker.start()
    theirs = found.get(timeout=60)
    worker.join(60)
    assert not {id(mine), id(mine.fs), mine.loop._thread_id} & set(theirs)


LOADER = """
import os, sys
sys.modules["apache_beam"] = None
from pagecast.reader import PageReader
reader = PageReader(sys.argv[1])
print(reader.image({"id": "sample_000001_chunk_0"}, "tiny").size, flush=True)
if child := os.fork():
    print(os.waitpid(child, 0)[1])
else:
    print(reader.image({"id": "sample_000002_chunk_0"}, "tiny").size)
"""


def test_a_loader_needs_no_beam_and_what_it_forks_ends_as_any_process(store: Any) -> None:
    finished(store)
    done = subprocess.run(
        [sys.executable, "-c", LOADER, place(store, "out")],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "(512, 512)\n(512, 512)\n0\n"
