"""Contexts on several pages: every form of a dataset has the same ones, and every reader all."""

from __future__ import annotations

import io
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pagecast import PageReader
from pagecast.modes import vision_tokens
from pagecast.render import PageRenderer
from pagecast.style import PageStyle
from pipeline.__main__ import main
from tests.conftest import SAMPLE, Command, Outcome

MODES = ("tiny", "base")
ASKED = ("--modes", "tiny,base", "--num_articles", "12", "--workers", "1", "--no_report", "--quiet")
FORMS = {"files": (), "tars": ("--image_shards",), "none": ("--no_images",)}


@pytest.fixture(scope="module")
def style(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("styles") / "large.yaml"
    path.write_text("size: 16\nshape: 3:4\nink: '#203040'\n")
    return path


@pytest.fixture(scope="module")
def outputs(style: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """The same articles in each form; the first one as tables too."""
    found = {}
    for name, options in FORMS.items():
        out = tmp_path_factory.mktemp(name) / "out"
        tables = ("--parquet", "--arrow") if name == "files" else ()
        words = [*ASKED, *options, *tables, "--style", str(style)]
        code = main(["run", "--input", SAMPLE, "--output_dir", str(out), *words])
        found[name] = Outcome(code, "", "", out)
        assert code == 0
    return found


def pages(path: Path) -> dict[tuple[str, str], list[bytes]]:
    dataset = PageReader(path)
    assert dataset.is_paged
    return {
        (sample["id"], mode): [image.tobytes() for image in dataset.images(sample, mode)]
        for split in dataset.splits
        for sample in dataset[split]
        for mode in MODES
    }


def test_the_lines_say_which_pages_there_are(outputs: dict[str, Outcome], style: Path) -> None:
    renderer = PageRenderer(PageStyle(size=16, shape="3:4", ink="#203040"))
    several = 0
    for sample in outputs["files"].lines("samples.jsonl"):
        drawn = renderer.render_pages(sample["context_text"], [512, 1024])
        for (mode, px), (images, metadata) in zip(
            (("tiny", 512), ("base", 1024)), drawn, strict=True
        ):
            names = [f"images/{mode}/{sample['id']}_p{n}.png" for n in range(len(images))]
            assert sample["images"][mode] == names
            tokens = vision_tokens(px * 3 // 4, px)
            assert tokens is not None
            assert sample["font_metadata"][mode] == metadata._asdict() | {
                "pages": len(images),
                "vision_tokens": tokens * len(images),
                "ratio": round(1000 / (tokens * len(images)), 1),
            }
            assert not metadata.is_truncated
            several += len(images) > 1
            for name, image in zip(names, images, strict=True):
                with Image.open(outputs["files"].path / name) as stored:
                    assert stored.mode == "RGB"
                    assert stored.tobytes() == image.tobytes()
    assert several > 10


def test_all_forms_have_the_same_pages(outputs: dict[str, Outcome]) -> None:
    expected = pages(outputs["files"].path)
    assert sum(map(len, expected.values())) > len(expected)
    assert pages(outputs["tars"].path) == pages(outputs["none"].path) == expected


@pytest.mark.parametrize("form", FORMS)
def test_verify_knows_pages(outputs: dict[str, Outcome], form: str, command: Command) -> None:
    done = command(f"verify --output_dir {outputs[form].path} --redraw --quiet --workers 1")
    assert done.code == 0, done.out + done.err
    stored = 0 if form == "none" else len(outputs[form].lines("samples.jsonl")) * len(MODES)
    (count,) = re.findall(r"([\d,]+) images", done.out)
    assert int(count.replace(",", "")) > stored or not stored


def test_pages_in_tars_are_of_one_sample_for_webdataset(outputs: dict[str, Outcome]) -> None:
    with tarfile.open(outputs["tars"].path / "images/tiny/00000.tar") as tar:
        names = tar.getnames()
        keys = list(dict.fromkeys(name.partition(".")[0] for name in names))
        record: dict[str, Any] = json.load(io.BytesIO(tar.extractfile(f"{keys[0]}.json").read()))  # type: ignore[union-attr]
    assert [k for k in keys if "_p" in k] == []
    mine = [name for name in names if name.startswith(f"{keys[0]}.p")]
    assert len(mine) == len(record["images"]["tiny"]) == record["font_metadata"]["tiny"]["pages"]


def test_tables_have_lists_of_images(outputs: dict[str, Outcome], tmp_path: Path) -> None:
    path = outputs["files"].path
    expected = pages(path)
    files = {"train": str(path / "parquet/train-*.parquet")}
    rows = datasets.load_dataset("parquet", data_files=files, split="train", streaming=True)
    for row, line in zip(rows, outputs["files"].lines("train.jsonl"), strict=True):
        assert row["id"] == line["id"]
        assert row["font_metadata"] == line["font_metadata"]
        for mode in MODES:
            found = [image.convert("RGB").tobytes() for image in row["images"][mode]]
            assert found == expected[row["id"], mode]
    arrow = datasets.load_from_disk(str(path / "train_arrow"))
    assert [row["images"] for row in arrow] == [
        line["images"] for line in outputs["files"].lines("train.jsonl")
    ]
    schema = pq.read_schema(next((path / "parquet").glob("train-*")))
    assert schema.field("images").type.num_fields == len(MODES)


def test_a_batch_has_the_pages_of_all_its_samples(outputs: dict[str, Outcome]) -> None:
    dataset = PageReader(outputs["tars"].path)
    some = dataset["train"][:3]
    batch = dataset.collate(some, "tiny")
    counts = [len(dataset.images(sample, "tiny")) for sample in some]
    assert batch["pages"].tolist() == counts
    assert batch["page"].shape == (sum(counts), 512, 384)
    assert dataset.collate(some, "tiny", rgb=True)["page"].shape == (sum(counts), 3, 512, 384)
    with pytest.raises(Exception, match="has no page 99"):
        PageReader(outputs["none"].path).image(some[0], "tiny", 99)


@pytest.mark.parametrize("damage", ["gone", "another", "cut"])
def test_a_page_at_fault_is_named(
    damage: str, command: Command, style: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    asked = (
        f"run --input {SAMPLE} --output_dir {out} --modes tiny --num_articles 4 --workers 1 "
        f"--no_report --quiet --style {style}"
    )
    assert command(asked).code == 0
    second = sorted((out / "images/tiny").glob("*_p1.png"))[0]
    whole = second.read_bytes()
    if damage == "gone":
        second.unlink()
    else:
        first = second.with_name(second.name.replace("_p1", "_p0")).read_bytes()
        second.write_bytes(first if damage == "another" else whole[:-9])
    found = command(f"verify --output_dir {out} --quiet --workers 1")
    assert found.code == 1
    assert f"images/tiny/{second.name}" in found.out + found.err
    assert command(f"verify --output_dir {out} --repair --quiet --workers 1").code == 1
    assert command(asked).code == 0
    assert second.read_bytes() == whole
