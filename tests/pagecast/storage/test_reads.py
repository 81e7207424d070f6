"""A run with `--overwrite` whose input, font, tokenizer or options lie in what it would remove."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.launch.output.reads import names_of, refuse_removal
from pipeline.options import UsageError
from tests.conftest import RunCommand, articles, tree, write_parquet


@pytest.mark.parametrize("given", [
    "out/filtered.jsonl", "./out/../out/filtered.jsonl", "linked/filtered.jsonl", "link.jsonl",
    "second/link.jsonl", "out/samples.jsonl",
])  # fmt: skip
def test_all_names_of_a_file_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.chdir(tmp_path)
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere.jsonl"
    out.mkdir()
    (tmp_path / "linked").symlink_to("out")
    (tmp_path / "second").mkdir()
    (tmp_path / "second/link.jsonl").symlink_to("../link.jsonl")
    (tmp_path / "link.jsonl").symlink_to("linked/filtered.jsonl")
    for path in (out / "filtered.jsonl", elsewhere):
        path.write_bytes(b"{}\n")
    (out / "samples.jsonl").symlink_to(elsewhere)  # goes, and with it the way to the file
    removed = [str(out / name) for name in ("filtered.jsonl", "samples.jsonl")]
    with pytest.raises(UsageError, match=f"--input {given} is among what --overwrite removes"):
        refuse_removal(str(out), removed, [("--input", given)])
    refuse_removal(str(out), removed, [("--input", "elsewhere.jsonl"), ("--font", "out/x.ttf")])
    refuse_removal(str(out), [], [("--input", given)])


def test_links_in_a_ring_end(tmp_path: Path) -> None:
    os.symlink("b", tmp_path / "a")
    os.symlink("a", tmp_path / "b")
    assert set(names_of(str(tmp_path / "a"))) == {str(tmp_path / "a"), str(tmp_path / "b")}


def test_a_run_does_not_remove_what_it_reads(run: RunCommand, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", articles("short"))
    out = run(path, options="--filtered").path
    before = tree(out)
    own = out / "_pagecast/options.yaml"
    refused = run(path, options=f"--config {own} --overwrite", into=str(out))
    assert refused.code == 2
    assert f"--config {own} is among what --overwrite removes" in refused.err
    assert len(refused.err.splitlines()) == 1
    (font,) = (out / "_pagecast/assets").glob("*.ttf")
    refused = run(path, options=f"--font {font} --overwrite", into=str(out))
    assert refused.code == 2
    assert f"--font {font} is among what --overwrite removes" in refused.err
    assert tree(out) == before
