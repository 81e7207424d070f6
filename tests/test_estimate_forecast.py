import numpy as np
import pytest

from pipeline.estimate.forecast import (
    DRAWS,
    Range,
    Sums,
    at_most,
    totals,
    with_finished,
)

CLUSTERS, SIZE = 60, 20


def population(seed: int) -> np.ndarray:
    """Return what each row of an input gives: 400 clusters of 20 rows, alike within a cluster."""
    chance = np.random.default_rng(seed)
    level = chance.gamma(2.0, 0.5, size=400)
    return chance.poisson(level[:, None], size=(400, SIZE))


def chosen(rows: np.ndarray, seed: int) -> list[tuple[float, Sums]]:
    places = np.random.default_rng(seed).choice(len(rows), CLUSTERS, replace=False)
    weight = len(rows) / CLUSTERS
    return [(weight, {"rows": SIZE, "samples": int(rows[place].sum())}) for place in places]


def test_intervals_contain_the_truth_as_often_as_they_say() -> None:
    rows = population(0)
    truth, share, hits = rows.sum(), CLUSTERS / len(rows), 0
    widths = []
    for seed in range(200):
        found = Range.of(totals(chosen(rows, seed), [], False, share, seed)["samples"])
        hits += found.low <= truth <= found.high
        widths.append((found.high - found.low) / truth)
    assert 182 <= hits <= 198  # 190 are expected
    assert 0.2 < float(np.mean(widths)) < 0.4


def test_rows_that_are_alike_within_clusters_make_it_less_certain() -> None:
    rows = population(1)
    mixed = np.random.default_rng(2).permutation(rows.ravel()).reshape(rows.shape)
    alike, different = (
        Range.of(totals(chosen(each, 3), [], False, 0.15, 0)["samples"]) for each in (rows, mixed)
    )
    assert alike.high - alike.low > 1.5 * (different.high - different.low)


def test_the_more_was_read_the_surer_it_is_and_all_of_it_is_exact() -> None:
    counted = chosen(population(2), 0)
    widths = []
    for share in (0.0, 0.5, 0.9, 1.0):
        found = Range.of(totals(counted, [], False, share, 0)["samples"])
        widths.append(found.high - found.low)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == 0


def test_the_whole_input_read_and_drawn_gives_the_very_sums() -> None:
    counted = [(1.0, {"rows": 3, "samples": 2, "kept": 1}), (1.0, {"rows": 4, "samples": 5})]
    drawn = [(1.0, {"drawn": n, "png": size}) for n, size in ((1, 11), (1, 13), (5, 171))]
    found = totals(counted, drawn, True, 1.0, 0)
    exact = {name: Range.of(values) for name, values in found.items()}
    assert exact == {
        "rows": (7, 7, 7), "samples": (7, 7, 7), "kept": (1, 1, 1), "png": (195, 195, 195),
    }  # fmt: skip
    assert all(values.shape == (DRAWS + 1,) for values in found.values())


def test_what_is_drawn_of_only_some_samples_is_a_ratio() -> None:
    """All articles were read, so the count is exact; bytes of the samples not drawn are not."""
    counted = [(1.0, {"rows": 100, "samples": 80})]
    drawn = [(1.0, {"drawn": 2, "png": 2 * size}) for size in (90, 100, 110, 100)]
    found = totals(counted, drawn, True, 1.0, 0)
    assert Range.of(found["samples"]) == (80, 80, 80)
    png = Range.of(found["png"])
    assert png.estimate == 8000
    assert 6500 < png.low < 7950
    assert 8050 < png.high < 9500


def test_clusters_without_a_drawn_sample_are_no_harm() -> None:
    counted = [(2.0, {"rows": 10, "samples": n}) for n in (0, 0, 0, 1)]
    drawn = [(2.0, {}), (2.0, {}), (2.0, {}), (2.0, {"drawn": 1, "png": 50})]
    found = totals(counted, drawn, False, 0.5, 0)
    assert np.isfinite(found["png"]).all()
    assert found["png"][0] == 100
    assert Range.of(found["png"]).low == 0


@pytest.mark.parametrize("counted", [[], [(1.0, {})]])
def test_without_any_row_there_is_nothing(counted: list[tuple[float, Sums]]) -> None:
    found = totals(counted, [], True, 0.0, 0)
    assert Range.of(found["rows"]) == Range.of(found["samples"]) == (0, 0, 0)


def test_the_same_seed_gives_the_same_interval() -> None:
    counted = chosen(population(4), 0)
    first, again, other = (totals(counted, [], False, 0.1, seed)["samples"] for seed in (1, 1, 2))
    assert (first == again).all()
    assert first[0] == other[0]
    assert (first != other).any()


def test_what_is_finished_is_known_and_only_the_rest_is_estimated() -> None:
    values = {
        "rows": np.full(3, 100.0),
        "samples": np.array([50.0, 40.0, 60.0]),
        "png": np.array([500.0, 400.0, 600.0]),
        "arrow": np.array([100.0, 80.0, 120.0]),
    }
    finished = {"rows": 80, "samples": 30, "png": 200}
    found = with_finished(values, finished, {"png": 20})
    assert found["rows"].tolist() == [100, 100, 100]
    assert found["samples"].tolist() == pytest.approx([40, 38, 42])
    # 200 bytes are there, 10 finished samples lack theirs, and so does a fifth of the rows.
    assert found["png"].tolist() == pytest.approx([400, 380, 420])
    assert found["arrow"].tolist() == pytest.approx([80, 76, 84])


@pytest.mark.parametrize(
    ("clusters", "whole", "share"), [(100, False, 0.03), (2, False, 1.0), (7, True, 0.0)]
)
def test_what_was_not_seen_may_still_be_there(clusters: int, whole: bool, share: float) -> None:
    assert at_most(clusters, whole) == share
