import json

import numpy as np
import pytest

from pagecast.dataset.layout import image_name
from pagecast.dataset.sample import Sample, parse_sample_id, sample_id
from pagecast.dataset.shard import with_drop
from pagecast.modes import VISION_MODES


@pytest.mark.parametrize(
    ("name", "px", "tokens", "ratio"),
    [("tiny", 512, 73, 13.7), ("small", 640, 111, 9.0), ("base", 1024, 273, 3.7),
     ("large", 1280, 421, 2.4)],
)  # fmt: skip
def test_vision_modes(name: str, px: int, tokens: int, ratio: float) -> None:
    mode = next(mode for mode in VISION_MODES if mode.name == name)
    assert (mode.px, mode.vision_tokens) == (px, tokens)
    assert mode.ratio(1000) == ratio


@pytest.mark.parametrize(
    ("row", "chunk", "name"),
    [(0, 0, "sample_000000_chunk_0"), (34833, 12, "sample_034833_chunk_12"),
     (12345678, 0, "sample_12345678_chunk_0")],
)  # fmt: skip
def test_sample_id(row: int, chunk: int, name: str) -> None:
    assert sample_id(row, chunk) == name


def test_json_line_is_the_documented_record_in_ascii() -> None:
    metadata = {"tiny": {"font_size": 8}}
    sample = Sample(
        row=7,
        wiki_id="enwiki/1",
        title="é\u2028",
        chunk_index=1,
        total_article_tokens=4001,
        context_tokens=np.array([1, 2], np.int32),
        continuation_tokens=np.array([3], np.int32),
        context_text='a "b"\n\ufffd😀',
        images={"tiny": "images/tiny/sample_000007_chunk_1.png"},
        font_metadata=metadata,
    )
    line = sample.json_line()
    assert Sample.from_json_line(line).json_line() == line
    assert line == (
        b'{"id": "sample_000007_chunk_1", "wiki_id": "enwiki/1", "title": "\\u00e9\\u2028", '
        b'"chunk_index": 1, "total_article_tokens": 4001, "context_tokens": [1, 2], '
        b'"continuation_tokens": [3], "context_text": "a \\"b\\"\\n\\ufffd\\ud83d\\ude00", '
        b'"images": {"tiny": "images/tiny/sample_000007_chunk_1.png"}, '
        b'"font_metadata": {"tiny": {"font_size": 8}}}\n'
    )
    assert json.loads(line)["context_text"] == sample.context_text


def test_image_name() -> None:
    assert image_name("large", "s") == "images/large/s.png"


def test_with_drop_adds_without_changing_the_original() -> None:
    before = {"blank_text": 1}
    assert with_drop(before, "too_short", 2) == {"blank_text": 1, "too_short": 2}
    assert with_drop(before, "blank_text", 2) == {"blank_text": 3}
    assert with_drop(before, "too_short", 0) == before == {"blank_text": 1}


@pytest.mark.parametrize(
    "line",
    [
        b"", b"[]", b"{}", b'{"id": 3}', b'{"id": "sample_000001_chunk_0"}', b"\xff",
        b'{"id": "sample_000001_chunk_0", "wiki_id": 1, "title": 1, "chunk_index": 0, "other": 2}',
    ],
)  # fmt: skip
def test_what_is_no_sample_is_a_value_error(line: bytes) -> None:
    with pytest.raises(ValueError):
        Sample.from_json_line(line)


def test_ids_can_be_read_back() -> None:
    for row, chunk in ((0, 0), (999_999, 12), (1_000_000, 3)):
        assert parse_sample_id(sample_id(row, chunk)) == (row, chunk)


@pytest.mark.parametrize(
    "name",
    ["", "sample_1_chunk_0", "sample_0000001_chunk_0", "sample_000001_chunk_01",
     "../sample_000001_chunk_0", "sample_000001_chunk_0.png", "sample_00000\u0661_chunk_0"],
)  # fmt: skip
def test_what_is_no_id_is_a_value_error(name: str) -> None:
    with pytest.raises(ValueError, match="is not the id of a sample"):
        parse_sample_id(name)
