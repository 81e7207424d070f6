"""The forms of a dataset that people train on, loaded as they load them, against the demo."""

import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
import webdataset
from PIL import Image

from pagecast.dataset.checkpoint import from_checksummed, to_checksummed
from pagecast.dataset.layout import END_OF_TAR
from pagecast.dataset.sample import ModeImages
from pagecast.dataset.tables.arrow import NO_IMAGES, features, sample_schema
from pagecast.reader import PageReader, ReaderError
from pipeline.__main__ import main
from pipeline.options import RunOptions
from tests.conftest import SAMPLE, Outcome, RunCommand, articles, tree, write_parquet
from tests.support.stores import LONG

MODES = ["tiny", "small", "base", "large"]
FEW = "--num_articles 8"  # articles of the sample: enough for several samples, quick to draw


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def times(out: Path, pattern: str) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in out.rglob(pattern)}


def test_the_known_consumer_finds_rows_and_images(demo: Outcome) -> None:
    """As the trainer of DESIGN section 1 reads it: lines, then images beside the file, as RGB."""
    for split, count in (("train", 57), ("val", 1)):
        data_file = demo.path / f"{split}.jsonl"
        rows = lines(data_file)
        assert len(rows) == count
        for row in rows:
            assert len(row["context_tokens"]) == len(row["continuation_tokens"]) == 1000
            for mode, px in zip(MODES, (512, 640, 1024, 1280), strict=True):
                name = data_file.parent / "images" / mode / f"{row['id']}.png"
                assert row["images"][mode] == str(name.relative_to(demo.path))
                with Image.open(name) as image:
                    assert image.convert("RGB").size == (px, px)


def test_arrow_is_added_in_a_moment_and_equals_the_lines(
    demo: Outcome, demo_copy: Path, run: RunCommand
) -> None:
    before = times(demo_copy, "sample_*.png") | times(demo_copy, "train.jsonl")
    assert run(SAMPLE, options="--arrow", into=str(demo_copy)).code == 0
    for split in ("train", "val"):
        loaded = datasets.load_from_disk(str(demo_copy / f"{split}_arrow"))
        assert loaded.cache_files, "memory-mapped"
        rows = lines(demo.path / f"{split}.jsonl")
        assert list(loaded) == rows
        assert [json.dumps(row) for row in loaded] == [json.dumps(row) for row in rows]
        for name in ("context_tokens", "continuation_tokens"):
            assert loaded.features[name] == datasets.List(datasets.Value("int32"))
        numbers = loaded.with_format("numpy")[:]["context_tokens"]
        assert numbers.tolist() == [row["context_tokens"] for row in rows]
    skip = ["split_manifest.json", *(p.name for p in demo_copy.glob("*_arrow/*"))]
    assert tree(demo_copy, *skip) == tree(demo.path, "split_manifest.json")
    assert times(demo_copy, "sample_*.png") | times(demo_copy, "train.jsonl") == before
    assert run(SAMPLE, into=str(demo_copy)).code == 0
    assert tree(demo_copy) == tree(demo.path)
    assert not list(demo_copy.glob("*_arrow/*"))


def test_parquet_is_added_in_a_moment_with_the_images_inside(
    demo: Outcome, demo_copy: Path, run: RunCommand, tmp_path: Path
) -> None:
    before = times(demo_copy, "sample_*.png") | times(demo_copy, "train.jsonl")
    found = run(SAMPLE, options="--parquet", into=str(demo_copy))
    assert found.code == 0
    assert found.manifest["outputs"]["parquet"] is True
    files = {split: str(demo_copy / f"parquet/{split}-*.parquet") for split in ("train", "val")}
    whole = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path))
    streamed = datasets.load_dataset("parquet", data_files=files, streaming=True)
    for split, rows in ((name, lines(demo.path / f"{name}.jsonl")) for name in files):
        assert whole[split].features["context_tokens"] == datasets.List(datasets.Value("int32"))
        assert whole[split].features["images"] == dict.fromkeys(MODES, datasets.Image())
        for loaded in (whole[split], streamed[split]):
            for row, line in zip(loaded, rows, strict=True):
                for mode, image in row["images"].items():
                    with Image.open(demo.path / line["images"][mode]) as page:
                        assert image.tobytes() == page.tobytes()
                assert {**row, "images": line["images"]} == line
    skip = ["split_manifest.json", *(p.name for p in demo_copy.glob("parquet/*"))]
    assert tree(demo_copy, *skip) == tree(demo.path, "split_manifest.json")
    assert times(demo_copy, "sample_*.png") | times(demo_copy, "train.jsonl") == before
    assert run(SAMPLE, into=str(demo_copy)).code == 0
    assert tree(demo_copy) == tree(demo.path)
    assert not list(demo_copy.glob("parquet/*"))


def test_parquet_has_the_same_bytes_from_files_and_tars(run: RunCommand) -> None:
    given = f"{FEW} --parquet --no_report --modes tiny,base"
    files, tars = (
        run(SAMPLE, options=f"{given} {form}", into=form or "files").path
        for form in ("", "--image_shards --shard_rows 3")
    )
    for path in (files / "parquet").iterdir():
        assert path.read_bytes() == (tars / "parquet" / path.name).read_bytes()
    assert len(list((tars / "parquet").iterdir())) == 2


def test_a_cache_of_other_data_is_never_taken_for_these(demo_copy: Path, run: RunCommand) -> None:
    """What `datasets` caches beside the files goes by a fingerprint, and that by the content."""

    def tokens() -> tuple[str, list[int]]:
        loaded = datasets.load_from_disk(str(demo_copy / "train_arrow"))
        mapped = loaded.map(lambda row: {"first": row["context_tokens"][0]})
        assert mapped["first"][:] == [row["context_tokens"][0] for row in loaded]
        return loaded._fingerprint, mapped["first"][:]

    assert run(SAMPLE, options="--arrow", into=str(demo_copy)).code == 0
    first = tokens()
    assert run(SAMPLE, options="--arrow --seed 1", into=str(demo_copy)).code == 0
    assert tokens()[0] != first[0]
    assert run(SAMPLE, options="--arrow", into=str(demo_copy)).code == 0
    assert tokens() == first


def test_an_empty_dataset_opens_too(run: RunCommand, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", articles("short"))
    found = run(path, options="--arrow --filtered --image_shards")
    assert found.code == 0
    for split in ("train", "val"):
        loaded = datasets.load_from_disk(str(found.path / f"{split}_arrow"))
        assert (len(loaded), set(loaded.features) >= {"id", "images"}) == (0, True)
    assert (found.path / "filtered.jsonl").read_bytes() == b""
    assert not list(found.path.rglob("*.tar"))


def test_tars_are_a_webdataset_of_the_same_rows_and_pixels(demo: Outcome, run: RunCommand) -> None:
    found = run(SAMPLE, options="--image_shards --shard_rows 8")
    assert found.code == 0
    skip = ["split_manifest.json", *(p.name for p in found.path.rglob("*.tar"))]
    images = [p.name for p in demo.path.rglob("*.png")]
    assert tree(found.path, *skip) == tree(demo.path, "split_manifest.json", *images)
    assert found.manifest["outputs"]["images"] == "shards"
    rows = demo.lines("samples.jsonl")
    reader = PageReader(found.path)
    for mode in MODES:
        tars = sorted(map(str, (found.path / "images" / mode).iterdir()))
        assert len(tars) == len(list((found.path / "_pagecast/shards").glob("*.json"))) >= 4
        read = list(webdataset.WebDataset(tars, shardshuffle=False).decode("pil"))
        assert [item["__key__"] for item in read] == [row["id"] for row in rows]
        for item, row in zip(read, rows, strict=True):
            assert item.keys() - {"__key__", "__url__", "__local_path__"} == (
                {"png", "json"} if mode == "tiny" else {"png"}
            )
            with Image.open(demo.path / row["images"][mode]) as image:
                assert item["png"].tobytes() == image.convert("RGB").tobytes()
                assert reader.image(row, mode).tobytes() == image.tobytes()
            assert item.get("json", row) == row


@pytest.mark.parametrize("form", ["", "--image_shards", "--no_images"])
def test_more_modes_render_only_what_is_missing(run: RunCommand, form: str) -> None:
    whole = run(SAMPLE, options=f"{FEW} {form} --modes tiny,custom=96,base --arrow", into="whole")
    out = run(SAMPLE, options=f"{FEW} {form} --modes custom=96").path
    drawn = times(out, "custom/sample_*.png")
    assert bool(drawn) == (form == "")
    more = run(SAMPLE, options=f"{FEW} {form} --modes custom=96,tiny,base --arrow")
    assert more.code == 0, more.err
    assert tree(out) == tree(whole.path)
    assert times(out, "custom/sample_*.png") == drawn
    assert more.manifest["vision_modes"]["custom"] == {
        "px": 96, "vision_tokens": None, "ratio": None,
    }  # fmt: skip
    assert more.manifest["vision_modes"]["base"] == {
        "px": 1024, "vision_tokens": 273, "ratio": 3.7,
    }  # fmt: skip
    fewer = run(SAMPLE, options=f"{FEW} {form} --modes tiny")
    assert fewer.code == 2
    assert "--modes was custom=96,tiny=512,base=1024, now tiny=512" in fewer.err
    assert tree(out) == tree(whole.path)


def test_no_images_but_all_else(demo: Outcome, run: RunCommand, tmp_path: Path) -> None:
    found = run(SAMPLE, options="--no_images --arrow")
    assert found.code == 0
    assert not (found.path / "images").exists()
    assert found.manifest["counts"]["pages"] == 0
    rows = found.lines("train.jsonl")
    assert rows == [{**row, "images": {}} for row in demo.lines("train.jsonl")]
    loaded = datasets.load_from_disk(str(found.path / "train_arrow"))
    assert list(loaded) == [{k: v for k, v in row.items() if k != "images"} for row in rows]
    loaded.to_parquet(str(tmp_path / "train.parquet"))  # which has no struct without fields
    refused = run(SAMPLE)
    assert refused.code == 2
    assert "images (--no_images, --image_shards) was none, now files" in refused.err


SHORT_FIRST = ["Short.", "Also short.", *[LONG] * 3, "Short too."]
SIZES = "--min_tokens 100 --context_tokens 50 --continuation_tokens 50"
OF_SHARDS = f"--image_shards --shard_rows 1 {SIZES} --modes "


def test_shards_without_samples_have_no_tars(run: RunCommand, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", articles(*SHORT_FIRST))
    found = run(path, options=OF_SHARDS + "tiny")
    assert found.code == 0, found.err
    names = ["00002.tar", "00003.tar", "00004.tar"]
    tars = found.path / "images/tiny"
    assert sorted(p.name for p in tars.iterdir()) == names
    read = webdataset.WebDataset([str(tars / name) for name in names], shardshuffle=False)
    assert [item["__key__"] for item in read] == [r["id"] for r in found.lines("samples.jsonl")]
    with pytest.raises(ReaderError, match="sample_000000_chunk_0 is not in the dataset"):
        PageReader(found.path).png("sample_000000_chunk_0", "tiny")
    verify = ["verify", "--output_dir", str(found.path), "--workers", "1"]
    assert main(verify) == 0
    (tars / "00000.tar").write_bytes((tars / "00002.tar").read_bytes())
    assert main(verify) == 1


def test_empty_tars_of_older_versions_are_borne(run: RunCommand, tmp_path: Path) -> None:
    """Such a run wrote a tar without members, and its receipt said so."""
    path = write_parquet(tmp_path / "a.parquet", articles(*SHORT_FIRST))
    found = run(path, options=OF_SHARDS + "tiny")
    receipt = found.path / "_pagecast/shards/00000.json"
    fields = from_checksummed(receipt.read_bytes())
    assert fields["pictures"] == {}
    tar = "images/tiny/00000.tar"
    fields["pictures"] = {"tiny": ModeImages(tar, len(END_OF_TAR), {})._asdict()}
    receipt.write_bytes(to_checksummed(fields))
    (found.path / tar).write_bytes(END_OF_TAR)
    assert run(path, options=OF_SHARDS + "tiny").code == 0
    verify = ["verify", "--output_dir", str(found.path), "--workers", "1"]
    assert main(verify) == 0
    (found.path / tar).unlink()  # as a person may, whose loader refuses it
    assert main(verify) == 0
    (found.path / tar).write_bytes(END_OF_TAR)
    assert run(path, options=OF_SHARDS + "tiny,small").code == 0
    assert not (found.path / tar).exists()
    assert main(verify) == 0


def test_arrow_files_of_older_versions_with_a_column_for_no_images(
    run: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_parquet(tmp_path / "a.parquet", articles(LONG, LONG))
    options = OF_SHARDS.replace("--image_shards", "--no_images --arrow") + "tiny"
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.graph.sample_schema", schema_of_older_versions)
        patch.setattr("pipeline.launch.prepare._decides_split", split_of_older_versions)
        found = run(path, options=options)
    assert "images" in datasets.load_from_disk(str(found.path / "train_arrow")).features
    assert main(["verify", "--output_dir", str(found.path), "--workers", "1"]) == 0
    assert run(path, options=options).code == 0
    assert "images" not in datasets.load_from_disk(str(found.path / "train_arrow")).features
    assert main(["verify", "--output_dir", str(found.path), "--workers", "1"]) == 0


def schema_of_older_versions(modes: list[str], stored: bool, *of_styles: bool) -> pa.Schema:
    assert not stored and not any(of_styles)
    schema = sample_schema(modes, stored)
    schema = schema.insert(len(schema) - 1, NO_IMAGES)
    info = json.dumps({"info": {"features": features(schema)}})
    return schema.with_metadata({"huggingface": info})


def split_of_older_versions(options: RunOptions) -> dict[str, Any]:
    return {
        **options.split.asked(),
        "modes": [mode.name for mode in options.modes],
        "merge": options.merge,
    }


@pytest.mark.parametrize(
    ("count", "options", "why"),
    [
        (1, "", "val.jsonl is empty, since only one article gave samples"),
        (2, "--val_size 0", "val.jsonl is empty, since --val_size is 0"),
        (2, "", ""),
        (0, "", ""),
    ],
)
def test_an_empty_val_is_told(
    count: int, options: str, why: str, run: RunCommand, tmp_path: Path
) -> None:
    path = write_parquet(tmp_path / "a.parquet", articles("short", *[LONG] * count))
    done = run(path, options=f"{OF_SHARDS}tiny {options}")
    assert done.code == 0
    assert ("val.jsonl is empty" in done.err, why in done.err) == (bool(why), True)
    assert not count or (done.path / "val.jsonl").stat().st_size == 0 or not why


def test_filtered_articles_are_input_as_good_as_the_parquet(
    demo: Outcome, demo_copy: Path, run: RunCommand, tmp_path: Path
) -> None:
    before = times(demo_copy, "sample_*.png")
    done = run(SAMPLE, options="--filtered", into=str(demo_copy))
    assert (done.code, done.err) == (0, "")
    assert times(demo_copy, "sample_*.png") == before
    rows = done.lines("filtered.jsonl")
    assert [list(row) for row in rows] == [["id", "title", "text", "tokens", "total_tokens"]] * 22
    assert done.manifest["outputs"]["filtered"]["articles"] == 22
    samples = demo.lines("samples.jsonl")
    for sample in samples:
        (row,) = (row for row in rows if row["id"] == sample["wiki_id"])
        start = 2000 * sample["chunk_index"]
        assert row["tokens"][start : start + 1000] == sample["context_tokens"]
        assert row["total_tokens"] == len(row["tokens"]) == sample["total_article_tokens"]
    at_once = run(SAMPLE, options="--filtered --shard_rows 5 --modes custom=64", into="at_once")
    assert tree(at_once.path)["filtered.jsonl"] == tree(demo_copy)["filtered.jsonl"]

    again = run(demo_copy / "filtered.jsonl", options="--shard_rows 7", into="again")
    assert (again.code, again.err) == (0, "")
    assert again.manifest["counts"]["rows_read"] == again.manifest["counts"]["kept"] == 22
    for name in ("samples", "train", "val"):
        found, wanted = again.lines(f"{name}.jsonl"), demo.lines(f"{name}.jsonl")
        for row in (*found, *wanted):
            row.pop("id")
            row.pop("images")
        assert found == wanted
    images = [sorted(p.read_bytes() for p in o.path.rglob("*.png")) for o in (again, demo)]
    assert images[0] == images[1]


def test_a_filtered_file_is_kept_while_it_is_intact(run: RunCommand) -> None:
    done = run(SAMPLE, options=f"{FEW} --modes custom=64 --filtered")
    path = done.path / "filtered.jsonl"
    content, made = path.read_bytes(), path.stat().st_mtime_ns
    assert run(SAMPLE, options=f"{FEW} --modes custom=64 --filtered --seed 3").code == 0
    assert path.stat().st_mtime_ns == made
    path.write_bytes(content[:-10])
    assert run(SAMPLE, options=f"{FEW} --modes custom=64 --filtered").code == 0
    assert path.read_bytes() == content
    assert not list((done.path / "_pagecast/filtered").iterdir())


def test_a_smaller_train_set_is_contained_in_a_larger_one(demo_copy: Path, run: RunCommand) -> None:
    before = times(demo_copy, "sample_*.png")
    found = []
    for size in (20, 35, 58):
        done = run(SAMPLE, options=f"--val_size 9 --max_samples {size}", into=str(demo_copy))
        found.append((done.lines("val.jsonl"), {row["id"] for row in done.lines("train.jsonl")}))
        assert len(found[-1][1]) == size - 9
    assert found[0][0] == found[1][0] == found[2][0]
    assert found[0][1] < found[1][1] < found[2][1]
    assert times(demo_copy, "sample_*.png") == before
