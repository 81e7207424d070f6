import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from transforms import inflight, storage
from transforms.inflight import AHEAD, REQUESTS, Uploads, in_order


class SlowStore:
    """Takes the place of the writing of objects: notes them, and how many came at once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.written: dict[str, bytes] = {}
        self.now = self.most = 0
        self.refuse: str | None = None

    def write(self, path: str, content: bytes) -> None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.01)
        with self.lock:
            self.now -= 1
            if path == self.refuse:
                raise ConnectionError(f"{path}: the store is away")
            self.written[path] = content


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> SlowStore:
    found = SlowStore()
    monkeypatch.setattr(storage, "write_in_place", found.write)
    return found


def test_results_come_in_order_and_few_are_held() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        time.sleep(0.001 * (number % 3))
        return number * number

    with ThreadPoolExecutor(4) as pool:
        results = in_order(pool, work, range(50), ahead=8)
        assert next(results) == 0
        time.sleep(0.1)
        assert len(begun) <= 8
        assert list(results) == [number * number for number in range(1, 50)]


def test_objects_are_written_several_at_once(store: SlowStore) -> None:
    uploads = Uploads()
    contents = {f"s3://b/{number}": b"%d" % number for number in range(3 * AHEAD)}
    for path, content in contents.items():
        uploads.write(path, content)
    uploads.wait()
    assert store.written == contents
    assert 1 < store.most <= REQUESTS
    uploads.write("s3://b/again", b"x")  # after a wait it can go on
    uploads.wait()
    assert store.written["s3://b/again"] == b"x"


def test_a_stores_refusal_comes_out(store: SlowStore) -> None:
    uploads = Uploads()
    store.refuse = "s3://b/1"
    with pytest.raises(ConnectionError, match="s3://b/1: the store is away"):
        for number in range(10 * AHEAD):
            uploads.write(f"s3://b/{number}", b"")
    assert len(store.written) < 3 * AHEAD  # and it stopped there
    uploads.abandon()
    uploads.write("s3://b/1", b"")
    with pytest.raises(ConnectionError):
        uploads.wait()
    uploads.abandon()


def test_after_abandoning_nothing_is_written_any_more(store: SlowStore) -> None:
    uploads = Uploads()
    for number in range(AHEAD):
        uploads.write(f"s3://b/{number}", b"")
    uploads.abandon()
    written = len(store.written)
    assert written < AHEAD
    time.sleep(0.05)
    assert len(store.written) == written


def test_on_a_disk_files_are_written_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inflight, "ThreadPoolExecutor", None)
    Uploads().write(str(tmp_path / "a/b"), b"x")
    assert (tmp_path / "a/b").read_bytes() == b"x"
