"""Damage of every kind is named with its file and sample, and mended by a repair and a run."""

import json
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pagecast.dataset.checkpoint import from_checksummed, to_checksummed
from pagecast.dataset.layout import END_OF_TAR
from pagecast.render import page
from pipeline.__main__ import main
from tests.conftest import Outcome, RunCommand, articles, tree, write_parquet
from transforms.render.sinks import tar_member

TEXTS = [
    " ".join(f"Word {n} of article {a}, which is long enough." for n in range(20 + 15 * a))
    for a in range(8)
]
OPTIONS = (
    "--min_tokens 100 --context_tokens 50 --continuation_tokens 50 --modes tiny,custom=100 "
    "--shard_rows 3 --max_samples 20 --val_size 6"
)
PNG = "images/tiny/sample_000001_chunk_0.png"
OTHER = "images/tiny/sample_000001_chunk_1.png"


class Dataset(NamedTuple):
    path: Path
    options: str
    parquet: Path


@pytest.fixture(scope="module", params=["files", "shards", "parts"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    base = tmp_path_factory.mktemp(request.param)
    parquet = write_parquet(base / "a.parquet", articles(*TEXTS[:5], None, "short", *TEXTS[5:]))
    options = (
        OPTIONS
        + {
            "files": " --arrow --filtered --parquet",
            "shards": " --image_shards --parquet",
            "parts": " --no_merge --arrow --no_images --parquet",
        }[request.param]
    )
    argv = ["run", "--input", str(parquet), "--output_dir", str(base / "out"), "--workers", "1"]
    assert main([*argv, *options.split()]) == 0
    return Dataset(base / "out", options, parquet)


@pytest.fixture
def dataset(made: Dataset, tmp_path: Path) -> Iterator[Dataset]:
    """The dataset, to be damaged; afterwards it is as before."""
    backup = tmp_path / "backup"
    shutil.copytree(made.path, backup)
    yield made
    shutil.rmtree(made.path)
    shutil.copytree(backup, made.path)


Verify = Callable[..., Outcome]


@pytest.fixture
def verify(dataset: Dataset, capfd: pytest.CaptureFixture[str]) -> Verify:
    def command(options: str = "") -> Outcome:
        capfd.readouterr()
        argv = ["verify", "--output_dir", str(dataset.path), "--workers", "1", *options.split()]
        return Outcome(main(argv), *capfd.readouterr(), dataset.path)

    return command


def only(name: str) -> Any:
    return pytest.mark.parametrize("made", [name], indirect=True)


def edit(path: Path, change: Callable[[list[bytes]], Any]) -> None:
    """Change the lines of a file."""
    lines = path.read_bytes().splitlines(keepends=True)
    change(lines)
    path.write_bytes(b"".join(lines))


def edit_token(lines: list[bytes], number: int = 0) -> None:
    sample = json.loads(lines[number])
    sample["continuation_tokens"][7] += 1
    lines[number] = json.dumps(sample).encode() + b"\n"


def ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.open()]


def test_a_whole_dataset_has_no_faults(verify: Verify) -> None:
    found = verify()
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("checked 4 shards, ")
    assert found.out.endswith(" files: no faults\n")
    some = verify("--sample 5 --seed 3")
    assert (some.code, some.err) == (0, "")
    assert some.out.startswith("checked 4 shards, 5 samples, ")


def truncated(out: Path) -> None:
    (out / PNG).write_bytes((out / PNG).read_bytes()[:-60])


def swapped(out: Path) -> None:
    (out / PNG).rename(out / "x")
    (out / OTHER).rename(out / PNG)
    (out / "x").rename(out / OTHER)


def resized(out: Path) -> None:
    with Image.open(out / PNG) as image:
        image.resize((511, 512)).save(out / PNG)


def colored(out: Path) -> None:
    with Image.open(out / PNG) as image:
        image.convert("RGB").save(out / PNG)


def inked(out: Path) -> None:
    with Image.open(out / PNG) as image:
        image.putpixel((3, 200), 0)
        image.save(out / PNG)


def copied_to_val(out: Path) -> None:
    line = (out / "train.jsonl").read_bytes().splitlines(keepends=True)[2]
    edit(out / "val.jsonl", lambda lines: lines.insert(1, line))


def replace(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


def at(name: str, change: Callable[[list[bytes]], Any]) -> Callable[[Path], None]:
    return lambda out: edit(out / name, change)


def in_json(name: str, **change: Any) -> Callable[[Path], None]:
    def edit_json(out: Path) -> None:
        content = json.loads((out / name).read_bytes())
        (out / name).write_text(json.dumps({**content, **change}))

    return edit_json


def in_receipt(**change: Any) -> Callable[[Path], None]:
    def edit_receipt(out: Path) -> None:
        path = out / RECEIPT
        path.write_bytes(to_checksummed({**from_checksummed(path.read_bytes()), **change}))

    return edit_receipt


def other_image(path: Path) -> None:
    """Give the third row of a Parquet file the images of the second."""
    table = pq.read_table(path)
    images = table["images"].combine_chunks()
    images = pa.concat_arrays([images[:2], images[1:2], images[3:]])
    pq.write_table(table.set_column(table.schema.get_field_index("images"), "images", images), path)


SHARD, RECEIPT = "_pagecast/shards/00000.jsonl", "_pagecast/shards/00000.json"
ARROW = "train_arrow/data-00000-of-00001.arrow"
PARQUET = "parquet/train-00000-of-00001.parquet"
DAMAGES: list[tuple[Callable[[Path], Any], list[str]]] = [
    (truncated, [f"{PNG}: sample_000001_chunk_0: it is cut short: ", "it cannot be decoded"]),
    (swapped, [
        f"{PNG}: sample_000001_chunk_0: it is the image of sample_000001_chunk_1",
        f"{OTHER}: sample_000001_chunk_1: it is the image of sample_000001_chunk_0",
    ]),
    (resized, ["it has 511 by 512 pixels, not 512 by 512"]),
    (colored, ["it is of mode RGB, not gray"]),
    (inked, ["it is not the image that was written", "it has ink in the margins"]),
    (lambda out: (out / PNG).write_bytes(b""), ["it is cut short: 0 of ", "cannot be decoded"]),
    (lambda out: (out / PNG).unlink(), [f"{PNG}: sample_000001_chunk_0: its image is missing"]),
    (lambda out: shutil.copy(out / PNG, out / "images/tiny/sample_000001_chunk_9.png"),
     ["images/tiny/sample_000001_chunk_9.png: is an image without a sample"]),
    (lambda out: shutil.copy(out / PNG, out / "images/tiny/cat.png"),
     ["images/tiny/cat.png: is not Pagecast's"]),
    (lambda out: shutil.copytree(out / "images/tiny", out / "images/huge"),
     ["images/huge/sample_000001_chunk_0.png: is an image without a sample"]),
    (lambda out: shutil.copy(out / PNG, f"{out / PNG}.pagecast-tmp-{'1' * 32}"),
     [".pagecast-tmp-11111111111111111111111111111111: is what a stopped run left"]),
    (at("samples.jsonl", edit_token),
     ["samples.jsonl: sample_000000_chunk_0: line 1 differs from its shard in continuation_"]),
    (at("train.jsonl", edit_token), ["line 1 differs from its shard in continuation_tokens"]),
    (at("train.jsonl", lambda lines: lines.pop(1)), ["train.jsonl: line 2 is the first of "]),
    (at("train.jsonl", lambda lines: lines.insert(3, lines[0])),
     ["train.jsonl: line 4 is the first of ", ": 0 samples are missing, 1 lines too many"]),
    (at("val.jsonl", lambda lines: lines.reverse()),
     ["val.jsonl: line 1 is the first of "]),
    (at("val.jsonl", lambda lines: lines.insert(2, b"\n")), ["val.jsonl: line 3 is the first of "]),
    (at("val.jsonl", lambda lines: lines.append(lines.pop()[:-1])), ["differs from its shard"]),
    (copied_to_val,
     ["val.jsonl: line 2 is the first of ", "is in both val and train"]),
    (lambda out: (out / "train.jsonl").unlink(), ["train.jsonl: cannot be read"]),
    (lambda out: (out / ARROW).write_bytes((out / ARROW).read_bytes()[:-900]),
     [f"{ARROW}: cannot be read"]),
    (lambda out: replace(out / ARROW, b"Title 1", b"Title 2"),
     [f"{ARROW}: sample_000001_chunk_0: line ", "differs from its shard"]),
    (lambda out: (out / ARROW).unlink(), [f"{ARROW}: cannot be read"]),
    (lambda out: shutil.copy(out / ARROW, out / "train_arrow/data-00001-of-00002.arrow"),
     ["train_arrow/data-00001-of-00002.arrow: is not of this split"]),
    (lambda out: (out / PARQUET).write_bytes((out / PARQUET).read_bytes()[:-900]),
     [f"{PARQUET}: cannot be read"]),
    (lambda out: (out / PARQUET).unlink(), [f"{PARQUET}: cannot be read"]),
    (lambda out: other_image(out / PARQUET),
     [f"{PARQUET}: sample_", ": line 3 differs from its shard, or its images do"]),
    (lambda out: shutil.copy(out / PARQUET, out / "parquet/train-00001-of-00002.parquet"),
     ["parquet/train-00001-of-00002.parquet: is not of this split"]),
    (in_json("train_arrow/state.json", _data_files=[]), ["its _data_files are not those"]),
    (lambda out: (out / "val_arrow/dataset_info.json").unlink(),
     ["dataset_info.json: cannot be read"]),
    (at(SHARD, edit_token), [f"{SHARD}: its SHA-256 is not that of its receipt"]),
    (at(SHARD, lambda lines: lines.pop(1)), [f"{SHARD}: sample_000000_chunk_1: is missing"]),
    (at(SHARD, lambda lines: lines.append(lines[1])),
     [f"{SHARD}: sample_000000_chunk_1: is there twice"]),
    (at(SHARD, lambda lines: lines.append(b"{}\n")), [f"{SHARD}: line ", "not a sample"]),
    (lambda out: (out / SHARD).unlink(), [f"{SHARD}: is missing"]),
    (lambda out: (out / RECEIPT).unlink(), [f"{RECEIPT}: is missing: the shard is not done"]),
    (lambda out: (out / RECEIPT).write_bytes(b"{"), [f"{RECEIPT}: is damaged"]),
    (in_json(RECEIPT, kept=1), [f"{RECEIPT}: is damaged (the content does not have the hash"]),
    (in_receipt(kept=1), [f"{RECEIPT}: accounts for 1 of 3 rows"]),
    (in_receipt(pictures={}), [f"{RECEIPT}: does not list just the images of its samples"]),
    (in_receipt(modes=["tiny"]), [f"{RECEIPT}: is of the modes tiny, not custom, tiny"]),
    (lambda out: (out / "split_manifest.json").unlink(),
     ["split_manifest.json: is missing: the job is not finished"]),
    (in_json("split_manifest.json", options={"max_samples": "9", "val_size": 1, "seed": 1}),
     ["split_manifest.json: is damaged (its max_samples is '9')"]),
    (lambda out: (out / "split_manifest.json").write_text("{}"),
     ["split_manifest.json: is damaged"]),
    (in_json("split_manifest.json", counts={"kept": 9}),
     ["split_manifest.json: counts.kept is 9, it should be 8", "counts.samples is None"]),
    (in_json("split_manifest.json", split={}), ["split.val is None, it should be {'samples': 6"]),
    (at("filtered.jsonl", lambda lines: lines.pop()), ["filtered.jsonl: it has 7 lines, not 8"]),
    (at("filtered.jsonl", lambda lines: lines.sort(reverse=True)),
     ["filtered.jsonl: its SHA-256 is not that of the manifest"]),
]  # fmt: skip


@only("files")
@pytest.mark.parametrize("case", range(len(DAMAGES)))
def test_each_damage_is_named(dataset: Dataset, verify: Verify, case: int) -> None:
    damage, phrases = DAMAGES[case]
    damage(dataset.path)
    found = verify()
    assert found.code == 1
    for phrase in phrases:
        assert phrase in found.out
    assert "Traceback" not in found.out + found.err
    last = found.out.splitlines()[-2:]
    assert last[0].startswith("checked 4 shards, ")
    assert last[0].endswith(f": {len(found.out.splitlines()) - 2} faults")
    assert len(found.out.splitlines()) - 2 <= 6 + ("huge" in phrases[0]) * 100


def test_one_damage_does_not_hide_or_multiply_others(dataset: Dataset, verify: Verify) -> None:
    """A line too many shifts all that follow; only it is named."""
    part = "--no_merge" in dataset.options
    name = "train-00000-of-00001.jsonl" if part else "train.jsonl"
    edit(dataset.path / name, lambda lines: lines.insert(0, lines[-1]))
    found = verify()
    assert found.code == 1
    assert found.out.count(": line 1 is the first of ") == 1
    assert found.out.splitlines()[-2].endswith(": 1 faults")


@only("files")
def test_all_is_mended_by_a_repair_and_a_run(
    dataset: Dataset, verify: Verify, run: RunCommand
) -> None:
    """The whole list of the acceptance test at once, and the bytes are as before."""
    out = dataset.path
    before = tree(out)
    truncated(out)
    (out / "images/custom/sample_000009_chunk_0.png").write_bytes(b"")
    four, five = (out / f"images/tiny/sample_000004_chunk_{n}.png" for n in (0, 1))
    content = four.read_bytes()
    four.write_bytes(five.read_bytes())
    five.write_bytes(content)
    edit(out / "samples.jsonl", edit_token)
    edit(out / "train.jsonl", lambda lines: lines.pop(1))
    edit(out / "train.jsonl", lambda lines: lines.append(lines[0]))
    copied_to_val(out)
    edit(out / "filtered.jsonl", lambda lines: lines.pop())
    (out / ARROW).write_bytes((out / ARROW).read_bytes()[:-900])
    mine = out / "images/tiny/sample_000777_chunk_0.png"
    shutil.copy(out / PNG, mine)
    (asset,) = (out / "_pagecast/assets").glob("*.ttf")
    untouched = {p: p.stat().st_mtime_ns for p in out.rglob("sample_000007*.png")}
    assert untouched
    found = verify("--repair")
    assert found.code == 1
    assert (
        "removed the receipts of 3 shards and 2 parts, 2 other files and the manifest" in found.out
    )
    assert not (out / "split_manifest.json").exists()
    mine.unlink()  # no receipt names it, so it may be a person's own
    done = run(dataset.parquet, options=dataset.options, into=str(out))
    assert (done.code, done.err) == (0, "")
    assert tree(out) == before
    assert {p: p.stat().st_mtime_ns for p in untouched} == untouched
    assert verify().code == 0
    asset.write_bytes(b"x")
    assert "its SHA-256 is not its name" in verify("--repair").out
    assert run(dataset.parquet, options=dataset.options, into=str(out)).code == 0
    assert verify().code == 0


@only("shards")
def test_damaged_tars_are_named_and_mended(
    dataset: Dataset, verify: Verify, run: RunCommand
) -> None:
    out = dataset.path
    before = tree(out)
    cut, edited, mixed, gone = (out / f"images/tiny/0000{n}.tar" for n in range(4))
    cut.write_bytes(cut.read_bytes()[:-5000])
    replace(edited, b"IDAT", b"IDAX")
    with tarfile.open(mixed) as tar:
        members = [(m.name, tar.extractfile(m).read()) for m in tar]
    members[0], members[1] = members[1], members[0]
    mixed.write_bytes(b"".join(tar_member(*member) for member in members) + END_OF_TAR)
    gone.unlink()
    (out / "images/tiny/00004.tar").write_bytes(cut.read_bytes())
    custom = out / "images/custom/00001.tar"
    content = bytearray(custom.read_bytes())
    content[content.index(b'"wiki_id": "a3"') + 12] ^= 1
    custom.write_bytes(content)
    found = verify("--repair").out
    for phrase in (
        "images/tiny/00000.tar: it has ", "images/tiny/00001.tar: sample_000003_chunk_0: it is not",
        "images/tiny/00002.tar: its members are not those of its receipt",
        "images/tiny/00003.tar: cannot be read as a tar", "its image is missing",
        "images/tiny/00004.tar: is not Pagecast's",
        "images/custom/00001.tar: sample_000003_chunk_0: its record differs from its line",
    ):  # fmt: skip
        assert phrase in found
    (out / "images/tiny/00004.tar").unlink()
    assert run(dataset.parquet, options=dataset.options, into=str(out)).code == 0
    assert tree(out) == before
    assert verify().code == 0


@only("files")
def test_a_sample_of_samples_finds_what_it_meets(dataset: Dataset, verify: Verify) -> None:
    out = dataset.path
    everything = "--sample 1000"
    edit(out / "train.jsonl", lambda lines: edit_token(lines, 2))
    truncated(out)
    found = verify(everything)
    assert found.code == 1
    assert f"{PNG}: sample_000001_chunk_0: it is cut short" in found.out
    edit(out / "val.jsonl", lambda lines: lines.pop())
    assert "val.jsonl: is missing or does not have its " in verify(everything).out
    one = {verify(f"--sample 1 --seed {seed}").out for seed in range(2) for _ in range(2)}
    assert len(one) <= 2


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ("--output_dir nowhere", "nowhere is not a dataset"),
        ("", "--output_dir is required"),
        ("--output_dir . --sample 0", '"0" for --sample. Must be >= 1'),
        ("--output_dir . --workers 0", '"0" for --workers. Must be >= 1'),
        ("--output_dir . --frob", "unknown option --frob"),
    ],
)
def test_wrong_use(
    options: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["verify", *options.split()]) == 2
    out, err = capfd.readouterr()
    assert text in err
    assert (out, err.count("\n")) == ("", 1)


@only("files")
def test_several_workers_find_the_same(
    dataset: Dataset, verify: Verify, capfd: pytest.CaptureFixture[str]
) -> None:
    truncated(dataset.path)
    edit(dataset.path / "train.jsonl", lambda lines: lines.pop(1))
    alone = verify().out
    assert main(["verify", "--output_dir", str(dataset.path), "--workers", "2"]) == 1
    assert capfd.readouterr() == (alone, "")


@only("files")
def test_a_damaged_plan_or_configuration_is_named(
    dataset: Dataset, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("plan.jsonl", "config.json"):
        (dataset.path / "_pagecast" / name).write_bytes(b'{"shard"')
        assert main(["verify", "--output_dir", str(dataset.path)]) == 2
        assert f"_pagecast/{name} is damaged (" in capfd.readouterr().err


def test_ink_reaches_into_margins_where_the_rule_draws_it(
    run: RunCommand, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A word too long for its line is cut at the edge: no fault, since the page is redrawn."""
    words = ["x" * 3000, "ﷺﷺ\u0335" * 200, "j" * 30, "\u1ab0\u0e49\u0300Ộ" * 40] * 3
    path = write_parquet(tmp_path / "a.parquet", articles(" ".join(words)))
    options = "--min_tokens 100 --context_tokens 300 --continuation_tokens 0 --modes tiny,small"
    done = run(path, options=options)
    assert done.code == 0
    inside = []
    for png in done.path.rglob("*.png"):
        with Image.open(png) as image:
            inside.append(bool((np.asarray(image)[:, -3:] == 255).all()))
    assert not all(inside)
    assert main(["verify", "--output_dir", str(done.path), "--workers", "1"]) == 0


@pytest.mark.parametrize("made", ["files", "shards", "parts"], indirect=True)
def test_pages_of_another_text_are_found_by_drawing_them_anew(
    dataset: Dataset, verify: Verify, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a damaged font would make them: nothing in the dataset contradicts them."""
    whole = tree(dataset.path)
    out = tmp_path / "out"
    run = ["run", "--input", str(dataset.parquet), "--output_dir", str(out), "--workers", "1"]
    with monkeypatch.context() as patch:
        fit = page.fit
        patch.setattr(page, "fit", lambda set_in, px: fit(set_in, px)._replace(rendered=1))
        assert main([*run, *dataset.options.split()]) == 0
    shutil.rmtree(dataset.path)
    shutil.copytree(out, dataset.path)
    what = "is not the page of its text" if "--no_images" not in dataset.options else "metadata"
    some = verify()
    assert (some.code, some.out.count(what) >= 4) == (1, True)  # a sample of each shard
    everything = verify("--redraw --repair")
    assert everything.out.count(what) > some.out.count(what)
    run[4] = str(dataset.path)
    assert main([*run, *dataset.options.split()]) == 0
    assert verify("--redraw").code == 0
    assert tree(dataset.path) == whole


def change_records(dataset: Dataset, change: Callable[[dict[str, Any]], None]) -> None:
    for name in ("_pagecast/config.json", "split_manifest.json"):
        path = dataset.path / name
        change(content := json.loads(path.read_bytes()))
        path.write_text(json.dumps(content, indent=2) + "\n")


@only("files")
def test_pages_of_another_version_are_redrawn_if_the_probe_page_is_the_same(
    dataset: Dataset, verify: Verify
) -> None:
    change_records(dataset, lambda record: record["versions"].update(pillow="1.0"))
    found = verify("--redraw")
    assert (found.code, "redrawn" in found.out) == (0, False)
    change_records(dataset, lambda record: record["probe"].update(tiny="0f"))
    found = verify("--redraw")
    assert found.code == 0
    assert re.search(
        "; no page was redrawn .the probe page of mode tiny has the SHA-256 [0-9a-f]{64} here, 0f "
        r"where they were made; pillow 1\.0, here ",
        found.out,
    )


@only("files")
def test_without_a_probe_page_the_version_decides(dataset: Dataset, verify: Verify) -> None:
    change_records(dataset, lambda record: record.pop("probe"))
    assert "redrawn" not in verify("--redraw").out
    change_records(dataset, lambda record: record["versions"].update(pillow="1.0"))
    assert "; no page was redrawn (pillow 1.0, here " in verify("--redraw").out


@only("files")
@pytest.mark.parametrize("damage", ["empty", "cut", "flipped"])
def test_a_damaged_asset_is_found_and_written_again(
    dataset: Dataset, verify: Verify, damage: str
) -> None:
    whole = tree(dataset.path)
    run = ["run", "--input", str(dataset.parquet), "--output_dir", str(dataset.path)]
    for path in (dataset.path / "_pagecast/assets").iterdir():
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        size = {"empty": 0, "cut": len(content) // 2, "flipped": len(content)}[damage]
        path.write_bytes(content[:size])
    assert "its SHA-256 is not its name" in verify().out
    assert main([*run, "--workers", "1", *dataset.options.split()]) == 0
    assert tree(dataset.path) == whole
