import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pagecast.dataset.receipts import Part, Receipt
from pagecast.dataset.sample import ModeImages, StoredImage
from pagecast.dataset.shard import Shard, plan_line
from pagecast.verify.dataset import DatasetError, open_dataset
from pipeline.launch.inputs import index_lines, read_footer
from pipeline.launch.output import directory
from pipeline.launch.output.directory import check, claim, differences, invalidate
from pipeline.launch.output.ours import sweep
from pipeline.launch.prepare import _footer
from pipeline.options import UsageError
from tests.conftest import articles, tree, write_parquet
from transforms.split.parts import NOTHING, WrittenFile

INPUT = {"path": "a", "bytes": 5, "rows": 3}
CONFIG: dict[str, Any] = {
    "options": {"min_tokens": 2000, "modes": ["tiny"], "num_articles": None},
    "vision_modes": {"tiny": {"px": 512, "vision_tokens": 73}},
    "shard_rows": 256,
    "tokenizer": {"name": "builtin", "sha256": "t1"},
    "font": {"name": "DejaVuSans.ttf", "sha256": "f1"},
    "versions": {"beam": "1", "pillow": "12.3.0", "freetype": "2.14.3", "zlib_ng": "1.1.0"},
    "inputs": [INPUT],
}


def changed(**parts: Any) -> dict[str, Any]:
    return {**CONFIG, **parts}


def test_a_new_or_empty_directory_is_claimed(tmp_path: Path) -> None:
    for name in ("new/deep", "empty"):
        if name == "empty":
            (tmp_path / name).mkdir()
        claim(str(tmp_path / name), CONFIG, overwrite=False)
        assert (tmp_path / name / "_pagecast/config.json").exists()


def test_the_same_configuration_goes_on(tmp_path: Path) -> None:
    claim(str(tmp_path), CONFIG, overwrite=False)
    (tmp_path / "samples.jsonl").write_text("x")
    claim(str(tmp_path), changed(versions={**CONFIG["versions"], "beam": "2"}), overwrite=False)
    assert (tmp_path / "samples.jsonl").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_directory_with_something_else_is_left_alone(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match=r"already holds something else \(thesis\.tex\)"):
        claim(str(tmp_path), CONFIG, overwrite)
    assert tree(tmp_path) == {"thesis.tex": b"x"}
    assert not (tmp_path / "_pagecast").exists()


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(UsageError, match="is a file, not a directory"):
        claim(str(tmp_path / "out"), CONFIG, overwrite=False)


def test_another_configuration_is_refused_with_every_difference(tmp_path: Path) -> None:
    claim(str(tmp_path), CONFIG, overwrite=False)
    other = changed(
        options={**CONFIG["options"], "min_tokens": 500, "num_articles": 9},
        font={"name": "DejaVuSans.ttf", "sha256": "f2"},
    )
    before = (tmp_path / "_pagecast/config.json").read_bytes()
    with pytest.raises(UsageError) as error:
        claim(str(tmp_path), other, overwrite=False)
    assert (
        "--font (SHA-256) was f1, now f2; --min_tokens was 2000, now 500; "
        "--num_articles was not given, now 9; use another --output_dir"
    ) in str(error.value)
    assert (tmp_path / "_pagecast/config.json").read_bytes() == before


@pytest.mark.parametrize(
    ("config", "difference"),
    [
        (changed(), []),
        (changed(shard_rows=3), ["--shard_rows was 256, now 3"]),
        (changed(source=[{"repo": "o/n", "commit": "c"}]), []),
        (changed(inputs=[]), ["input a was 5 bytes, 3 rows, now not given"]),
        (
            changed(inputs=[{"path": "a", "bytes": 5, "rows": 4}]),
            ["input a was 5 bytes, 3 rows, now 5 bytes, 4 rows"],
        ),
        (changed(inputs=[{**INPUT, "footer_sha256": "f"}]), []),  # older code left it out
        (
            changed(versions={**CONFIG["versions"], "pillow": "13"}),
            ["pillow version was 12.3.0, now 13"],
        ),
        (
            changed(fonts=[{"name": "a", "sha256": "f1"}, {"name": "b", "sha256": "f2"}]),
            ["--font 2 (SHA-256) was not given, now f2"],
        ),
        (
            changed(
                options={**CONFIG["options"], "line_break": "unicode"},
                versions={**CONFIG["versions"], "icu": "1"},
            ),
            ["--line_break was not given, now unicode", "icu version was not given, now 1"],
        ),
        (changed(vision_modes={"tiny": {"px": 512}, "base": {"px": 1024}}), []),
        (
            changed(vision_modes={"base": {"px": 1024}}),
            ["--modes was tiny=512, now base=1024"],
        ),
        (changed(vision_modes={"tiny": {"px": 511}}), ["--modes was tiny=512, now tiny=511"]),
    ],
)
def test_differences(config: dict[str, Any], difference: list[str]) -> None:
    assert list(differences(CONFIG, config)) == difference


def test_an_input_with_another_footer_is_another(tmp_path: Path) -> None:
    path, configs = tmp_path / "a.parquet", []
    for text in ("one and one", "two and two"):
        write_parquet(path, articles(text))
        os.utime(path, (1, 1))
        file = read_footer(str(path))
        configs.append(changed(inputs=[{**INPUT, "bytes": file.size, **_footer(file)}]))
    (difference,) = differences(*configs)
    assert difference.startswith("content (SHA-256 of the footer) of input a was ")
    lines = tmp_path / "a.jsonl"
    lines.write_bytes(b"{}\n")
    assert index_lines(str(lines), 9).footer_sha256 == hashlib.sha256(b"{}\n").hexdigest()


OURS = [
    "samples.jsonl", "train.jsonl", "val.jsonl", "split_manifest.json",
    "train-00001-of-00025.jsonl", "images/tiny/sample_000001_chunk_0.png",
    "images/large/sample_000511_chunk_12.png", "_pagecast/shards/00000.json",
    "images/base/00001.tar", "filtered.jsonl", "val_arrow/data-00000-of-00001.arrow",
    "train_arrow/state.json", "train_arrow/dataset_info.json",
    f"images/base/00000.tar.pagecast-tmp-{'0' * 32}", "_pagecast/lock",
    "_pagecast/filtered.json", "_pagecast/parts/train-00001-of-00025.json",
    "_pagecast/parts/val-00000-of-00001.json", "parquet/train-00001-of-00025.parquet",
]  # fmt: skip
FOREIGN = [
    "notes.txt", "images/tiny/cat.png", "train.jsonl.bak", "samples.json", "images/cat.png",
    "train_arrow/cache-12.arrow", "images/tiny/sample_000512_chunk_0.png",
    "images/base/00002.tar", "other/sample_000001_chunk_0.png", "x.pagecast-tmp-1",
    "images/mine/sample_000001_chunk_0.png", "_pagecast/notes.txt", "_pagecast/shards/x.json",
    "_pagecast/parts/val.json", f"notes.txt.pagecast-tmp-{'0' * 32}", "images/mine/00001.tar",
    "images/tiny/more/sample_000001_chunk_0.png", "report/index.html",
    "parquet/train-00002-of-00025.parquet", "parquet/mine.parquet",
]  # fmt: skip


def filled(out: Path, names: list[str]) -> None:
    """A directory of a job of two shards, 512 rows, with these files."""
    claim(str(out), changed(vision_modes={m: {"px": 64} for m in ("tiny", "base", "large")}), False)
    shards = [Shard(n, "a", 0, 0, 256, 256 * n) for n in range(2)]
    (out / "_pagecast/plan.jsonl").write_bytes(b"".join(map(plan_line, shards)))
    for name in names:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("x")


def test_overwrite_removes_what_pagecast_wrote(tmp_path: Path) -> None:
    filled(tmp_path, OURS)
    claim(str(tmp_path), changed(shard_rows=512), overwrite=True)
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == [
        "_pagecast", "_pagecast/config.json", "_pagecast/lock",
    ]  # fmt: skip
    assert json.loads((tmp_path / "_pagecast/config.json").read_bytes())["shard_rows"] == 512


@pytest.mark.parametrize("overwrite", [False, True])
def test_overwrite_is_taken_up_wherever_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    now = changed(shard_rows=512)
    stopped, step = True, 0
    while stopped:
        left, stopped = [step], False

        def counted(function: Callable[..., Any], left: list[int] = left) -> Callable[..., Any]:
            def call(*arguments: Any) -> Any:
                if not left[0]:
                    raise KeyboardInterrupt
                left[0] -= 1
                return function(*arguments)

            return call

        out = tmp_path / str(step)
        filled(out, OURS)
        with monkeypatch.context() as patch:
            for name in ("remove", "rmdir", "replace"):
                patch.setattr(os, name, counted(getattr(os, name)))
            try:
                claim(str(out), now, overwrite=True)
            except KeyboardInterrupt:
                stopped = True
        nothing_done = step == 0
        check(str(out), overwrite)
        claim(str(out), now, overwrite or nothing_done)
        assert sorted(str(p.relative_to(out)) for p in out.rglob("*")) == [
            "_pagecast", "_pagecast/config.json", "_pagecast/lock",
        ]  # fmt: skip
        step += 1
    assert step > len(OURS)


@pytest.mark.parametrize("name", FOREIGN)
def test_overwrite_removes_nothing_where_there_is_something_else(tmp_path: Path, name: str) -> None:
    filled(tmp_path, [*OURS, name])
    before = tree(tmp_path)
    with pytest.raises(UsageError, match="is not Pagecast's; move it away, nothing was removed"):
        claim(str(tmp_path), CONFIG, overwrite=True)
    assert tree(tmp_path) == before
    assert (tmp_path / "_pagecast/config.json").exists()


@pytest.mark.parametrize("form", ["files", "shards"])
def test_what_a_stopped_run_was_writing_is_swept_away(tmp_path: Path, form: str) -> None:
    suffix = f".pagecast-tmp-{'0f' * 16}"
    ours = [
        f"{name}{suffix}"
        for name in ("train.jsonl", "_pagecast/shards/00001.json", "val_arrow/state.json")
    ]
    tar = f"images/base/00000.tar{suffix}"
    foreign = ["x.pagecast-tmp-1", f"notes/x{suffix}", "images/tiny/cat.png", suffix]
    filled(tmp_path, [*ours, tar, *foreign])
    sweep(str(tmp_path), form)
    left = [tar] if form == "files" else []
    assert sorted(tree(tmp_path)) == sorted(foreign + left)
    assert not list((tmp_path / "_pagecast").rglob(f"*{suffix}"))


def test_images_are_those_of_the_receipts_where_there_are_any(tmp_path: Path) -> None:
    ours = ["images/tiny/sample_000001_chunk_0.png", "images/tiny/sample_000256_chunk_7.png"]
    filled(tmp_path, ours)
    mine = tmp_path / "images/tiny/sample_000001_chunk_1.png"
    mine.write_text("mine")
    places = {"sample_000001_chunk_0": StoredImage(0, 1, "x")}
    receipt = Receipt(Shard(0, "a", 0, 0, 256, 0), ("tiny",), 1, {}, (), 1, 0, "", ())
    content = receipt.to_json({"tiny": ModeImages(None, 1, places)})
    (tmp_path / "_pagecast/shards").mkdir()
    (tmp_path / "_pagecast/shards/00000.json").write_bytes(content)
    with pytest.raises(UsageError, match=f"{mine} is not Pagecast's"):
        claim(str(tmp_path), CONFIG, overwrite=True)
    mine.unlink()
    (tmp_path / "mine/empty").mkdir(parents=True)
    claim(str(tmp_path), CONFIG, overwrite=True)
    assert tree(tmp_path) == {}
    assert (tmp_path / "mine/empty").is_dir()


def test_whose_images_are_there_is_known_after_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path, ["images/large/sample_000001_chunk_0.png"])
    with monkeypatch.context() as patch:
        patch.setattr(directory, "remove_output", stop)
        with pytest.raises(KeyboardInterrupt):
            claim(str(tmp_path), CONFIG, overwrite=True)
    with pytest.raises(DatasetError, match="is being emptied by a run with --overwrite that was"):
        open_dataset(str(tmp_path))
    mine = tmp_path / "images/mine/sample_000001_chunk_0.png"
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(UsageError, match=f"{mine} is not Pagecast's"):
        claim(str(tmp_path), CONFIG, overwrite=False)
    mine.unlink()
    claim(str(tmp_path), CONFIG, overwrite=False)
    assert tree(tmp_path) == {}


def stop(*_: object) -> None:
    raise KeyboardInterrupt


OPEN = {"seed": 42, "merge": False}  # its parts lie in the open
PART = Part(
    "val-00000-of-00001", "", 3, WrittenFile(5, "x"), WrittenFile(6, "y"), None, (NOTHING,) * 2
)
LINES = ["val-00000-of-00001.jsonl"]
ARROW = [
    "val_arrow/data-00000-of-00001.arrow", "val_arrow/dataset_info.json", "val_arrow/state.json",
]  # fmt: skip
PARQUET = ["parquet/val-00000-of-00002.parquet", "parquet/val-00001-of-00002.parquet"]
OTHERS = [  # the first ones look as if a run had written them
    "filtered.jsonl", "other-of-jsonl", "samples.jsonl", "train-00000-of-00002.jsonl",
    "train.jsonl", "train_arrow/data-00000-of-00001.arrow", "train_arrow/state.json",
    "val-00000-of-00002.jsonl", "val_arrow/cache-1.arrow", "parquet/train-00000-of-00001.parquet",
]  # fmt: skip
RECEIPT = "_pagecast/parts/val-00000-of-00001.json"


def written(out: Path, split: dict[str, Any] = OPEN) -> None:
    claim(str(out), CONFIG, overwrite=False)
    invalidate(str(out), split, arrow=True, parquet=True)
    names = ["_pagecast/errors.jsonl", "_pagecast/failure.log", "split_manifest.json"]
    for name in [
        *names,
        *LINES,
        *ARROW,
        *PARQUET,
        *OTHERS,
        "_pagecast/parts/val-00000-of-00001.jsonl",
    ]:
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("x")
    (out / RECEIPT).write_bytes(PART.to_json())


def test_retract_removes_what_the_receipts_of_another_split_name(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "_pagecast/parts/mine.json").write_text("mine")
    invalidate(str(tmp_path), {**OPEN, "seed": 43}, arrow=True)
    assert sorted(tree(tmp_path)) == sorted(OTHERS)
    assert sorted(p.name for p in (tmp_path / "_pagecast").rglob("*.*")) == [
        "config.json", "mine.json", "split.json",
    ]  # fmt: skip


def test_retract_leaves_the_same_split_to_be_looked_at(tmp_path: Path) -> None:
    written(tmp_path)
    invalidate(str(tmp_path), OPEN, arrow=True, parquet=True)
    assert sorted(tree(tmp_path)) == sorted(LINES + ARROW + PARQUET + OTHERS)
    assert (tmp_path / RECEIPT).exists()
    assert not (tmp_path / "_pagecast/failure.log").exists()


@pytest.mark.parametrize(("arrow", "parquet"), [(False, False), (True, False), (False, True)])
def test_tables_that_are_not_kept_up_go(tmp_path: Path, arrow: bool, parquet: bool) -> None:
    written(tmp_path)
    invalidate(str(tmp_path), OPEN, arrow, parquet)
    assert sorted(tree(tmp_path)) == sorted(LINES + ARROW * arrow + PARQUET * parquet + OTHERS)


def test_of_a_merged_split_the_whole_files_are_ours(tmp_path: Path) -> None:
    written(tmp_path, {**OPEN, "merge": True})
    invalidate(str(tmp_path), OPEN, arrow=True)
    assert sorted(tree(tmp_path)) == sorted({*LINES, *OTHERS} - {"train.jsonl"})


@pytest.mark.parametrize("receipt", [b"", PART._replace(lines=NOTHING, arrow=NOTHING).to_json()])
def test_a_part_that_was_begun_or_whose_receipt_is_damaged_is_ours(
    tmp_path: Path, receipt: bytes
) -> None:
    written(tmp_path)
    (tmp_path / RECEIPT).write_bytes(receipt)
    invalidate(str(tmp_path), {**OPEN, "seed": 43}, arrow=True)
    assert sorted(tree(tmp_path)) == sorted(OTHERS)


@pytest.mark.parametrize("mine", OTHERS)
def test_overwrite_refuses_what_only_looks_like_a_split_of_ours(tmp_path: Path, mine: str) -> None:
    written(tmp_path)
    for name in set(OTHERS) - {mine}:
        (tmp_path / name).unlink()
    with pytest.raises(UsageError, match=f"{mine} is not Pagecast's"):
        claim(str(tmp_path), changed(shard_rows=1), overwrite=True)
    (tmp_path / mine).unlink()
    claim(str(tmp_path), changed(shard_rows=1), overwrite=True)
    assert tree(tmp_path) == {}


def test_a_damaged_configuration_is_named(tmp_path: Path) -> None:
    claim(str(tmp_path), CONFIG, overwrite=False)
    (tmp_path / "_pagecast/config.json").write_text("{")
    with pytest.raises(UsageError, match=r"config\.json is damaged"):
        claim(str(tmp_path), CONFIG, overwrite=False)


THEN = {
    **CONFIG["versions"], "pagecast": "1", "tokenizers": "0.22", "pyarrow": "21", "raqm": "0.10",
}  # fmt: skip


@pytest.mark.parametrize(
    ("layout", "name", "differs"),
    [
        ("basic", "pagecast", True),
        ("basic", "tokenizers", True),
        ("basic", "pyarrow", True),
        ("raqm", "raqm", True),
        ("basic", "raqm", False),  # it has no hand in a page
        ("raqm", "beam", False),
    ],
)
def test_no_dataset_is_of_two_versions(
    tmp_path: Path, layout: str, name: str, differs: bool
) -> None:
    options = {**CONFIG["options"], "layout": layout}
    claim(str(tmp_path), changed(options=options, versions=THEN), overwrite=False)
    now = changed(options=options, versions={**THEN, name: "99"})
    if not differs:
        claim(str(tmp_path), now, overwrite=False)
        return
    with pytest.raises(UsageError) as error:
        claim(str(tmp_path), now, overwrite=False)
    assert (
        f"{name} version was {THEN[name]}, now 99; install those versions again, or use another "
        "--output_dir, or --overwrite"
    ) in str(error.value)


def test_a_version_that_older_code_did_not_write_down_is_not_another() -> None:
    options = {**CONFIG["options"], "line_break": "unicode", "layout": "raqm"}
    then = changed(options=options)
    now = changed(options=options, versions={**THEN, "icu": "1"})
    assert list(differences(then, now)) == []


def test_lines_that_something_else_broke_are_not_gone_on_with() -> None:
    options = {**CONFIG["options"], "line_break": "unicode"}
    then = changed(options=options, versions={**THEN, "uniseg": "1"})
    now = changed(options=options, versions={**THEN, "icu": "2"})
    assert list(differences(then, now)) == ["uniseg version was 1, now not given"]
