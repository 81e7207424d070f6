"""What `plan` says of the demo, against what `run` really makes of it."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.__main__ import main
from pipeline.estimate.drawing import ARROW, BLOCKS, LINE, PNG, RECEIPT, TAR
from pipeline.estimate.measure import FILTERED
from pipeline.estimate.outputs import (
    ARTICLES,
    DIRECTORIES,
    POOL,
    REST,
    ROWS_OF_SPLIT,
    SPLIT,
    WHOLE,
    Wanted,
    all_pictures,
    asked_for,
    outputs,
    peak,
    split_sizes,
    sum_of,
)
from tests.conftest import SAMPLE, Outcome, RunCommand
from transforms.split import SplitSettings

BLOCK = 4096
FORMS = {"shards": "--image_shards --arrow --filtered", "none": "--no_images"}


def planned(capfd: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    capfd.readouterr()
    assert main(["plan", "--input", SAMPLE, "--json", *options]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    return json.loads(out)


def sizes(path: Path, pattern: str) -> list[int]:
    return [file.stat().st_size for file in sorted(path.glob(pattern)) if file.is_file()]


def exactly(value: int) -> dict[str, int]:
    return {"estimate": value, "low": value, "high": value}


def test_of_a_small_input_everything_is_exact(
    demo: Outcome, capfd: pytest.CaptureFixture[str]
) -> None:
    found, manifest = planned(capfd), demo.manifest
    counts, split = manifest["counts"], manifest["split"]
    for name in ("kept", "samples", "pages", "failed"):
        assert found[name] == exactly(counts[name])
    assert found["articles"] == counts["rows_read"]
    assert found["dropped"] == {name: exactly(n) for name, n in counts["dropped"].items()}
    assert found["val"] == split["val"]["samples"]
    assert found["train"] == split["train"]["samples"] + split["unused"]["samples"]
    pngs = sizes(demo.path, "images/*/*.png")
    pictures = found["pictures"]["files"]
    assert pictures["files"] == exactly(len(pngs))
    assert pictures["bytes"] == exactly(sum(pngs))
    blocks = sum(size + -size % BLOCK for size in pngs)
    assert blocks <= pictures["disk"]["estimate"] <= blocks + 100 * len(pngs)
    for mode in found["modes"]:
        assert mode["bytes"] == exactly(sum(sizes(demo.path, f"images/{mode['mode']}/*")))
    assert found["outputs"][WHOLE]["bytes"] == exactly((demo.path / WHOLE).stat().st_size)
    files = [file for file in demo.path.rglob("*") if file.is_file()]
    assert found["asked_for"]["files"] == exactly(len(files))
    size = sum(file.stat().st_size for file in files)
    assert found["asked_for"]["bytes"]["estimate"] == pytest.approx(size, rel=0.02)
    disk = sum(512 * file.stat().st_blocks for file in files)
    assert found["asked_for"]["disk"]["estimate"] == pytest.approx(disk, rel=0.03)


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_and_outputs_come_out_as_planned(
    form: str, run: RunCommand, capfd: pytest.CaptureFixture[str]
) -> None:
    given = f"--modes tiny,base --no_report {FORMS[form]}"
    found = planned(capfd, *given.split())
    done = run(SAMPLE, options=given)
    assert done.code == 0
    files = [file for file in done.path.rglob("*") if file.is_file()]
    assert found["asked_for"]["files"] == exactly(len(files))
    assert found["pictures"][form]["bytes"] == exactly(sum(sizes(done.path, "images/*/*")))
    for name in (WHOLE, ARTICLES):
        if (file := done.path / name).exists():
            assert found["outputs"][name]["bytes"] == exactly(file.stat().st_size)
    pool = sum(sizes(done.path, "_pagecast/shards/*"))
    assert found["outputs"][POOL]["bytes"]["estimate"] == pytest.approx(pool, rel=0.01)
    if rows := sum(sizes(done.path, "*_arrow/*.arrow")):
        # train and val have all samples but the one that is unused
        planned_rows = found["outputs"][ROWS_OF_SPLIT]["bytes"]["estimate"]
        assert planned_rows == pytest.approx(rows, rel=0.05)
    assert found["asked_for"]["bytes"]["estimate"] == pytest.approx(
        sum(os.path.getsize(file) for file in files), rel=0.01
    )


def wanted(**changes: Any) -> Wanted:
    return Wanted(
        modes=("tiny",), form="files", split=SplitSettings(1000, 100, 42), merge=True, arrow=False,
        filtered=False, report=True, assets=10, shards=2, block=BLOCK,
    )._replace(**changes)  # fmt: skip


def totals(samples: float, line: float = 20_000) -> dict[str, np.ndarray]:
    per_sample = {
        LINE: line, ARROW: 9000, RECEIPT: 100, PNG + "tiny": 30_000, BLOCKS + "tiny": 32_768,
        TAR + "tiny": 60_000,
    }  # fmt: skip
    count = np.full(2, float(samples))
    found = {name: each * count for name, each in per_sample.items()}
    return {"samples": count, FILTERED: np.full(2, 5e6), **found}


def disk(files: Any) -> float:
    return float(files.disk[0])


def test_the_split_has_no_more_samples_than_were_asked_for() -> None:
    half = outputs(totals(2000), wanted())
    assert half[SPLIT].size[0] == half[WHOLE].size[0] / 2
    assert split_sizes(2000, wanted().split) == (100, 900)
    assert split_sizes(500, wanted().split) == (50, 450)
    assert split_sizes(0, wanted().split) == (0, 0)


def test_what_is_not_asked_for_is_not_in_the_total() -> None:
    each, pictures = outputs(totals(500), wanted()), all_pictures(totals(500), wanted(), "files")

    def total(**changes: Any) -> float:
        return disk(sum_of(asked_for(totals(500), wanted(**changes))))

    base = sum(map(disk, (pictures, each[POOL], each[SPLIT], each[WHOLE], each[REST])))
    assert total() == pytest.approx(base)
    assert total(arrow=True) == pytest.approx(base + disk(each[ROWS_OF_SPLIT]))
    assert total(filtered=True) == pytest.approx(base + disk(each[ARTICLES]))
    assert total(form="none") == pytest.approx(base - disk(pictures))
    parts = outputs(totals(500), wanted(merge=False))[SPLIT]
    assert total(merge=False) == pytest.approx(
        base - disk(each[WHOLE]) - disk(each[SPLIT]) + disk(parts)
    )


def test_merging_needs_room_for_what_is_there_twice_meanwhile() -> None:
    def over_the_end(**changes: Any) -> float:
        chosen = wanted(**changes)
        return disk(peak(totals(500), chosen)) - disk(sum_of(asked_for(totals(500), chosen)))

    assert over_the_end() == pytest.approx(0, abs=2 * BLOCK)  # samples.jsonl comes after the split
    assert over_the_end(filtered=True) == pytest.approx(5e6, rel=0.01)


def test_files_are_counted_with_their_directories() -> None:
    most, end = peak(totals(500), wanted()), sum_of(asked_for(totals(500), wanted()))
    assert most.number[0] == end.number[0] + DIRECTORIES
    pieces = peak(totals(500), wanted(filtered=True)).number[0] - most.number[0]
    assert pieces == 2 * 2 + 2  # two for each shard until they are merged; then two


def test_without_samples_there_are_still_files() -> None:
    nothing = {"rows": np.zeros(2), "samples": np.zeros(2)}
    assert disk(all_pictures(nothing, wanted(), "files")) == 0
    assert disk(peak(nothing, wanted())) > 0
