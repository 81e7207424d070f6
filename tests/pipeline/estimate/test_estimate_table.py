from typing import Any

import pytest

from pipeline.estimate.table import about, amount, columns, lasting, percent, table, warnings


def about_values(estimate: float, low: float, high: float) -> dict[str, float]:
    return {"estimate": estimate, "low": low, "high": high}


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((1_523_417, 1_523_417, 1_523_417), "1,523,417"),
        ((1_523_417, 1_483_417, 1_563_417), "1,520,000 (1,480,000 to 1,560,000)"),
        ((1_523_417, 1_511_417, 1_535_417), "1,523,000 (1,511,000 to 1,535,000)"),
        ((0, 0, 30), "0 (0 to 30)"),
        ((7, 6, 8), "7 (6 to 8)"),
    ],
)
def test_counts_have_no_digits_that_are_not_known(values: tuple[int, ...], text: str) -> None:
    assert about(about_values(*values)) == text  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((340.4e9, 329.7e9, 351.2e9), "340 GB (330 to 351)"),
        ((340.4e9, 340.4e9, 340.4e9), "340.4 GB"),
        ((340.4e9, 240.4e9, 540.4e9), "340 GB (240 to 540)"),
        ((1.2e6, 1.1e6, 1.3e6), "1.2 MB (1.1 to 1.3)"),
        ((900, 900, 900), "900 bytes"),
        ((0, 0, 0), "0 bytes"),
        ((10.41e6, 10.40e6, 10.42e6), "10.4 MB"),
    ],
)
def test_amounts_have_no_digits_that_are_not_known(values: tuple[float, ...], text: str) -> None:
    assert amount(about_values(*values)) == text  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0.0%"), (0.1234, "12.3%"), (0.00012, "0.012%"), (1, "100.0%"), (0.001, "0.1%")],
)
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.4, "3 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (9000, "2.5 h")],
)
def test_lasting(seconds: float, text: str) -> None:
    assert lasting(seconds) == text


def test_columns_stand_under_each_other() -> None:
    assert columns([("a", "1", "x"), ("bcd", "100", "")]) == ["a      1  x", "bcd  100"]


def facts(**changes: Any) -> dict[str, Any]:
    known = about_values(0, 0, 0)
    files = {"files": known, "disk": about_values(2e12, 1.9e12, 2.1e12)}
    disk = {
        "path": "/x", "needed": files["disk"], "free": 10, "needed_files": known,
        "free_files": None, "has_room": False, "may_have_room": False,
    }  # fmt: skip
    mode = {
        "mode": "enormous", "px": 4096, "vision_tokens": None, "ratio": None,
        "median_font_size": 30, "truncated": 1.0, "bytes_a_page": 1_000_000, "bytes": files["disk"],
    }  # fmt: skip
    return {
        "looked_at": {"articles": 5000, "places": 100, "samples_drawn": 200, "all_articles": False},
        "articles": 6_614_655,
        "kept": about_values(798_123, 741_000, 859_000),
        "dropped": {"too_short": about_values(5_816_532, 5_750_000, 5_870_000)},
        "failed": known,
        "samples": about_values(1_523_417, 1_483_417, 1_563_417),
        "pages": about_values(6_093_668, 5_933_668, 6_253_668),
        "train": 500_000,
        "val": 10_000,
        "modes": [mode],
        "styles": [],
        "missing_glyphs": {"share": 0.0, "scripts": {}},
        "pictures": dict.fromkeys(("files", "shards", "none"), files),
        "outputs": dict.fromkeys(("train_arrow, val_arrow", "filtered.jsonl", "rest"), files),
        "asked_for": ["files", "rest"],
        "all_asked_for": files,
        "most_at_any_time": files,
        "seconds": about_values(40_000, 30_000, 60_000),
        "workers": 2,
        "cores": 1,
        "disk": disk,
        **changes,
    }  # fmt: skip


def test_the_table_fits_a_screen_and_says_all_of_it() -> None:
    lines = table(facts()).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == ("read 5,000 articles at 100 places, drew 200 of their samples;")
    text = "\n".join(lines)
    for part in (
        "kept                800,000 (740,000 to 860,000): 12.1% (11.2% to 13.0%)",
        "samples             1,520,000 (1,480,000 to 1,560,000)",
        "train, val          at most 500,000, 10,000",
        "[images: --image_shards]",
        "time on this machine with 2 workers (1 core): 11.1 h (8.3 h to 16.7 h)",
        "free on the disk of /x: 10 bytes: TOO LITTLE",
    ):
        assert part in text, part


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ({"has_room": True, "may_have_room": True}, "10 bytes: enough"),
        ({"may_have_room": True}, "10 bytes: it may fit"),
        ({"free": None}, "no limit: TOO LITTLE"),
        ({"free_files": 3, "needed_files": about_values(4, 4, 4)}, "10 bytes and 3 files: TOO"),
    ],
)
def test_the_last_line_is_about_the_disk(found: dict[str, Any], text: str) -> None:
    disk = {**facts()["disk"], **found}
    assert text in table(facts(disk=disk)).splitlines()[-1]


def test_without_a_directory_no_disk_is_asked() -> None:
    last = table(facts(disk=None)).splitlines()[-1]
    assert last == "no --output_dir on a disk was given, so none was asked for its room"


def test_all_that_is_exact_says_so() -> None:
    read = {"articles": 32, "places": 4, "samples_drawn": 59, "all_articles": True}
    some = facts(looked_at=read, samples=about_values(59, 59, 59))
    assert table(some).startswith("read all articles, drew all their samples: the numbers are")
    more = facts(looked_at=read, samples=about_values(60, 60, 60))
    assert table(more).startswith("read all articles, drew 59 of their samples: counts are")


def test_warnings() -> None:
    assert warnings(facts(disk=None)) == []
    scripts = {"Han": 0.3, "Hiragana": 0.1, "Thai": 0.02, "Lao": 0.01, "Yi": 0.001}
    lacking = facts(missing_glyphs={"share": 0.431, "scripts": scripts}, disk=None)
    assert warnings(lacking) == [
        "the font lacks 43.1% of the characters on pages: Han (30.0%), Hiragana (10.0%), "
        "Thai (2.0%), Lao (1.0%); give --font auto, or one that has them"
    ]
    assert warnings(facts(kept=about_values(0, 0, 9), disk=None)) == [
        "no article that was looked at is kept; --sample looks at more of them"
    ]
    assert warnings(facts()) == ["the disk of /x does not have room for this run"]
