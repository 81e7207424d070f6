"""More splits over one set of pages: of any form, also while a run goes on; nothing is drawn."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest

from pagecast import storage
from pagecast.dataset.receipts import Part
from pagecast.reader import PageReader
from pipeline.__main__ import main
from pipeline.estimate import preflight
from pipeline.estimate.outputs import Disk
from pipeline.launch.output import lock
from tests.conftest import Command, Outcome, RunCommand, articles, tree, write_parquet
from transforms.split import alone, parts

TEXTS = [" ".join(f"Word {n} of {a}, long enough." for n in range(20 + 15 * a)) for a in range(8)]
SAMPLES = "--min_tokens 100 --context_tokens 50 --continuation_tokens 50 --modes tiny,custom=100"
GIVEN = f"{SAMPLES} --shard_rows 2 --max_samples 20 --val_size 6"
QUICK = "--max_samples 9 --val_size 3 --seed 7"
Split = Callable[..., Outcome]

# What knows nothing of Pagecast; its command line is the directory of train.jsonl.
TRAINER = """
import json, pathlib, sys
from PIL import Image

for name in ("train", "val"):
    data_file = pathlib.Path(sys.argv[1]) / f"{name}.jsonl"
    for line in data_file.open():
        sample = json.loads(line)
        assert len(sample["context_tokens"]) == len(sample["continuation_tokens"]) == 50
        for mode, px in (("tiny", 512), ("custom", 100)):
            page = Image.open(data_file.parent / "images" / mode / f"{sample['id']}.png")
            assert page.convert("RGB").size == (px, px)
        print(sample["id"])
"""


@pytest.fixture
def split(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Split:
    def command(options: str = QUICK, name: str = "quick") -> Outcome:
        capfd.readouterr()
        argv = ["split", "--output_dir", str(tmp_path / "out"), "--workers", "1", f"--name={name}"]
        return Outcome(main([*argv, *options.split()]), *capfd.readouterr(), tmp_path / "out")

    return command


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_parquet(tmp_path_factory.mktemp("in") / "a.parquet", articles(*TEXTS))


@pytest.fixture(scope="module")
def made(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "out"
    given = f"run --input {source} --output_dir {out} --workers 1 --no_report {GIVEN}"
    assert main(given.split()) == 0
    return out


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    """A dataset of `source`, made as `GIVEN` says."""
    return Path(shutil.copytree(made, tmp_path / "out"))


def verified(out: Path, more: str = "") -> int:
    return main(["verify", "--output_dir", str(out), "--workers", "1", *more.split()])


@pytest.mark.parametrize("form", ["", "--image_shards --no_merge", "--no_images"])
def test_a_named_split_is_what_a_run_with_its_options_writes(
    source: Path, run: RunCommand, split: Split, tmp_path: Path, form: str
) -> None:
    out = run(source, options=f"{GIVEN} {form}").path
    other = run(source, options=f"{SAMPLES} {QUICK} {form} --arrow --parquet", into="other").path
    before = tree(out)
    done = split(f"{QUICK} --arrow --parquet")
    assert (done.code, done.err) == (0, "")
    made = out / "splits/quick"
    for name in [n for n in tree(other) if n.startswith(("train_a", "val_a", "parquet/"))]:
        assert (made / name).read_bytes() == (other / name).read_bytes(), name
    if "--no_merge" not in form:
        for name in ("train.jsonl", "val.jsonl"):
            assert (made / name).read_bytes() == (other / name).read_bytes()
    manifest = json.loads((made / "split_manifest.json").read_text())
    assert [manifest["split"][name]["samples"] for name in ("train", "val")] == [6, 3]
    assert (manifest["name"], manifest["complete"]) == ("quick", True)
    assert manifest["shards"] == {"committed": 4, "of": 4, "numbers": [[0, 3]]}
    assert (made / "images").is_symlink() == (form != "--no_images")
    assert {n: v for n, v in tree(out).items() if not n.startswith("splits/")} == before
    assert verified(out) == 0
    sample = json.loads((made / "val.jsonl").read_text().splitlines()[0])
    wanted = PageReader(out).image(sample, "tiny").tobytes()
    (out / "split_manifest.json").unlink()  # as while a run is at work
    assert PageReader(made).image(sample, "tiny").tobytes() == wanted


def test_a_trainer_finds_lines_and_pages_as_it_looks_for_them(out: Path, split: Split) -> None:
    assert split().code == 0
    made = out / "splits/quick"
    ids = subprocess.run(
        [sys.executable, "-I", "-c", TRAINER, str(made)], check=True, capture_output=True, text=True
    ).stdout.split()
    assert len(ids) == 9
    moved = out.rename(out.with_name("moved"))  # the link is relative
    subprocess.run([sys.executable, "-I", "-c", TRAINER, str(moved / "splits/quick")], check=True)


def test_the_same_again_changes_nothing_and_other_options_are_refused(
    out: Path, split: Split
) -> None:
    assert split().code == 0
    made, before = out / "splits/quick", tree(out)
    node = (made / "train.jsonl").stat().st_ino
    assert split().code == 0
    assert (tree(out), (made / "train.jsonl").stat().st_ino) == (before, node)
    assert split(f"{QUICK} --arrow").code == 0
    assert len(datasets.load_from_disk(str(made / "train_arrow"))) == 6
    assert (made / "train.jsonl").stat().st_ino == node
    assert split().code == 0
    assert tree(out) == before
    refused = split(f"{QUICK} --seed 8 --val_size 2")
    assert refused.code == 2
    assert refused.err == (
        f"pagecast: error: {made} is another split: --val_size was 3, now 2; --seed was 7, now 8; "
        "use another --name, or --overwrite to make it anew\n"
    )
    assert tree(out) == before
    assert split(f"{QUICK} --seed 8 --overwrite").code == 0
    assert split(f"{QUICK} --seed 8", name="other").code == 0
    for name in ("train.jsonl", "val.jsonl"):
        assert (made / name).read_bytes() == (out / "splits/other" / name).read_bytes()
    assert verified(out) == 0


def test_a_run_that_goes_on_is_split_as_far_as_it_is_and_not_disturbed(
    out: Path, source: Path, run: RunCommand, split: Split
) -> None:
    whole = tree(out)
    (out / "split_manifest.json").unlink()
    for number in (0, 2):
        (out / f"_pagecast/shards/0000{number}.json").unlink()
    with lock.hold(str(out)):
        done = split()
    assert done.code == 0
    assert "2 of 4 shards are there: the split is of those" in done.err
    made = out / "splits/quick"
    manifest = json.loads((made / "split_manifest.json").read_text())
    assert manifest["complete"] is False
    assert manifest["shards"] == {"committed": 2, "of": 4, "numbers": [[1, 1], [3, 3]]}
    assert manifest["counts"]["rows_read"] == 4
    rows = {json.loads(line)["id"][7:13] for line in (made / "train.jsonl").open()}
    assert rows <= {"000002", "000003", "000006", "000007"}
    assert run(source, options=GIVEN).code == 0
    assert {n: v for n, v in tree(out).items() if not n.startswith("splits/")} == whole
    assert verified(out) == 0  # what it is of is there still
    refused = split()
    assert refused.code == 2
    assert "2 shards were there, now 4 of 4 are" in refused.err
    assert split(f"{QUICK} --overwrite").code == 0
    assert json.loads((made / "split_manifest.json").read_text())["complete"] is True


def test_a_split_that_was_stopped_is_finished_by_the_same_command(
    out: Path, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert split(f"{QUICK} --parquet", name="whole").code == 0

    def stopped(name: str, *more: object) -> Part:
        if name.startswith("val"):
            raise OSError(28, "No space left on device", "/somewhere")
        return parts.write_part(name, *more)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(alone, "write_part", stopped)
        failed = split(f"{QUICK} --parquet")
    assert failed.code == 1
    assert "No space left on device" in failed.err
    assert not (out / "splits/quick/split_manifest.json").exists()
    assert verified(out) == 1
    assert split(f"{QUICK} --parquet").code == 0
    found, wanted = (tree(out / "splits" / name) for name in ("quick", "whole"))
    for each in (found, wanted):
        del each["split_manifest.json"]
    assert found == wanted


@pytest.mark.parametrize(
    "name", ["", "a/b", "..", ".hidden", "-x", "a\nb", "a b", "\u00e9", "x" * 101]
)
def test_a_name_that_could_lead_elsewhere_is_refused(
    tmp_path: Path, split: Split, name: str
) -> None:
    found = split(name=name)
    assert (found.code, found.err.count("\n")) == (2, 1)
    assert "cannot be a split's" in found.err
    assert not list(tmp_path.iterdir())


def test_what_is_no_dataset_or_not_ours_is_left_alone(
    made: Path, source: Path, run: RunCommand, split: Split, tmp_path: Path
) -> None:
    assert "is not a dataset" in split().err
    out = Path(shutil.copytree(made, tmp_path / "out"))
    mine = out / "splits/quick/notes.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    refused = split()
    assert (refused.code, "already holds something else (notes.txt)" in refused.err) == (2, True)
    refused = run(source, options=f"{GIVEN} --overwrite")
    assert (refused.code, "notes.txt is not Pagecast's" in refused.err) == (2, True)
    mine.unlink()
    mine.parent.rmdir()
    mine.parent.symlink_to(tmp_path)
    assert "is not a directory of its own" in split().err
    mine.parent.unlink()
    for receipt in out.glob("_pagecast/shards/*.json"):
        receipt.unlink()
    assert "has no shard yet" in split().err
    assert not (out / "splits/quick").exists()


def test_overwrite_removes_named_splits_and_nothing_through_their_links(
    out: Path, source: Path, run: RunCommand, split: Split
) -> None:
    whole = tree(out)
    assert split(f"{QUICK} --arrow --parquet").code == 0
    assert run(source, options=f"{GIVEN} --overwrite").code == 0
    assert tree(out) == whole
    assert not (out / "splits").exists()


def test_damage_of_a_named_split_is_named_and_mended(
    out: Path, split: Split, capfd: pytest.CaptureFixture[str]
) -> None:
    assert split(f"{QUICK} --parquet").code == 0
    whole = tree(out)
    path = out / "splits/quick/train.jsonl"
    path.write_bytes(path.read_bytes().replace(b"Word", b"Wort", 1))
    (out / "splits/quick/parquet/val-00000-of-00001.parquet").write_bytes(b"")
    capfd.readouterr()
    assert verified(out, "--repair") == 1
    told = capfd.readouterr().out
    assert "splits/quick/train.jsonl: sample_" in told
    assert "differs from its shard in context_text" in told
    assert "splits/quick/parquet/val-00000-of-00001.parquet: cannot be read" in told
    assert (out / "split_manifest.json").exists()
    assert split(f"{QUICK} --parquet").code == 0
    assert tree(out) == whole
    assert verified(out) == 0


def test_a_named_split_is_checked_by_itself(
    out: Path, source: Path, run: RunCommand, split: Split, command: Command
) -> None:
    """Of its own samples all is looked at, also in shards and images; of others nothing."""
    assert split(f"{QUICK} --parquet --arrow").code == 0
    quick = out / "splits/quick"
    ids = {
        json.loads(row)["id"]
        for name in ("train", "val")
        for row in (quick / f"{name}.jsonl").open()
    }
    samples = [json.loads(row)["id"] for row in (out / "samples.jsonl").open()]
    check = f"verify --output_dir {quick}/ --workers 1"

    def told(more: str = "") -> tuple[int, str]:
        done = command(f"{check} {more}")
        assert not done.err
        return done.code, done.out

    assert told() == (0, "checked 4 shards, 9 samples, 18 images, 6 files: no faults\n")
    assert told("--sample 2")[0] == 0
    (out / "train.jsonl").unlink()  # the split's own are elsewhere
    other = next(name for name in samples if name not in ids)
    (out / f"images/tiny/{other}.png").unlink()
    assert told()[0] == 0
    path = quick / "train.jsonl"
    path.write_bytes(path.read_bytes().replace(b"Word", b"Wort", 1))
    path = out / f"images/tiny/{min(ids)}.png"
    path.write_bytes(path.read_bytes()[:-9])
    code, text = told()
    assert code == 1 and f"images/tiny/{min(ids)}.png: {min(ids)}: it is cut short" in text
    assert "splits/quick/train.jsonl: sample_" in text and ": 2 faults\n" in text
    assert told("--repair")[0] == 1
    assert not (quick / "split_manifest.json").exists()
    assert told() == (1, told()[1]) and "split_manifest.json: is missing" in told()[1]
    assert run(source, options=GIVEN).code == split(f"{QUICK} --parquet --arrow").code == 0
    assert told()[0] == verified(out) == 0


def test_a_split_without_room_on_the_disk_is_refused_before_anything_is_written(
    out: Path, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    def free(size: int) -> None:
        monkeypatch.setattr(preflight, "disk_of", lambda _: Disk("/the/disk", size, None, 1))

    free(50)
    found = split("--parquet --arrow")
    assert (found.code, found.out) == (2, "")
    assert found.err.startswith("pagecast: error: this split needs about ")
    assert found.err.endswith(
        "; 50 bytes are free on the disk of /the/disk; use a smaller --max_samples or another "
        "disk\n"
    )
    assert not (out / "splits").exists()
    free(10**9)
    done = split("--parquet --arrow")
    assert (done.code, done.err) == (0, "")
    # What it took at most is within the bounds, and what is there needs no room again.
    made = sum(file.stat().st_size for file in (out / "splits").rglob("*.*") if file.is_file())
    made += sum(file.stat().st_size for file in (out / "splits/quick").glob("*.jsonl"))
    free(made)
    assert split("--parquet --arrow --overwrite").code == 0
    free(made // 3)
    assert split("--parquet --arrow --name other").code == 2
    free(10)
    assert split("--parquet --arrow").code == 0


def test_a_damaged_manifest_is_one_line_and_made_anew(out: Path, split: Split) -> None:
    assert split().code == 0
    whole = tree(out)
    for name in ("split_manifest.json", "_pagecast/split.json"):
        path = out / "splits/quick" / name
        for content in ("", "[1]", "3", '{"outputs": 5}', '{"train"'):
            if name == "_pagecast/split.json" and content.startswith('{"out'):
                continue
            path.write_text(content)
            found = split()
            assert (found.code, found.err.count("\n")) == (2, 1), found.err
            assert f"pagecast: error: {path} is damaged (" in found.err
            assert "--overwrite makes the split anew" in found.err
        assert split(f"{QUICK} --overwrite").code == 0
        assert tree(out) == whole


def test_a_split_that_is_not_there_is_not_checked(
    out: Path, split: Split, command: Command
) -> None:
    assert split().code == 0
    done = command(f"verify --output_dir {out}/splits/quik --workers 1")
    assert (done.code, done.out) == (2, "")
    assert f"pagecast: error: {out} has no split 'quik'; there is quick\n" == done.err
    done = command(f"verify --output_dir {out.parent}/none/splits/quick --workers 1")
    assert done.code == 2 and f"{out.parent}/none is not a dataset: " in done.err


def test_in_a_store_the_manifest_says_where_images_are(source: Path, command: Command) -> None:
    out = "memory://bucket/splits_of_one"
    given = f"--output_dir {out} --workers 1"
    assert command(f"run --input {source} {given} --no_report {GIVEN}").code == 0
    assert command(f"split {given} --name quick {QUICK}").code == 0
    made = f"{out}/splits/quick"
    manifest = json.loads(storage.read_bytes(f"{made}/split_manifest.json"))
    assert manifest["root"] == "../.."
    sample = json.loads(storage.read_bytes(f"{made}/train.jsonl").splitlines()[0])
    assert storage.exists(f"{out}/{sample['images']['tiny']}")
    assert PageReader(made).image(sample, "tiny").size == (512, 512)
    assert command(f"verify {given}").code == 0
    assert command(f"verify --output_dir {made} --workers 1").out.startswith("checked 4 shards, 9 ")
    assert command(f"run --input {source} {given} --no_report {GIVEN} --overwrite").code == 0
    assert not list(storage.files_below(f"{out}/splits"))
