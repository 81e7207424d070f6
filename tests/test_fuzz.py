"""Damaged files and articles of every kind: a fault, a failure or a line, never a trace."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.__main__ import main
from pipeline.plan import plan_shards, read_footer
from tests.bad import LONG, SMALL, small_tokenizer
from tests.conftest import articles, tree, write_parquet
from transforms.articles import ReadArticles, filter_short
from transforms.chunk import expand_chunks
from transforms.images import PageSettings, render_sample
from transforms.pictures import FILES
from transforms.records import Article, Failure, Sample, Shard, ShardArticles, VisionMode
from transforms.render import PageRenderer
from transforms.tokenize import ArticleTokenizer, tokenize

PAGES = PageSettings((VisionMode("a", 96),), "basic", 1, FILES)
SAME_EACH_TIME = settings(
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TEXTS = ["some text " * 9, None, "", "more", "abc" * 30, "z"]
__all__ = ["small_tokenizer"]  # a fixture


def parquet(**how: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(articles(*TEXTS)), file, row_group_size=4, **how)
    return file.getvalue()


FILES_OF_PARQUET = [
    parquet(),
    parquet(compression="none"),
    parquet(compression="none", use_dictionary=False, write_page_checksum=True),
    parquet(compression="gzip", data_page_version="2.0", store_schema=False),
    parquet(compression="zstd", use_dictionary=False, column_encoding="DELTA_BYTE_ARRAY"),
]


@st.composite
def mutations(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """Flip, insert, delete or cut off bytes, at places counted from the start or the end."""
    edits = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["flip", "set", "insert", "delete", "cut"]),
                st.one_of(st.integers(-400, -1), st.integers(0, 4000)),
                st.integers(1, 255),
            ),
            min_size=1,
            max_size=4,
        )
    )

    def mutate(content: bytes) -> bytes:
        for kind, place, value in edits:
            at = place % max(len(content), 1)
            head, tail = content[:at], content[at:]
            content = {
                "flip": head + bytes(b ^ value for b in tail[:1]) + tail[1:],
                "set": head + bytes([value]) + tail[1:],
                "insert": head + bytes([value]) + tail,
                "delete": head + tail[value // 16 + 1 :],
                "cut": head or content,
            }[kind]
        return content

    return mutate


@settings(SAME_EACH_TIME, max_examples=1000)
@given(st.sampled_from(FILES_OF_PARQUET), mutations())
def test_damaged_parquet_is_a_fault_or_a_failure_or_all_its_rows(
    tmp_path: Path, content: bytes, mutate: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(mutate(content))
    for entry in plan_shards([read_footer(str(path))], 256, None):
        reason = "named already"
        if isinstance(entry, Shard):
            (read,) = ReadArticles().process(entry)
            if isinstance(read, ShardArticles):
                dropped = sum(read.dropped.values())
                assert len(read.articles) + dropped + len(read.errors) == entry.rows
            else:
                assert isinstance(read.value, Failure)
                reason = read.value.reason
        else:
            reason = entry.reason
        assert reason
        assert "\n" not in reason


@pytest.fixture(scope="module")
def made(small_tokenizer: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished dataset beside its input."""
    base = tmp_path_factory.mktemp("fuzz")
    write_parquet(base / "good.parquet", articles(LONG, "short", LONG), group_rows=2)
    assert main(["run", *command(base)]) == 0
    return base


def command(base: Path) -> list[str]:
    given = f"--input {base}/good.parquet --output_dir {base}/out --arrow --filtered"
    return f"{given} {SMALL} --val_size 1 --max_samples 5".split()


RECORDS = [
    "_pagecast/config.json", "_pagecast/plan.jsonl", "_pagecast/split.json",
    "_pagecast/errors.jsonl", "_pagecast/filtered.json", "_pagecast/shards/00000.json",
    "_pagecast/shards/00001.json", "_pagecast/shards/00000.jsonl",
    "_pagecast/parts/train-00000-of-00001.json", "_pagecast/parts/val-00000-of-00001.json",
    "split_manifest.json", "train_arrow/state.json", "val_arrow/dataset_info.json",
]  # fmt: skip

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 1 << 70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@st.composite
def other_values(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """Put another value somewhere into a JSON file, or leave a value out."""
    steps = draw(st.lists(st.integers(0, 30), min_size=1, max_size=4))
    value, leave_out = draw(JSON_VALUES), draw(st.booleans())

    def mutate(content: bytes) -> bytes:
        whole = [json.loads(line) for line in content.splitlines()] if b"}\n{" in content else [
            json.loads(content or b"0")
        ]  # fmt: skip
        at: Any = whole
        key: Any = 0
        for step in steps:
            inner = at[key]
            if not isinstance(inner, dict | list) or not inner:
                break
            at = inner
            key = list(at)[step % len(at)] if isinstance(at, dict) else step % len(at)
        if leave_out and at is not whole:
            del at[key]
        else:
            at[key] = value
        return b"".join(json.dumps(part).encode() + b"\n" for part in whole)

    return mutate


@settings(SAME_EACH_TIME, max_examples=16)
@given(st.sampled_from(RECORDS), st.one_of(mutations(), other_values()))
def test_damaged_records_are_named_and_never_believed(
    made: Path,
    capfd: pytest.CaptureFixture[str],
    name: str,
    mutate: Callable[[bytes], bytes],
) -> None:
    """What `run` makes of a dataset with a damaged record is the dataset, or wrong use."""
    check_damaged(made, capfd, name, mutate)


def check_damaged(
    made: Path, capfd: pytest.CaptureFixture[str], name: str, mutate: Callable[[bytes], bytes]
) -> None:
    out = made / "out"
    shutil.rmtree(made / "backup", ignore_errors=True)
    shutil.copytree(out, made / "backup")
    before = tree(out)
    try:
        (out / name).write_bytes(mutate((out / name).read_bytes()))
        for argv in (["verify", "--output_dir", str(out), "--workers", "1"],
                     ["run", *command(made)]):  # fmt: skip
            capfd.readouterr()
            code = main(argv)
            printed, err = capfd.readouterr()
            assert code in (0, 1, 2)
            assert "Traceback" not in printed + err
            assert len(err.splitlines()) <= 2
        if code == 0:
            assert tree(out) == before
        else:
            assert (code, name) == (2, "_pagecast/config.json"), err
    finally:
        shutil.rmtree(out)
        os.rename(made / "backup", out)


@pytest.fixture(scope="module")
def tools(tokenizer: ArticleTokenizer) -> tuple[ArticleTokenizer, PageRenderer]:
    return tokenizer, PageRenderer()


@settings(SAME_EACH_TIME, max_examples=500)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=300),
            st.text(st.characters(categories=["Cc", "Cf", "Zs", "Zl", "Mn", "Co", "Cn"])),
            st.tuples(st.text(min_size=1, max_size=4), st.integers(1, 3000)).map(
                lambda word: word[0] * word[1]
            ),
        ),
        max_size=4,
    ).map(" ".join)
)
def test_any_text_becomes_pages(tools: tuple[ArticleTokenizer, PageRenderer], text: str) -> None:
    tokenizer, renderer = tools
    batch = ShardArticles(Shard(0, "p", 0, 0, 1, 0), (Article(0, "i", "t", text),), {})
    kept = filter_short(tokenize(batch, tokenizer), 1)
    assert not kept.errors
    for article in kept.articles:
        samples = expand_chunks(article, 30, 5, tokenizer.decode)
        for sample in samples[:2]:
            rendered, pngs = render_sample(sample, PAGES, renderer)
            assert list(pngs) == ["a"]
            assert Sample.from_json_line(rendered.json_line()).context_text == sample.context_text
