import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from pagecast.dataset.versions import more_versions, required_versions, versions
from pagecast.style.entry import StyleEntry
from pagecast.style.sheet import StyleSheet
from tests.conftest import in_beam
from transforms.read.versions import SameVersions


def sheet(layout: str, line_break: str = "spaces", fonts: int = 1) -> StyleSheet:
    fields = {"layout": layout, "line_break": line_break, "fonts": ["a", "b"][:fonts]}
    return StyleSheet((StyleEntry.of({}, "other"), StyleEntry.of(fields)))


SAID = (
    "a worker has pillow 12.3.0 instead of 11.0.0, raqm None instead of 1, new None instead of 2: "
)


def test_a_worker_with_the_launchers_versions_works() -> None:
    with in_beam() as pipeline:
        passed = pipeline | beam.Create([1, 2]) | beam.ParDo(SameVersions(versions()))
        assert_that(passed, equal_to([1, 2]))


def test_another_worker_says_what_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.features.version", lambda _: None)
    launcher = {**versions(), "pillow": "11.0.0", "raqm": "1", "new": "2"}
    with pytest.raises(Exception, match=SAID), in_beam() as pipeline:
        pipeline | beam.Create([1]) | beam.ParDo(SameVersions(launcher))


def test_libraqm_matters_only_where_it_lays_out_text() -> None:
    assert set(versions()) == {*required_versions(sheet("basic")), "raqm"}
    assert required_versions(sheet("raqm")) == versions()


@pytest.mark.parametrize(
    ("layout", "line_break", "fonts", "more"),
    [
        ("basic", "spaces", 1, ()),
        ("raqm", "spaces", 1, ()),
        ("basic", "unicode", 1, ("icu",)),
        ("basic", "spaces", 2, ("unicode",)),
        ("raqm", "unicode", 1, ("icu",)),
        ("harfbuzz", "spaces", 1, ("harfbuzz", "icu")),
    ],
)
def test_what_decides_with_some_options_only(
    layout: str, line_break: str, fonts: int, more: tuple[str, ...]
) -> None:
    asked = sheet(layout, line_break, fonts)
    assert more_versions(asked) == more
    here = required_versions(asked)
    assert set(here) == set(required_versions(sheet(layout))) | set(more)
    assert all(here[name] for name in more)
    with in_beam() as pipeline:
        passed = pipeline | beam.Create([1]) | beam.ParDo(SameVersions(here))
        assert_that(passed, equal_to([1]))


def test_a_worker_with_another_icu_refuses() -> None:
    launcher = {**required_versions(sheet("basic", "unicode")), "icu": "0.9"}
    with (
        pytest.raises(Exception, match=r"a worker has icu 2\.15\.2 instead of 0\.9"),
        in_beam() as p,
    ):
        p | beam.Create([1]) | beam.ParDo(SameVersions(launcher))
