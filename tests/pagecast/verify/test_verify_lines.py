"""Comparing what stands in a file with what should: exact, and sparing with faults."""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagecast.verify.lines import NO_SAMPLE, Found, compare, differing_fields, scan_lines

NUMBERS = st.permutations(range(12)).flatmap(
    lambda order: st.integers(0, 12).map(lambda size: order[:size])
)


def faults(numbers: list[int], expected: list[int], wrong: frozenset[int] = frozenset()) -> list:
    """Compare; lines in `wrong` have another digest than their sample's."""
    known = np.arange(100, 120, dtype=np.uint64)
    digests = [0 if n == NO_SAMPLE else int(known[n]) for n in numbers]
    for line in wrong:
        digests[line] += 1000
    return list(
        compare(
            np.array(numbers, np.int64), np.array(digests, np.uint64),
            np.array(expected, np.int64), known,
        )
    )  # fmt: skip


@given(NUMBERS, NUMBERS)
def test_faults_are_found_exactly_where_files_differ(found: list[int], expected: list[int]) -> None:
    assert bool(faults(found, expected)) == (found != expected)


@given(NUMBERS, st.integers(0, 11))
def test_a_line_that_differs_is_named_wherever_it_is(expected: list[int], at: int) -> None:
    if at < len(expected):
        (edited,) = faults(expected, expected, frozenset([at]))
        assert edited == (expected[at], at, f"line {at + 1} differs from its shard")


@pytest.mark.parametrize(
    ("found", "expected", "says"),
    [
        ([1, 3], [1, 2, 3], "line 2 is the first of 2 that .*: 1 samples are missing, 0 lines too"),
        ([1, 2, 3, 1], [1, 2, 3], "line 4 is the first of 1 that .*: 0 samples .*, 1 lines too"),
        ([4, 3, 2, 1], [1, 2, 3, 4], "line 1 is the first of 4 .*: 0 samples .*, 0 lines too many"),
        ([1, 9], [1, 2], "line 2 is the first of 1 that .*: 1 samples are missing, 1 lines too"),
        ([1, NO_SAMPLE, 2], [1, 2], "line 2 is the first of 2 that .*: 0 samples .*, 1 lines too"),
        ([], [1, 2], "line 1 is the first of 2 that .*: 2 samples are missing, 0 lines too many"),
    ],
)
def test_what_is_missing_moved_or_too_much_is_one_fault(
    found: list[int], expected: list[int], says: str
) -> None:
    ((sample, line, what),) = faults(found, expected)
    assert (sample, line) == (None, None)
    assert re.match(says, what)


def test_lines_in_their_places_are_compared_beside_others() -> None:
    order, edited = faults([1, 2, 4], [1, 2, 3], frozenset([0]))
    assert order.what.startswith("line 3 ")
    assert edited.what == "line 1 differs from its shard"


def test_a_digest_that_is_not_known_is_not_compared() -> None:
    none = np.zeros(20, np.uint64)
    assert not list(compare(np.array([1]), np.array([5], np.uint64), np.array([1]), none))


@pytest.mark.parametrize("cut", range(0, 200, 7))
def test_a_file_can_be_read_in_blocks_cut_anywhere(tmp_path: Path, cut: int) -> None:
    lines = [
        b'{"id": "sample_000001_chunk_0", "x": 1}\n', b"\n", b"not JSON\n",
        b'{"id": "sample_1234567_chunk_12"}\n', b'{"id": "sample_000002_chunk_0", "x": "no end"}',
    ]  # fmt: skip
    path = tmp_path / "f"
    path.write_bytes(b"".join(lines))
    size = path.stat().st_size
    whole = scan_lines(str(path), 0, size)
    assert whole.rows.tolist() == [1, -1, -1, 1_234_567, 2]
    assert whole.chunks.tolist() == [0, -1, -1, 12, 0]
    assert whole.sizes.tolist() == [len(line) for line in lines]
    cuts = sorted({0, min(cut, size), min(cut + 50, size), size})
    blocks = [scan_lines(str(path), a, b) for a, b in pairwise(cuts)]
    joined = Found.joined(blocks)
    for column, expected in zip(joined, whole, strict=True):
        assert column.tolist() == expected.tolist()


def test_differing_fields() -> None:
    assert differing_fields(b'{"a": 1, "b": 2, "c": 3}', b'{"a": 1, "b": 3, "d": 4}') == " in b, d"
    assert differing_fields(b"no JSON", b'{"a": 1}') == ""
    assert differing_fields(b"[]", b'{"a": 1}') == ""
