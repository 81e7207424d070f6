import time
from pathlib import Path

import pytest

from pipeline import progress
from pipeline.progress import summary, watch

MANIFEST = {
    "counts": {
        "rows_read": 1234, "kept": 22, "dropped": {"too_short": 1211}, "failed": 1,
        "samples": 59, "pages": 236,
    },
    "split": {
        "train": {"samples": 57}, "val": {"samples": 1}, "unused": {"samples": 1},
    },
}  # fmt: skip


def test_summary_is_a_short_table() -> None:
    assert summary(MANIFEST, "/out", 12.34) == "\n".join([
        "articles in         1,234",
        "kept                22",
        "dropped, too_short  1,211",
        "failed              1",
        "samples             59",
        "pages               236",
        "train               57",
        "val                 1",
        "unused              1",
        "seconds             12.3",
        "output              /out",
    ])  # fmt: skip


def test_summary_leaves_out_what_did_not_happen() -> None:
    counts = {**MANIFEST["counts"], "failed": 0, "dropped": {}}
    split = {**MANIFEST["split"], "unused": {"samples": 0}}
    table = summary({"counts": counts, "split": split}, "/out", 1)
    assert not {"failed", "dropped", "unused"} & {
        line.split(",")[0].split()[0] for line in table.splitlines()
    }


def test_watch_counts_receipts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "INTERVAL", 0.01)
    shards = tmp_path / "_pagecast/shards"
    shards.mkdir(parents=True)
    for name in ("00000.json", "00000.jsonl", "00001.json", "00002.jsonl"):
        (shards / name).write_text("")
    err = ""
    with watch(str(tmp_path), 7):
        while not err:
            time.sleep(0.01)
            err = capsys.readouterr().err
    assert err.startswith("pagecast: 2 of 7 shards, ")
