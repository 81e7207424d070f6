"""The command `publish` against a hub: what it sends, what it keeps, what comes back from there."""

from __future__ import annotations

import doctest
import hashlib
import io
import json
import multiprocessing
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import DatasetCard
from PIL import Image

from pagecast import PageReader, ReaderError
from pagecast.dataset.layout import DATA
from pipeline.commands import card
from pipeline.commands.card import without_place
from pipeline.commands.publish import README
from pipeline.options import FINEWIKI
from tests.conftest import Command, articles, write_parquet
from tests.pagecast.render.test_glyphs import tiny_font
from tests.support.hub import FakeHub
from tests.support.reading import share_in_process

REPO = "me/pages"
SIZES = "--min_tokens 40 --context_tokens 30 --continuation_tokens 10 --modes tiny,mine=100"
TEXT = "Some words about pages, and others about words. " * 20


@pytest.fixture(autouse=True)
def _without_xet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")


@pytest.fixture(scope="module")
def input_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("input") / "data/simplewiki"
    directory.mkdir(parents=True)
    write_parquet(directory / "000.parquet", articles(*(f"{n} {TEXT}" for n in range(6))))
    return directory


Make = Callable[..., Path]


@pytest.fixture(scope="module")
def made(input_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Make a dataset of a form once, and give a copy of it each time."""
    from pipeline.__main__ import main as pagecast

    known: dict[str, Path] = {}

    def make(tmp_path: Path, form: str) -> Path:
        if form not in known:
            out = tmp_path_factory.mktemp("made") / "out"
            line = f"run --input {input_dir} --output_dir {out} {SIZES} {form}"
            assert pagecast([*line.split(), "--no_report", "--workers", "1"]) == 0
            known[form] = out
        return Path(shutil.copytree(known[form], tmp_path / "out"))

    return make


def line(out: Path, more: str = "--no_verify") -> str:
    return f"publish --output_dir {out} --repo {REPO} {more}"


def test_parquet_goes_to_the_hub_and_comes_back_as_it_was(
    made: Make, tmp_path: Path, hub: FakeHub, command: Command
) -> None:
    out = made(tmp_path, "--parquet")
    result = command(line(out, "--no_verify --private"))
    assert result.code == 0, result.err
    assert f"are at {hub.url}/datasets/{REPO}" in result.out
    files, reader = hub.head(REPO), PageReader(out)
    assert set(files) == {
        ".gitattributes", README, "split_manifest.json", "page.png",
        "data/train-00000-of-00001.parquet", "data/val-00000-of-00001.parquet",
    }  # fmt: skip
    assert hub.private == {REPO} and not hub.tokens_sent_away
    for split in ("train", "val"):
        name = f"{split}-00000-of-00001.parquet"
        assert files[f"{DATA}/{name}"] == (out / "parquet" / name).read_bytes()
    # `datasets` has the hub's address from its import.
    script = (
        "import json, sys, hashlib; from datasets import load_dataset\n"
        f"for row in load_dataset({REPO!r}, split=sys.argv[1], streaming=True):\n"
        "    pages = {m: hashlib.sha256(i.tobytes()).hexdigest()\n"
        "             for m, i in row['images'].items()}\n"
        "    print(json.dumps([row['id'], row['context_tokens'], row['context_text'], pages]))"
    )
    for split, name in (("train", "train"), ("val", "validation")):
        found = subprocess.run(
            [sys.executable, "-c", script, name], capture_output=True, text=True, check=True
        )
        rows = [json.loads(row) for row in found.stdout.splitlines()]
        assert rows == [
            [sample["id"], sample["context_tokens"], sample["context_text"],
             {mode: hashlib.sha256(reader.image(sample, mode).tobytes()).hexdigest()
              for mode in reader.modes}]
            for sample in reader[split]
        ]  # fmt: skip
        assert rows


def test_the_card_says_what_it_is(
    made: Make, tmp_path: Path, hub: FakeHub, command: Command, input_dir: Path
) -> None:
    out = made(tmp_path, "--parquet")
    assert command(line(out)).code == 0
    files = hub.head(REPO)
    text = files[README].decode()
    data = DatasetCard(text).data.to_dict()
    assert (data["license"], data["language"]) == ("cc-by-sa-4.0", ["en"])
    assert data["size_categories"] == "n<1K"
    (config,) = data["configs"]
    assert config["data_files"] == [
        {"split": "train", "path": "data/train-*.parquet"},
        {"split": "validation", "path": "data/val-*.parquet"},
    ]
    shown = (
        "pagecast run --input 000.parquet --output_dir out --min_tokens 40 "
        "--context_tokens 30 --continuation_tokens 10 --modes mine=100,tiny --parquet\n"
    )
    assert shown in text, text
    assert "| tiny | 512 × 512 |" in text and FINEWIKI in text
    assert (out / "_pagecast/dataset_card.md").read_text() == text
    with Image.open(io.BytesIO(files["page.png"])) as page:
        assert page.size == (512, 512)
    # Nothing says where on this machine anything is.
    manifest = json.loads(files["split_manifest.json"])
    assert [file["path"] for file in manifest["inputs"]] == ["000.parquet"]
    assert not [name for name, content in files.items() if str(tmp_path.parent).encode() in content]
    assert str(input_dir).encode() not in b"".join(files.values())


@pytest.mark.parametrize(("form", "images"), [("--image_shards", True), ("--no_images", False)])
def test_other_forms_go_as_lines_and_tars(
    form: str, images: bool, made: Make, tmp_path: Path, hub: FakeHub, command: Command
) -> None:
    out = made(tmp_path, form)
    assert command(line(out)).code == 0
    files = hub.head(REPO)
    tars = {name for name in files if name.startswith("images/")}
    assert bool(tars) is images and all(name.endswith(".tar") for name in tars)
    assert {"train.jsonl", "val.jsonl"} < set(files)
    assert not [name for name in files if "_pagecast" in name or name == "samples.jsonl"]
    text = files[README].decode()
    assert ("PageRenderer()" in text) is not images
    assert "path: train*.jsonl" in text


@pytest.mark.parametrize(
    "form",
    ["--parquet", "--parquet --image_shards", "--parquet --no_images", "--no_images --no_merge"],
)
def test_what_is_published_is_opened_there_as_it_was_here(
    form: str, made: Make, tmp_path: Path, hub: FakeHub, command: Command
) -> None:
    out = made(tmp_path, form)
    assert command(line(out, "--no_verify --revision v1")).code == 0
    here, there = PageReader(out), PageReader(f"hf://datasets/{REPO}@v1")
    assert (there.modes, there.splits) == (here.modes, here.splits)
    for split in here.splits:
        samples = list(here[split])
        assert list(there[split]) == list(there[split].take(range(len(samples)))) == samples
        assert list(map(list, there[split])) == list(map(list, samples))  # in the order of a line
        for sample in samples:
            assert there.image(sample, "tiny") == here.image(sample, "tiny")
    (name,) = (sample["id"] for sample in here["train"][3:4])
    if "parquet" in form:
        assert PageReader(f"hf://datasets/{REPO}@v1").image(name, "mine") == here.image(
            name, "mine"
        )
    forks = multiprocessing.get_context("fork")  # of a process that has connections and threads
    answers = forks.Queue()
    loader = forks.Process(target=share_in_process, args=([there], "tiny", (0, 1), answers))
    loader.start()
    assert [sample for _, sample, _ in answers.get(timeout=60)] == list(here["train"])
    loader.join()
    with pytest.raises(ReaderError, match="is not there: the job is not finished, or this is not"):
        _ = PageReader(f"hf://datasets/{REPO}").modes  # main has nothing
    assert not hub.tokens_sent_away


def test_what_comes_without_its_pages_says_so(
    made: Make, tmp_path: Path, hub: FakeHub, input_dir: Path, command: Command
) -> None:
    out = made(tmp_path, "--image_shards")
    assert command(line(out)).code == 0
    there = PageReader(f"hf://datasets/{REPO}")
    assert list(there["train"]) == list(PageReader(out)["train"])
    with pytest.raises(ReaderError, match=r"_pagecast/plan\.jsonl is not there, .* came without; "):
        there.image(there["train"][0], "tiny")
    own = tmp_path / "own"
    (tmp_path / "own.ttf").write_bytes(tiny_font())
    words = f"run --input {input_dir} --output_dir {own} {SIZES} --no_images --no_report"
    assert command(f"{words} --font {tmp_path / 'own.ttf'} --workers 1").code == 0
    assert command(f"publish --output_dir {own} --repo me/own --no_verify").code == 0
    there = PageReader("hf://datasets/me/own")
    with pytest.raises(ReaderError, match=r"\.ttf is not there: pages are drawn with a font that"):
        there.image(there["train"][0], "tiny")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (f"hf://datasets/{REPO}@v9", f"no such revision: 'hf://datasets/{REPO}@v9'"),
        ("hf://datasets/no/body", "no such repository: 'hf://datasets/no/body@main'"),
        ("hf://datasets/nobody", "hf://datasets/nobody: it must be like hf://datasets/OWNER/NAME"),
        (f"hf://datasets/{REPO}", "split_manifest.json is not a manifest of Pagecast's (KeyError:"),
    ],
)
def test_what_is_not_there_on_the_hub_is_named(url: str, why: str, hub: FakeHub) -> None:
    hub.push(REPO, {README: b"#", "split_manifest.json": b'{"train": 57}'})
    with pytest.raises((ReaderError, FileNotFoundError)) as error:
        _ = PageReader(url).splits
    assert why in str(error.value) and "\n" not in str(error.value)


def test_a_hub_that_refuses_a_reader_is_named(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.push(REPO, {README: b"#"})
    hub.token = "right"
    for token, why in (
        (None, r"wants a token \(401\): set HF"),
        ("wrong", r"refuses the token \(4"),
    ):
        if token:
            monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(PermissionError, match=why):
            _ = PageReader(f"hf://datasets/{REPO}").splits


def test_the_card_names_fonts_of_ones_own(
    tmp_path: Path, input_dir: Path, hub: FakeHub, command: Command
) -> None:
    out, font = tmp_path / "out", tmp_path / "own.ttf"
    font.write_bytes(tiny_font())
    words = f"run --input {input_dir} --output_dir {out} {SIZES} --no_images --font {font} builtin"
    assert command(f"{words} --no_report --workers 1").code == 0
    assert command(line(out, "--dry_run")).code == 0
    text = (out / "_pagecast/dataset_card.md").read_text()
    assert 'fonts = ["own.ttf", "DejaVuSans.ttf"]' in text
    style = "PageStyle(tuple(open(name, 'rb').read() for name in fonts))"
    assert f"PageRenderer({style}).render(" in text


def test_published_again_is_what_it_is_now(
    made: Make, tmp_path: Path, hub: FakeHub, command: Command
) -> None:
    out = made(tmp_path, "--parquet")
    hub.push(REPO, {README: b"#", ".gitattributes": b""})
    assert command(line(out)).code == 0
    once, sent = hub.head(REPO), len(hub.uploaded)
    stale = {
        **once,
        "data/train-00001-of-00002.parquet": b"old",
        "train.jsonl": b"old",
        "own": b"x",
    }
    hub.push(REPO, stale)
    assert command(line(out)).code == 0
    assert hub.head(REPO) == {**once, "own": b"x"}
    assert len(hub.uploaded) == sent


def test_a_split_without_samples_is_not_promised(
    made: Make, tmp_path: Path, hub: FakeHub, command: Command
) -> None:
    out = made(tmp_path, "--parquet --val_size 0")
    assert command(line(out)).code == 0
    text = hub.head(REPO)[README].decode()
    (config,) = DatasetCard(text).data.to_dict()["configs"]
    assert [files["split"] for files in config["data_files"]] == ["train"]
    path = out / "split_manifest.json"
    manifest = json.loads(path.read_text())
    manifest["split"]["train"]["samples"] = 0
    path.write_text(json.dumps(manifest))
    refused = command(line(out))
    assert refused.code == 2 and "nothing to publish" in refused.err


def test_a_branch_is_made(made: Make, tmp_path: Path, hub: FakeHub, command: Command) -> None:
    out = made(tmp_path, "--no_images")
    result = command(line(out, "--no_verify --revision v1"))
    assert result.code == 0 and result.out.endswith("/tree/v1\n")
    assert README in hub.head(REPO, "v1") and README not in hub.head(REPO)


def test_an_upload_that_breaks_is_gone_on_with(
    made: Make, tmp_path: Path, hub: FakeHub, command: Command
) -> None:
    out = made(tmp_path, "--parquet")
    hub.broken_uploads = 1
    broken = command(line(out))
    assert broken.code == 1
    assert broken.err.splitlines()[-1].startswith(f"pagecast: error: {REPO}: ")
    assert "the same command goes on from there" in broken.err
    assert README not in hub.head(REPO)
    assert command(line(out)).code == 0


def test_an_upload_in_several_commits_is_taken_up_where_it_broke(
    made: Make, tmp_path: Path, hub: FakeHub, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By hf_xet itself, to a store that takes what it sends, and knows the files from before."""
    out = made(tmp_path, "--parquet")
    hub.token = "hub"
    monkeypatch.setenv("HF_TOKEN", hub.token)
    assert command(f"publish --output_dir {out} --repo me/before --no_verify").code == 0
    expected = {**hub.head("me/before")}
    expected[README] = expected[README].replace(b"me/before", REPO.encode())
    expected[README] = expected[README].replace(b"# before", b"# pages").replace(
        b"pretty_name: before", b"pretty_name: pages"
    )  # fmt: skip
    hub.requests.clear()
    monkeypatch.delenv("HF_HUB_DISABLE_XET")
    monkeypatch.setenv("HF_XET_CACHE", str(tmp_path / "xet"))
    monkeypatch.setenv("HF_XET_LOG_DEST", str(tmp_path / "xet/logs/"))
    monkeypatch.setattr("huggingface_hub._upload_pipeline.COMMIT_SIZE_SCALE", [2] * 10)
    hub.commits_left = 1
    broken = command(line(out))
    assert broken.code == 1
    assert "the same command goes on from there" in broken.err.splitlines()[-1]
    assert f"pagecast: error: {REPO}: " in broken.err.splitlines()[-1]
    first = hub.head(REPO)
    assert set(first) == {".gitattributes", README, "data/train-00000-of-00001.parquet"}
    assert any(request.path.startswith("v1/xorbs/") for request in hub.xet_sent)
    hub.commits_left = -1
    done = command(line(out))
    assert done.code == 0, done.err
    assert hub.head(REPO) == expected
    commits = [r.sent for r in hub.requests if r.path == f"api/datasets/{REPO}/commit/main"]
    assert len(commits) == 4  # one, one refused, two
    assert not [r.path for r in hub.requests if "lfs/objects" in r.path]
    assert not hub.tokens_sent_away
    again = command(line(out))
    assert again.code == 0 and hub.head(REPO) == expected


def test_a_dry_run_asks_nobody(made: Make, tmp_path: Path, hub: FakeHub, command: Command) -> None:
    out = made(tmp_path, "--parquet")
    result = command(line(out, "--dry_run"))
    assert result.code == 0
    assert "data/train-00000-of-00001.parquet\n" in result.out
    assert "5 files, " in result.out and "would go to me/pages" in result.out
    assert (out / "_pagecast/dataset_card.md").is_file()
    assert not hub.requests
    assert command(f"verify --output_dir {out} --workers 1").code == 0


def test_a_damaged_dataset_does_not_go(
    made: Make, tmp_path: Path, hub: FakeHub, command: Command
) -> None:
    out = made(tmp_path, "--parquet")
    path = out / "parquet/train-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    result = command(line(out, ""))
    assert result.code == 1 and "the dataset has faults, so nothing was sent" in result.err
    assert not hub.requests
    assert command(line(out)).code == 0


@pytest.mark.parametrize(
    ("token", "why"),
    [(None, r"the hub wants a token (401): set HF_TOKEN to one that may write to it"),
     ("wrong", "the hub refuses the token (401)"), ("read", "the hub refuses the token (403)")],
)  # fmt: skip
def test_without_the_right_token(
    token: str | None,
    why: str,
    made: Make,
    tmp_path: Path,
    hub: FakeHub,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub.token, hub.read_only = "read", True
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    result = command(line(made(tmp_path, "--no_images")))
    assert result.code == 1
    assert f"pagecast: error: {REPO}: {why}" in result.err.splitlines()[-1]


def test_what_is_refused_before_anything_is_sent(
    made: Make, tmp_path: Path, hub: FakeHub, command: Command
) -> None:
    out = made(tmp_path, "")
    for words, told in (
        (line(out), "images as single files, too many for a repository: give the same `run`"),
        (line(tmp_path / "none"), "none/split_manifest.json is not there: the job is not finished"),
        ("publish --output_dir s3://b/out --repo a/b", "published from a disk; copy it to one"),
        (f"publish --output_dir {out} --repo 'a b'", "--repo a b: "),
    ):
        result = command(words)
        assert result.code == 2 and told in result.err, result.err
        assert len(result.err.splitlines()) == 1
    (out / "split_manifest.json").write_text('["another tool"]')
    result = command(line(out))
    assert result.code == 2 and "is not a manifest of Pagecast's" in result.err
    assert not hub.requests


def test_a_repository_of_something_else_is_left_alone(
    made: Make, tmp_path: Path, hub: FakeHub, command: Command
) -> None:
    hub.push(REPO, {"data/train-00000-of-00001.parquet": b"theirs", README: b"#"})
    before = hub.head(REPO)
    result = command(line(made(tmp_path, "--no_images")))
    assert result.code == 2 and f"--repo {REPO} holds something else (data/train-" in result.err
    assert hub.head(REPO) == before


def test_a_named_split_goes_alone(
    made: Make, tmp_path: Path, hub: FakeHub, command: Command
) -> None:
    out = made(tmp_path, "--image_shards")
    words = f"split --output_dir {out} --name quick --max_samples 9 --val_size 2 --parquet"
    assert command(words).code == 0
    assert command(line(out / "splits/quick")).code == 0
    here, there = PageReader(out / "splits/quick"), PageReader(f"hf://datasets/{REPO}")
    assert list(there["train"]) == list(here["train"])
    for sample in here["train"]:
        assert there.image(sample["id"], "tiny") == here.image(sample, "tiny")
    assert "7 | " in hub.head(REPO)[README].decode()
    assert [name for name in hub.head(REPO) if name.endswith(".tar")] == []


def test_the_examples_are_true() -> None:
    assert doctest.testmod(card).failed == 0


@pytest.mark.parametrize(("path", "shown"), [
    ("/home/me/secret/enwiki/0.parquet", "enwiki/0.parquet"), ("0.parquet", "0.parquet"),
    ("s3://bucket/private/enwiki/0.parquet", "enwiki/0.parquet"),
    ("hf://datasets/a/b@c/data/x.parquet", "hf://datasets/a/b@c/data/x.parquet"),
])  # fmt: skip
def test_places_of_ones_own_are_not_published(path: str, shown: str) -> None:
    assert without_place(path) == shown
