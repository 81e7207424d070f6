import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagecast.dataset.checkpoint import from_checksummed, to_checksummed

FIELDS = st.dictionaries(
    st.text().filter(lambda key: key != "sha256"),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    ),
)


@given(FIELDS)
def test_fields_come_back(fields: dict[str, Any]) -> None:
    content = to_checksummed(fields)
    assert content.endswith(b"\n")
    assert content.count(b"\n") == 1
    assert from_checksummed(content) == fields


def test_a_known_seal() -> None:
    assert to_checksummed({"a": 1}) == (
        b'{"a": 1, "sha256": "f9d86028c6e0d64e225186f96acb69338b2c59764df79162107f5c4bb34d1310"}\n'
    )


@given(st.data())
def test_any_damage_is_noticed(data: st.DataObject) -> None:
    content = bytearray(
        to_checksummed({"rows": 12, "wiki_id": "enwiki/1", "lengths": [17438, 16802]})
    )
    at = data.draw(st.integers(0, len(content) - 3))  # not the newline
    content[at] ^= data.draw(st.integers(1, 255))
    try:
        found = from_checksummed(bytes(content))
    except ValueError:
        return
    assert json.dumps(found) == '{"rows": 12, "wiki_id": "enwiki/1", "lengths": [17438, 16802]}'


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"{}", b'{"a": 1}', b"[" * 99_999, b"\xff"])
def test_what_is_no_record_is_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError):
        from_checksummed(content)
