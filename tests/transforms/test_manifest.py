import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pagecast.dataset.receipts import Accounts, InconsistentError, Part, Receipt
from pagecast.dataset.shard import ArticleError, Failure, Shard, ShardSamples, plan_line
from pagecast.dataset.split import SplitPlan
from pagecast.dataset.tables.arrow import sample_schema
from tests.transforms.test_parts import WANTED, committed
from transforms.commit.samples import write_samples
from transforms.finish.accounts import CountRows
from transforms.finish.manifest import FinishSettings, Results, finish, manifest_of
from transforms.split.assign import assign_split
from transforms.split.parts import NOTHING, PartSettings, write_part

CONFIG: dict[str, Any] = {
    "options": {"min_tokens": 2000, "images": "none"},
    "vision_modes": {},
    "tokenizer": {"sha256": "t"},
    "font": {"sha256": "f"},
    "versions": {"pagecast": "0"},
    "source": [{"repo": "o/n", "commit": "c"}],
    "inputs": [],
}
OUTPUTS = {"images": None, "merged": True, "arrow": False, "filtered": None}
PLAN = SplitPlan(None, None, 0, 8, 0)
OF_VAL = Part("val-00000-of-00001", "", 1, NOTHING, None, None)
COUNTS = {"train": 4, "used": 4, "all": 4}


def accounts_of(receipts: list[Receipt]) -> Accounts:
    combine = CountRows()
    parts = [combine.add_input(combine.create_accumulator(), receipt) for receipt in receipts]
    return combine.extract_output(combine.merge_accumulators(parts))


def settings(out: Path, merge: bool = True, arrow: bool = False) -> FinishSettings:
    schema = sample_schema([], stored=False) if arrow else None
    return FinishSettings(WANTED, PartSettings(str(out), merge, schema), filtered=False)


@pytest.fixture
def job(tmp_path: Path) -> tuple[Path, Results]:
    """A job of four articles in two shards, all of train's one part written."""
    receipts = committed(tmp_path, ["a", "b", "c", "d"], shard_rows=2)
    private = tmp_path / "_pagecast"
    (private / "config.json").write_text(json.dumps(CONFIG))
    (private / "plan.jsonl").write_bytes(b"".join(plan_line(r.shard) for r in receipts))
    pairs = [pair for receipt in receipts for pair in assign_split(receipt, PLAN, WANTED)]
    part = write_part(
        pairs[0][0], [packed for _, packed in pairs], PartSettings(str(tmp_path), merge=True)
    )
    return tmp_path, Results(accounts_of(receipts), PLAN, COUNTS, [part], [], [])


def test_accounts_add_up_over_shards() -> None:
    error = ArticleError(1, "w", "read", "bad")
    first = Receipt(Shard(0, "p", 0, 0, 5, 0), (), 3, {"too_short": 1}, (error,), 8, 10, "", ())
    second = Receipt(
        Shard(7, "p", 0, 0, 4, 5), (), 1, {"too_short": 2, "null_text": 1}, (), 4, 7, "", ()
    )
    accounts = accounts_of([first, second])
    assert accounts.totals == Counter(rows=9, kept=4, failed=1, samples=0, pages=12, jsonl_bytes=17)
    assert accounts.dropped == {"too_short": 3, "null_text": 1}
    assert accounts.shards_with_errors == [0]
    accounts.check()


@pytest.mark.parametrize("kept", [3, 5, -1])
def test_accounts_that_do_not_balance_are_a_defect(kept: int) -> None:
    receipt = Receipt(Shard(0, "p", 0, 0, 5, 0), (), kept, {"too_short": 1}, (), 0, 0, "", ())
    with pytest.raises(InconsistentError, match="5 rows read"):
        accounts_of([receipt]).check()


def test_finish_merges_in_input_order_and_writes_the_manifest_last(job) -> None:
    out, results = job
    assert finish(results, settings(out, merge=True))
    shards = [(out / f"_pagecast/shards/0000{n}.jsonl").read_bytes() for n in range(2)]
    assert (out / "samples.jsonl").read_bytes() == shards[0] + shards[1]
    assert (out / "val.jsonl").read_bytes() == b""
    assert sorted((out / "train.jsonl").read_bytes().splitlines()) == sorted(
        (shards[0] + shards[1]).splitlines()
    )
    assert sorted(path.name for path in (out / "_pagecast/parts").iterdir()) == [
        f"{split}-00000-of-00001.{kind}"
        for split in ("train", "val")
        for kind in ("json", "lengths")
    ]
    assert (out / "_pagecast/errors.jsonl").read_bytes() == b""
    manifest = json.loads((out / "split_manifest.json").read_text())
    assert manifest["options"] == {
        "min_tokens": 2000, "images": "none", "max_samples": 100, "val_size": 10, "seed": 42,
    }  # fmt: skip
    assert manifest["format"] == 1
    assert manifest["outputs"] == {
        "images": "none", "merged": True, "arrow": False, "filtered": None,
    }  # fmt: skip
    assert manifest["counts"] == {
        "rows_read": 4, "kept": 4, "dropped": {}, "failed": 0, "samples": 8, "pages": 0,
    }  # fmt: skip
    assert manifest["split"]["train"] == {"samples": 8, "articles": 4}
    assert manifest["disjoint"] == {
        "val_articles": 0, "train_articles": 4, "sum": 4, "articles_in_either": 4,
    }  # fmt: skip
    assert manifest["tokenizer"] == {"sha256": "t"}


def test_without_merging_the_parts_are_left_and_empty_ones_made(job) -> None:
    out, results = job
    assert finish(results, settings(out, merge=False))
    assert (out / "val-00000-of-00001.jsonl").read_bytes() == b""
    assert not (out / "train.jsonl").exists()
    assert not (out / "samples.jsonl").exists()


def test_after_a_failure_there_are_errors_and_no_split(job) -> None:
    out, results = job
    shard = Shard(5, "p", 0, 0, 2, 8)
    error = ArticleError(8, "w8", "render", "bad")
    receipt = write_samples(ShardSamples(shard, (), {}, (error,)), str(out), [])
    results.accounts.add(Accounts.of(receipt))
    failures = [Failure("/in/b", "row group 1", "corrupt"), Failure("/in/a", "file", "cut")]
    assert not finish(results._replace(failures=failures), settings(out, merge=True))
    errors = [json.loads(line) for line in (out / "_pagecast/errors.jsonl").open()]
    assert errors == [
        {"kind": "input", "path": "/in/a", "where": "file", "reason": "cut"},
        {"kind": "input", "path": "/in/b", "where": "row group 1", "reason": "corrupt"},
        {"kind": "article", "row": 8, "wiki_id": "w8", "step": "render", "reason": "bad"},
    ]
    for name in ("samples.jsonl", "train.jsonl", "val.jsonl", "split_manifest.json"):
        assert not (out / name).exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parts": []}, "train has 0 samples, 8 planned"),
        (
            {"parts": [Part("val-00000-of-00001", "", 1, NOTHING, None, None)]},
            "val has 1 samples, 0 planned",
        ),
        ({"article_counts": {**COUNTS, "val": 1}}, "1 val and 4 train articles, 4 together"),
    ],
)
def test_counts_that_disagree_stop_the_manifest(job, change: dict[str, Any], message: str) -> None:
    out, results = job
    with pytest.raises(InconsistentError, match=message):
        finish(results._replace(**change), settings(out, merge=True))
    assert not (out / "split_manifest.json").exists()


def test_rows_that_are_missing_stop_the_manifest(job) -> None:
    out, results = job
    results.accounts.totals["rows"] += 1
    with pytest.raises(InconsistentError, match="5 rows read, but 4 kept, dropped or failed"):
        finish(results, settings(out, merge=True))
    assert not (out / "split_manifest.json").exists()


def test_a_shard_file_that_changed_size_stops_the_manifest(job) -> None:
    out, results = job
    with (out / "_pagecast/shards/00001.jsonl").open("ab") as file:
        file.write(b"{}\n")
    with pytest.raises(InconsistentError, match=r"samples\.jsonl has"):
        finish(results, settings(out, merge=True))


def test_unused_articles_are_those_in_neither_split(job) -> None:
    _, results = job
    counts = {"val": 1, "train": 4, "used": 5, "all": 9}
    manifest = manifest_of(results._replace(article_counts=counts), CONFIG, WANTED, OUTPUTS)
    assert [manifest["split"][name]["articles"] for name in ("val", "train", "unused")] == [1, 4, 4]
