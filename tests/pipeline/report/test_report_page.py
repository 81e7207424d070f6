"""The report as people see it: in Chromium, on a desk and on a phone, by day and by night."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Outcome
from tests.support.chromium import PROGRAM, Chromium, chromium

pytestmark = pytest.mark.skipif(not PROGRAM, reason="no Chromium is installed")
SCREENS = [(1280, 900), (390, 844), (320, 640)]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with chromium(tmp_path_factory.mktemp("chromium")) as it:
        yield it


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(("width", "height"), SCREENS)
def test_it_fits_the_screen_and_loads_all_it_shows(
    browser: Chromium, demo: Outcome, tmp_path: Path, width: int, height: int, dark: bool
) -> None:
    browser.open(demo.path / "report.html", width, height, dark)
    # No scrolling sideways, with all tables open.
    browser.value("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.value("document.documentElement.scrollWidth") == width
    assert browser.value(
        "Math.max(...[...document.querySelectorAll('body *')]"
        ".filter(e => !e.closest('.scroll, svg')).map(e => e.getBoundingClientRect().right))"
    ) <= width  # fmt: skip
    assert browser.value(
        "Promise.all([...document.images].map(i => { i.loading = 'eager'; return i.decode() }))"
        ".then(() => 1) && [...document.images].length"
    ) == 56  # fmt: skip
    background = browser.value("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(22, 23, 24)") == dark
    # What is drawn has the page's colours.
    bar = browser.value("getComputedStyle(document.querySelector('svg .bar')).fill")
    assert bar == ("rgb(134, 182, 232)" if dark else "rgb(59, 110, 165)")
    messages = [event for event in browser.events if event.get("method") == "Log.entryAdded"]
    assert not messages
    requests = [
        event["params"]["request"]["url"]
        for event in browser.events
        if event.get("method") == "Network.requestWillBeSent"
    ]
    assert {url.partition(":")[0] for url in requests} <= {"file", "data"}
    assert sum(url.startswith("file:") for url in requests) == 1
    assert len(browser.screenshot(tmp_path / "screen.png")) > 10_000


def test_text_on_a_phone_is_large_enough(browser: Chromium, demo: Outcome) -> None:
    browser.open(demo.path / "report.html", 390, 844, dark=False)
    smallest = browser.value(
        "Math.min(...[...document.querySelectorAll('svg text')]"
        ".map(e => parseFloat(getComputedStyle(e).fontSize) * e.getCTM().d))"
    )
    assert smallest >= 7.5
    touch = "Math.min(...[...document.querySelectorAll('nav a, summary')].map(e => e.offsetHeight))"
    assert browser.value(touch) >= 24


def test_a_image_is_enlarged_and_closed_again(browser: Chromium, demo: Outcome) -> None:
    browser.open(demo.path / "report.html", 390, 844, dark=False)
    image = "document.querySelectorAll('#samples .page img')[3]"
    browser.value(f"{image}.scrollIntoView()")
    browser.wait_for(f"{image}.naturalWidth")  # it is loaded when it comes into sight
    before = browser.value(f"{image}.clientWidth")
    browser.value(f"{image}.closest('.open').click()")
    assert browser.value(f"{image}.clientWidth") == 1280 > before
    assert browser.value("document.documentElement.scrollWidth") == 390
    close = f"{image}.closest('.page').querySelector('.close')"
    assert browser.value(f"{close}.offsetHeight") >= 40
    browser.value(f"{close}.click()")
    assert browser.value(f"{image}.clientWidth") == before
    assert browser.value(f"Math.abs({image}.getBoundingClientRect().top)") < 844
