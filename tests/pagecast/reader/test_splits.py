"""Splits as sequences: by notes of line lengths or by a look, merged or in parts, whole or not."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pagecast.dataset.layout import part_lengths_path
from pagecast.reader import PageReader, ReaderError
from pagecast.reader.lines import find_lines, note_lengths, noted_lines
from tests.conftest import SAMPLE, Outcome, RunCommand


@pytest.fixture
def train(demo: Outcome) -> list[dict[str, Any]]:
    return demo.lines("train.jsonl")


def test_a_split_is_a_sequence(demo: Outcome, train: list[dict[str, Any]]) -> None:
    reader = PageReader(demo.path)
    split = reader["train"]
    assert reader.splits == {"train": len(train), "val": 1}
    assert list(split) == [split[at] for at in range(len(split))] == train
    assert (split[-1], split[np.int64(3)], split[2:][0]) == (train[-1], train[3], train[2])
    for part in (slice(3, 9), slice(None, None, -2), slice(-4, None), slice(5, 5)):
        assert list(split[part]) == train[part]
        assert len(split[part]) == len(train[part])
    assert list(split[10:30:3].take([2, 0, -1])) == [train[10:30:3][at] for at in (2, 0, -1)]
    assert list(pickle.loads(pickle.dumps(split[4:6]))) == train[4:6]
    for beyond in (len(train), -len(train) - 1):
        with pytest.raises(IndexError):
            split[beyond]
    with pytest.raises(ReaderError, match="'test' is not a split, only train, val"):
        reader["test"]


def test_parts_are_one_sequence(run: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where blocks of lines and files do not end alike, and files are empty."""
    monkeypatch.setattr("pagecast.dataset.split.PART_SAMPLES", 4)
    monkeypatch.setattr("pagecast.reader.splits.READ_BYTES", 40_000)
    found = run(SAMPLE, options="--no_merge --no_images --num_articles 12")
    files = sorted(found.path.glob("train-*.jsonl"))
    expected = [json.loads(line) for file in files for line in file.open()]
    assert len(files) > 3
    split = PageReader(found.path)["train"]
    assert list(split) == list(split.take(range(len(split)))) == expected
    assert noted_lines(str(found.path), "train", list(map(str, files))) is not None
    shutil.rmtree(found.path / "_pagecast/parts")
    assert list(PageReader(found.path)["train"]) == expected
    empty = found.path / "empty"
    empty.touch()
    found_lines = find_lines([str(empty), str(files[0]), str(empty), str(files[1])])
    first = files[0].read_bytes().splitlines(keepends=True)
    assert found_lines.place(0) == (str(files[0]), 0, len(first[0]))
    assert found_lines.place(len(first)) == (
        str(files[1]), 0, len(files[1].read_bytes().splitlines(keepends=True)[0])
    )  # fmt: skip


def test_lengths_that_were_written_down_spare_a_look(
    demo: Outcome, train: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pagecast.reader.pages.find_lines", None)
    assert list(PageReader(demo.path)["train"]) == train


def test_lengths_that_do_not_fit_are_not_believed(
    demo_copy: Path, train: list[dict[str, Any]]
) -> None:
    note_lengths(str(demo_copy), "train-00000-of-00001", [5, 6])
    assert list(PageReader(demo_copy)["train"]) == train
    notes = Path(part_lengths_path(str(demo_copy), "train-00000-of-00001"))
    notes.rename(notes.with_name("train-00000-of-00002.lengths"))
    assert list(PageReader(demo_copy)["train"]) == train


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda lines: [*lines[:-1], lines[-1][:-9]], r"train\.jsonl ends within a line: it was c"),
        (lambda lines: lines[:-1], r"train\.jsonl: 56 samples, not the 57 of the manifest; the `r"),
        (lambda lines: [], r"train\.jsonl: 0 samples, not the 57 of the manifest"),
        (lambda lines: None, r"train\.jsonl is not there; the `run` command"),
        (lambda lines: [b"x" + lines[0][1:], *lines[1:]], r"line 1, is not a sample \(JSONDecodeE"),
        (lambda lines: [b"[1]\n", *lines[1:]], r"line 1, is not a sample \(TypeError"),
        (lambda lines: [b'{"id": "a"}\n', *lines[1:]], r"line 1, is not a sample \(KeyError"),
    ],
)
def test_a_damaged_file_is_one_line(demo_copy: Path, damage: Any, why: str) -> None:
    path = demo_copy / "train.jsonl"
    lines = damage(path.read_bytes().splitlines(keepends=True))
    if lines is None:
        path.unlink()
    else:
        path.write_bytes(b"".join(lines))
    for read in (lambda split: split[0], lambda split: next(iter(split))):
        with pytest.raises(ReaderError, match=why) as error:
            read(PageReader(demo_copy)["train"])
        assert "\n" not in str(error.value)


def test_a_named_split_has_the_pages_of_the_output_above(
    demo_copy: Path, train: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = demo_copy / "splits/quick"
    quick.mkdir(parents=True)
    lines = (demo_copy / "train.jsonl").read_bytes().splitlines(keepends=True)
    (quick / "train.jsonl").write_bytes(b"".join(lines[:5]))
    (quick / "val.jsonl").write_bytes(lines[6])
    manifest = json.loads((demo_copy / "split_manifest.json").read_bytes())
    manifest |= {"root": "../..", "split": {"train": {"samples": 5}, "val": {"samples": 1}}}
    (quick / "split_manifest.json").write_text(json.dumps(manifest))
    monkeypatch.chdir(quick)
    for path in (quick, f"{quick}/", "."):
        reader = PageReader(path)
        assert list(reader["train"]) == train[:5]
        assert reader.image(train[0], "tiny").size == (512, 512)


def test_a_million_samples_are_found_in_little_memory(tmp_path: Path, demo: Outcome) -> None:
    """What is kept is eight bytes a line, and no file is held."""
    many = 1_000_000
    path = tmp_path / "train.jsonl"
    with path.open("wb") as file:
        for start in range(0, many, 10_000):
            file.write(b"".join(b'{"id": "%d", "context_text": ""}\n' % n
                                for n in range(start, start + 10_000)))  # fmt: skip
    manifest = json.loads((demo.path / "split_manifest.json").read_bytes())
    manifest["split"]["train"]["samples"] = many
    (tmp_path / "split_manifest.json").write_text(json.dumps(manifest))
    reader = PageReader(tmp_path)
    split = reader["train"]
    assert len(split) == many
    assert [split[at]["id"] for at in (0, 1, 123_456, -1)] == ["0", "1", "123456", "999999"]
    assert reader.rows("train").lines.ends.nbytes == 8 * many
    assert len(pickle.dumps(split)) < 9 * many
