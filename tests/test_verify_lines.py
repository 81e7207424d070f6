"""Comparing what stands in a file with what should: exact, and sparing with faults."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.verify.lines import (
    NO_SAMPLE,
    Found,
    compare,
    differing_fields,
    in_order,
    places_in,
    scan_lines,
)

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
    named = {fault.sample for fault in faults(found, expected)}
    assert named >= set(found) ^ set(expected)


@given(NUMBERS, st.data())
def test_one_change_is_one_fault(expected: list[int], data: st.DataObject) -> None:
    change = data.draw(st.sampled_from(["insert", "blank", "repeat", "remove", "move", "edit"]))
    found = list(expected)
    if change in ("repeat", "remove", "move", "edit") and not found:
        return
    at = data.draw(st.integers(0, len(found)))
    which = data.draw(st.integers(0, max(len(found) - 1, 0)))
    wrong = frozenset[int]()
    if change == "insert":
        found.insert(at, 15)
    elif change == "blank":
        found.insert(at, NO_SAMPLE)
    elif change == "repeat":
        found.insert(at, found[which])
    elif change == "remove":
        found.pop(which)
    elif change == "move":
        moved = found.pop(which)
        found.insert(min(at, len(found)), moved)
    else:
        wrong = frozenset([which])
    assert len(faults(found, expected, wrong)) == (change != "move" or found != expected)


def test_what_the_faults_say() -> None:
    (missing,) = faults([1, 3], [1, 2, 3])
    assert missing == (2, None, "is missing")
    (twice,) = faults([1, 2, 3, 1], [1, 2, 3])
    assert twice == (1, None, "is there twice, in lines 1 and 4")
    (edited,) = faults([1, 2], [1, 2], frozenset([1]))
    assert edited == (2, 1, "line 2 differs from its shard")
    (moved,) = faults([4, 3, 2, 1], [1, 2, 3, 4])
    assert moved[2].endswith("is not in the order of the file, and 2 more are")
    assert {what for _, _, what in faults([], [1, 2])} == {"is missing"}
    assert faults([], []) == []


def test_a_digest_that_is_not_known_is_not_compared() -> None:
    none = np.zeros(20, np.uint64)
    assert not list(compare(np.array([1]), np.array([5], np.uint64), np.array([1]), none))


@given(st.lists(st.integers(-1, 9), max_size=9))
def test_in_order_is_a_longest_increasing_series(places: list[int]) -> None:
    kept = in_order(np.array(places, np.int64))
    chosen = [place for place, keep in zip(places, kept, strict=True) if keep]
    assert chosen == sorted(set(chosen))
    assert -1 not in chosen

    def longest(after: int, rest: list[int]) -> int:
        series = [1 + longest(p, rest[n + 1 :]) for n, p in enumerate(rest) if p > after]
        return max(series, default=0)

    assert len(chosen) == longest(-1, places)


def test_places_in() -> None:
    assert places_in(np.array([7, 3, 5]), np.array([5, 7, 4, -1, 9])).tolist() == [2, 0, -1, -1, -1]
    assert places_in(np.array([], np.int64), np.array([5])).tolist() == [-1]


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
