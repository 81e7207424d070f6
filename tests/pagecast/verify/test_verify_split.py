"""The split that verification computes for itself, against the tests' own reading of the rule."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pagecast.dataset.sample import sample_id
from pagecast.dataset.split import SplitSettings, sample_key
from pagecast.verify.split import Samples, split_by_the_rule
from tests.transforms.test_split import split_by_the_rule as by_the_test

ROWS = st.lists(
    st.tuples(st.sampled_from([f"w{n}" for n in range(8)]), st.integers(1, 4)), max_size=12
)
SETTINGS = st.tuples(st.integers(1, 40), st.integers(0, 39), st.integers(0, 3)).map(
    lambda s: SplitSettings(s[0], min(s[1], s[0] - 1), s[2])
)


@given(ROWS, SETTINGS)
def test_it_is_the_split_by_the_rule(rows: list[tuple[str, int]], settings: SplitSettings) -> None:
    samples = Samples([(7 * n, wiki_id, chunks) for n, (wiki_id, chunks) in enumerate(rows)])
    found = split_by_the_rule(samples, settings)
    wanted = by_the_test(rows, settings)
    for split in ("val", "train"):
        expected = sorted(
            (sample_key(settings.seed, rows[row][0], chunk), sample_id(7 * row, chunk))
            for (row, chunk), where in wanted.items()
            if where == split
        )
        assert [samples.id(number) for number in found.numbers[split]] == [i for _, i in expected]
        assert found.keys[split] == [key for key, _ in expected]
        titles = {rows[row][0] for (row, _), where in wanted.items() if where == split}
        assert found.articles[split] == len(titles)
        for of in (1, 3, 7):
            parts = [found.of_part(split, number, of) for number in range(of)]
            assert np.concatenate(parts).tolist() == found.numbers[split].tolist()
            for number, part in enumerate(parts):
                for n in part:
                    _, wiki_id, chunk = samples.origin(int(n))
                    assert sample_key(settings.seed, wiki_id, chunk) * of >> 64 == number
    assert sum(found.articles.values()) == len({wiki_id for wiki_id, _ in rows})


def test_samples_are_numbered_in_input_order() -> None:
    samples = Samples([(3, "a", 2), (5, "b", 1)])
    assert [samples.id(n) for n in range(samples.count)] == [
        "sample_000003_chunk_0", "sample_000003_chunk_1", "sample_000005_chunk_0",
    ]  # fmt: skip
    assert samples.origin(2) == (5, "b", 0)
    assert [samples.number(*at) for at in ((3, 1), (5, 0), (3, 2), (4, 0), (-1, -1))] == [
        1, 2, -1, -1, -1,
    ]  # fmt: skip
    assert Samples([]).count == 0
