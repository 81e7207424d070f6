import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from apache_beam import Create, ParDo
from apache_beam.metrics import MetricsFilter
from apache_beam.testing.util import assert_that, equal_to

from pagecast import storage
from pagecast.dataset.layout import image_name, receipt_path, shard_path
from pagecast.dataset.receipts import ArticleLines, Receipt
from pagecast.dataset.sample import ModeImages, Sample, StoredImage, sample_id
from pagecast.dataset.shard import ArticleError, Shard, ShardSamples
from pagecast.storage import write
from tests.conftest import in_beam
from transforms import metrics
from transforms.commit.samples import (
    PENDING,
    FindReceipts,
    WriteSamples,
    find_receipt,
    restore_samples,
    write_samples,
)

MODES = ("tiny", "small")
SHARD = Shard(3, "/in/a.parquet", 0, 0, 6, 100)
ERRORS = (ArticleError(105, "z", "render", "bad"), ArticleError(104, "y", "read", "worse"))


def sample(row: int, chunk: int) -> Sample:
    tokens = np.arange(row % 7 + 1, dtype=np.int32)
    text = "é" * (chunk + 1)
    pages = {"tiny": {"font_size": 8}, "small": {"font_size": 9}}
    names = {mode: image_name(mode, sample_id(row, chunk)) for mode in pages}
    return Sample(row, f"w{row}", "T", chunk, 9, tokens, tokens, text, names, pages)


SAMPLES = (sample(100, 0), sample(100, 1), sample(103, 0))
BATCH = ShardSamples(
    SHARD,
    (SAMPLES[:2], SAMPLES[2:]),
    {"null_text": 1, "too_short": 1},
    ERRORS,
    {
        mode: ModeImages(None, 30, {s.id: StoredImage(0, 10, "ab") for s in SAMPLES})
        for mode in MODES
    },
)


def test_write_samples_commits_lines_and_a_receipt_that_finds_them(tmp_path: Path) -> None:
    receipt = write_samples(BATCH, str(tmp_path), MODES)
    content = (tmp_path / "_pagecast/shards/00003.jsonl").read_bytes()
    lines = content.splitlines(keepends=True)
    assert [json.loads(line)["id"] for line in lines] == [
        "sample_000100_chunk_0",
        "sample_000100_chunk_1",
        "sample_000103_chunk_0",
    ]
    assert receipt == Receipt(
        shard=SHARD,
        modes=MODES,
        kept=2,
        dropped={"null_text": 1, "too_short": 1},
        errors=(ERRORS[1], ERRORS[0]),
        pages=6,
        jsonl_bytes=len(content),
        jsonl_sha256=hashlib.sha256(content).hexdigest(),
        articles=(
            ArticleLines(100, "w100", (len(lines[0]), len(lines[1]))),
            ArticleLines(103, "w103", (len(lines[2]),)),
        ),
        image_bytes=60,
    )
    assert receipt.samples == 3
    stored = (tmp_path / "_pagecast/shards/00003.json").read_bytes()
    assert Receipt.from_json(stored) == receipt
    assert len(list(tmp_path.rglob("*.*"))) == 2


def test_find_receipt_accepts_what_was_committed(tmp_path: Path) -> None:
    receipt = write_samples(BATCH, str(tmp_path), MODES)
    assert find_receipt(SHARD, str(tmp_path)) == receipt
    moved = SHARD._replace(path="/elsewhere/a.parquet")
    assert find_receipt(moved, str(tmp_path)) == receipt


@pytest.mark.parametrize("field", [{"rows": 7}, {"first_row": 99}, {"start": 1}, {"row_group": 1}])
def test_a_receipt_of_other_rows_does_not_count(tmp_path: Path, field: dict[str, int]) -> None:
    write_samples(BATCH, str(tmp_path), MODES)
    assert find_receipt(SHARD._replace(**field), str(tmp_path)) is None


@pytest.mark.parametrize(
    "damage", ["no receipt", "no lines", "half", "edited", "not json", "other"]
)
def test_a_shard_that_is_not_whole_is_not_finished(tmp_path: Path, damage: str) -> None:
    write_samples(BATCH, str(tmp_path), MODES)
    lines = Path(shard_path(str(tmp_path), 3))
    receipt = Path(receipt_path(str(tmp_path), 3))
    match damage:
        case "no receipt":
            receipt.unlink()
        case "no lines":
            lines.unlink()
        case "half":
            lines.write_bytes(lines.read_bytes()[:-1])
        case "edited":
            lines.write_bytes(lines.read_bytes().replace(b"w100", b"w999"))
        case "not json":
            receipt.write_bytes(receipt.read_bytes()[:50])
        case "other":
            receipt.write_bytes(b'{"shard": {}}')
    assert find_receipt(SHARD, str(tmp_path)) is None


def test_find_receipts_stage(tmp_path: Path) -> None:
    receipt = write_samples(BATCH, str(tmp_path), MODES)
    pending = SHARD._replace(number=4)
    with in_beam() as pipeline:
        found = (
            pipeline
            | Create([SHARD, pending])
            | ParDo(FindReceipts(str(tmp_path), MODES)).with_outputs(PENDING, main="finished")
        )
        assert_that(found.finished, equal_to([receipt]), label="finished")
        assert_that(found[PENDING], equal_to([pending]), label="pending")


def test_write_samples_stage_counts_what_the_receipts_say(tmp_path: Path) -> None:
    empty = ShardSamples(SHARD._replace(number=4), (), {"null_text": 5})
    pipeline = in_beam()
    written = pipeline | Create([BATCH, empty]) | ParDo(WriteSamples(str(tmp_path), MODES))
    expected = [find_receipt_after(BATCH, tmp_path), find_receipt_after(empty, tmp_path)]
    assert_that(written, equal_to(expected))
    result = pipeline.run()
    result.wait_until_finish()
    query = result.metrics().query(MetricsFilter().with_namespace(metrics.NAMESPACE))
    assert {c.key.metric.name: c.committed for c in query["counters"]} == {
        "articles_read": 12,
        "articles_kept": 3,
        "articles_failed": 2,
        "articles_dropped_null_text": 6,
        "articles_dropped_too_short": 1,
        "samples": 3,
        "pages": 6,
        "bytes_samples": sum(receipt.jsonl_bytes for receipt in expected),
        "bytes_pictures": sum(images.size for images in BATCH.images.values()),
    }
    (taken,) = query["distributions"]  # milliseconds, one value a shard
    assert (taken.key.metric.name, taken.committed.count) == ("ms_write_samples", 2)


def find_receipt_after(batch: ShardSamples, tmp_path: Path) -> Receipt:
    return write_samples(batch, str(tmp_path / "expected"), MODES)


def test_the_receipt_comes_when_all_it_vouches_for_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    commit, flush = storage.commit, storage.flush

    def noted_commit(path: str, pieces: Any, durable: bool = False) -> int:
        events.append(f"{Path(path).name} {durable}")
        return commit(path, pieces, durable)

    def noted_flush(directory: str) -> None:
        events.append(f"flush {directory}")
        flush(directory)

    for module in (storage, write):
        monkeypatch.setattr(module, "commit", noted_commit)
    monkeypatch.setattr(storage, "flush", noted_flush)
    write_samples(BATCH, str(tmp_path), MODES)
    assert events == ["00003.jsonl False", f"flush {tmp_path}", "00003.json True"]
    events.clear()
    restore_samples(SHARD, str(tmp_path))
    assert events == [f"flush {tmp_path}"]  # and only then may its files change
    assert not Path(receipt_path(str(tmp_path), 3)).exists()
