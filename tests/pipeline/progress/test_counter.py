"""How far a job is, from literal receipts."""

from dataclasses import replace

import pytest

from pagecast.dataset.receipts import ArticleLines, Receipt
from pagecast.dataset.sample import ModeImages, StoredImage
from pagecast.dataset.shard import ArticleError, Failure, Shard
from pipeline.progress.counter import (
    CHECKING,
    MERGING,
    PARTS,
    SHARDS,
    SPLITTING,
    ReceiptCounter,
    State,
)

MODES = ("tiny", "base")
PLAN = [
    Shard(0, "a.parquet", 0, 0, 10, 0),
    Failure("b.parquet", "the whole file", "it is cut short"),
    Shard(1, "c.parquet", 0, 0, 10, 10),
    Shard(2, "c.parquet", 0, 10, 10, 20),
]
SHARD = {number: Shard(*PLAN[number + (number > 0)]) for number in range(3)}  # type: ignore[arg-type]


def receipt(number: int, samples: int, modes: tuple[str, ...] = MODES, failed: int = 0) -> bytes:
    """The receipt of a shard with an article of so many samples; an image has 100 bytes."""
    images = {
        mode: ModeImages(
            None, 100 * samples, {f"s{n}": StoredImage(0, 100, "x") for n in range(samples)}
        )
        for mode in modes
    }
    row = 10 * number
    errors = (ArticleError(row + 1, "w", "read", '"size": 9, "places": {'),) * failed
    articles = (ArticleLines(row, '", "pictures": {', (10,) * samples),)
    return Receipt(
        SHARD[number], modes, 1, {"too_short": 9}, errors, len(modes) * samples, 10 * samples, "0",
        articles,
    ).to_json(images)  # fmt: skip


class Job:
    """A ledger, and a directory of receipts to look at: name to version and content."""

    def __init__(self) -> None:
        self.ledger = ReceiptCounter(PLAN, MODES)
        self.files: dict[str, tuple[int, bytes]] = {}
        self.read: list[str] = []

    def write(self, name: str, version: int, content: bytes) -> None:
        self.files[name] = version, content

    def look(self) -> State:
        listed = {name: version for name, (version, _) in self.files.items()}
        for name in self.ledger.to_read(listed):
            self.read.append(name)
            self.ledger.take(name, *self.files[name])
        return self.ledger.state()


NOTHING = State(0, 3, errors=1)


def test_receipts_are_counted_as_they_come_and_read_once() -> None:
    job = Job()
    assert job.look() == NOTHING
    job.write("00000.json", 1, receipt(0, 4))
    job.write("00000.jsonl", 2, b"lines")
    job.write("00001.json.pagecast-tmp-1", 3, receipt(1, 4))
    one = State(1, 3, 4, 8, 840, 1, 1, 4)
    assert job.look() == one
    job.write("00002.json", 4, receipt(2, 3, failed=2))
    two = State(2, 3, 7, 14, 1470, 3, 2, 7)
    assert job.look() == two
    assert job.look() == two
    assert job.read == ["00000.json", "00002.json"]


def test_what_an_earlier_run_did_is_done_but_not_new() -> None:
    job = Job()
    job.write("00000.json", 1, receipt(0, 4))
    assert job.look() == State(1, 3, 4, 8, 840, 1, new_shards=0, new_samples=0)
    job.write("00001.json", 2, receipt(1, 2))
    assert job.look() == State(2, 3, 6, 12, 1260, 1, new_shards=1, new_samples=2)


def test_a_receipt_that_is_removed_or_replaced_is_counted_as_it_is_now() -> None:
    job = Job()
    job.write("00000.json", 1, receipt(0, 4))
    job.look()
    removed = job.files.pop("00000.json")
    assert job.look() == NOTHING
    job.files["00000.json"] = removed
    assert job.look() == State(1, 3, 4, 8, 840, 1)
    job.write("00000.json", 2, receipt(0, 5))
    assert job.look() == State(1, 3, 5, 10, 1050, 1, new_shards=1, new_samples=5)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        receipt(0, 4)[:-1],
        receipt(0, 4)[:200],
        b"{}\n",
        b'[], "pictures": {}"}\n',
        receipt(1, 4),
        receipt(0, 4, ("tiny",)),
        receipt(0, 4).replace(b'"rows": 10', b'"rows": 11'),
        receipt(0, 4).replace(b'"pages": 8, ', b""),
    ],
    ids=[
        "empty", "no-end", "half", "nothing", "no-object", "another-shard", "fewer-modes",
        "other-rows", "no-pages",
    ],
)  # fmt: skip
def test_what_is_no_receipt_of_a_done_shard_is_left_out_until_there_is_one(content: bytes) -> None:
    job = Job()
    job.write("00000.json", 1, content)
    assert job.look() == NOTHING
    assert job.ledger.idle == {"00000.json"}
    job.look()
    assert job.read == ["00000.json"]
    job.write("00000.json", 2, receipt(0, 4))
    assert job.look() == State(1, 3, 4, 8, 840, 1, 1, 4)
    assert job.ledger.idle == set()


def test_receipts_of_shards_that_are_not_in_the_plan_do_not_count() -> None:
    job = Job()
    job.write("00003.json", 1, receipt(2, 4))
    job.write("config.json", 1, receipt(2, 4))
    assert job.look() == NOTHING
    assert job.read == ["00003.json"]


def test_parts_are_counted_by_their_names() -> None:
    ledger = ReceiptCounter(PLAN, MODES)
    ledger.take_parts({})
    ledger.take_parts({"val-00000-of-00002.json": 1, "val-00000-of-00002.jsonl": 2, "x.json": 3})
    state = ledger.state()
    assert (state.parts, state.parts_of, state.new_parts) == (1, 3, 1)
    ledger.take_parts({"val-00000-of-00002.json": 1, "train-00007-of-00025.json": 2})
    state = ledger.state()
    assert (state.parts, state.parts_of, state.new_parts) == (2, 27, 2)


def test_parts_of_an_earlier_run_are_not_new_until_they_are_written_again() -> None:
    ledger = ReceiptCounter(PLAN, MODES)
    ledger.take_parts({"train-00000-of-00001.json": 1})
    assert ledger.state().new_parts == 0
    ledger.take_parts({"train-00000-of-00001.json": 2})
    assert ledger.state().new_parts == 1


DONE = State(3, 3, new_shards=1)


@pytest.mark.parametrize(
    ("state", "phase"),
    [
        (State(2, 3, new_shards=2), SHARDS),
        (State(0, 3), SHARDS),
        (DONE, SPLITTING),
        (replace(DONE, parts=1, parts_of=3, new_parts=1), PARTS),
        (replace(DONE, parts=3, parts_of=3, new_parts=3), MERGING),
        (replace(DONE, new_shards=0), CHECKING),
        (replace(DONE, new_shards=0, parts=1, parts_of=3), CHECKING),
        (replace(DONE, new_shards=0, parts=2, parts_of=3, new_parts=1), PARTS),
    ],
)
def test_phases(state: State, phase: str) -> None:
    assert state.phase == phase
