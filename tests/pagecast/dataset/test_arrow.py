import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagecast import storage
from pagecast.dataset.tables import arrow
from pagecast.dataset.tables.arrow import (
    commit_description,
    read_rows,
    sample_schema,
    stream,
    to_batch,
)
from pagecast.render.page import PageMetadata

PAGE = PageMetadata(8, 50, 49, True, 2, 3)._asdict()


def row(**change: Any) -> dict[str, Any]:
    return {
        "id": "sample_000001_chunk_0", "wiki_id": "enwiki/1", "title": "T", "chunk_index": 0,
        "total_article_tokens": 2001, "context_tokens": [1, 2], "continuation_tokens": [3],
        "context_text": "text", "images": {"tiny": "images/tiny/sample_000001_chunk_0.png"},
        "font_metadata": {"tiny": PAGE}, **change,
    }  # fmt: skip


def line(**change: Any) -> bytes:
    return json.dumps(row(**change)).encode() + b"\n"


SCHEMA = sample_schema(["tiny"], stored=True)


def test_the_schema_has_the_fields_of_a_sample_in_their_order() -> None:
    assert SCHEMA.names == list(row())
    assert SCHEMA.field("context_tokens").type == pa.list_(pa.int32())
    page = SCHEMA.field("font_metadata").type.field("tiny").type
    assert [field.name for field in page] == list(PAGE)
    assert [str(field.type) for field in page] == ["int32"] * 3 + ["bool"] + ["int32"] * 2
    without = sample_schema(["a", "b"], stored=False)  # Parquet holds no empty struct
    assert without.names == [name for name in SCHEMA.names if name != "images"]


def test_the_description_is_the_one_that_datasets_would_write(tmp_path: Path) -> None:
    features = datasets.Features.from_dict(arrow.features(SCHEMA))
    assert features.arrow_schema.remove_metadata() == SCHEMA.remove_metadata()
    theirs = datasets.Dataset.from_list([row()], features=features)
    theirs.save_to_disk(str(tmp_path / "theirs"))
    (tmp_path / "train_arrow").mkdir()
    data = tmp_path / "train_arrow/data-00000-of-00001.arrow"
    data.write_bytes(b"".join(stream([line()], SCHEMA)))
    commit_description(str(tmp_path), "train", SCHEMA, {data.name: storage.sha256_of(str(data))})
    for name in ("state.json", "dataset_info.json"):
        ours = json.loads((tmp_path / "train_arrow" / name).read_text())
        assert ours.keys() == json.loads((tmp_path / "theirs" / name).read_text()).keys()
    loaded = datasets.load_from_disk(str(tmp_path / "train_arrow"))
    assert loaded.features == features
    assert loaded.split == "train"
    assert list(loaded) == [row()]


@pytest.mark.parametrize("count", [0, 1, 999])
def test_rows_are_those_of_the_lines(tmp_path: Path, count: int) -> None:
    lines = [line(title=f"{n}", context_tokens=list(range(n % 7))) for n in range(count)]
    path = tmp_path / "a.arrow"
    path.write_bytes(b"".join(stream(lines, SCHEMA)))
    assert [json.dumps(found).encode() + b"\n" for found in read_rows(str(path))] == lines


def test_batches_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow, "BATCH_BYTES", 3 * len(line()))
    path = tmp_path / "a.arrow"
    path.write_bytes(b"".join(stream([line()] * 8, SCHEMA)))
    with pa.ipc.open_stream(path.read_bytes()) as batches:
        assert [batch.num_rows for batch in batches] == [3, 3, 2]


HOSTILE = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    [
        "\x00",
        "\u2028\u2029\x85",
        "\U0010ffff\ufdd0\ufffe",
        '"\\/\b\f\n\r\t',
        "2020-01-01",
        "1",
        "null",
    ]
)


@given(st.lists(st.tuples(HOSTILE, st.lists(st.integers(0, 2**31 - 1))), min_size=1, max_size=5))
def test_any_text_and_any_tokens_survive(values: list[tuple[str, list[int]]]) -> None:
    """Text that looks like a number or a date stays text; NUL and noncharacters stay."""
    lines = [line(title=text, context_text=text * 2, context_tokens=ids) for text, ids in values]
    batch = to_batch(lines, SCHEMA)
    assert batch.schema.equals(SCHEMA, check_metadata=True)
    assert [json.dumps(found).encode() + b"\n" for found in batch.to_pylist()] == lines


@pytest.mark.parametrize(
    "bad",
    [
        line(extra=1), line(title=5), line(context_tokens=[2**31]), line(context_tokens=["1"]),
        b"{\n", b"[]\n",
    ],
)  # fmt: skip
def test_a_line_of_another_kind_is_an_error(bad: bytes) -> None:
    with pytest.raises(pa.ArrowInvalid):
        to_batch([line(), bad], SCHEMA)


def test_a_file_cut_short_is_an_error_wherever_it_is_cut(tmp_path: Path) -> None:
    content = b"".join(stream([line()] * 3, SCHEMA))
    path = tmp_path / "a.arrow"
    for length in [*range(0, len(content) - 8, 97), len(content) - 9]:
        path.write_bytes(content[:length])
        with pytest.raises((pa.ArrowException, OSError)):
            list(read_rows(str(path)))


def test_the_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    prints = []
    for digests in ({"a": "1", "b": "2"}, {"a": "2", "b": "1"}, {"a": "1", "b": "2"}):
        commit_description(str(tmp_path), "val", SCHEMA, digests)
        prints.append(json.loads((tmp_path / "val_arrow/state.json").read_text())["_fingerprint"])
    assert prints[0] == prints[2] != prints[1]
