"""What a person sees: messages and bars at a terminal, in a log, or hardly anything."""

import io
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from rich.live import Live
from rich.text import Text

from pipeline.progress import terminal
from pipeline.progress.terminal import (
    ByteCount,
    at_bottom,
    be_quiet,
    note,
    release,
    say,
    summary,
    working,
)
from tests.support.terminal import Screen

MANIFEST = {
    "counts": {
        "rows_read": 1234, "kept": 22, "dropped": {"too_short": 1211}, "failed": 1,
        "samples": 59, "pages": 236,
    },
    "split": {
        "train": {"samples": 57}, "val": {"samples": 1}, "unused": {"samples": 1},
    },
}  # fmt: skip


def test_summary_is_a_short_table() -> None:
    assert summary(MANIFEST, "/out", 12.34) == "\n".join([
        "articles in         1,234",
        "kept                22",
        "dropped, too_short  1,211",
        "failed              1",
        "samples             59",
        "pages               236",
        "train               57",
        "val                 1",
        "unused              1",
        "seconds             12.3",
        "output              /out",
    ])  # fmt: skip


def test_summary_leaves_out_what_did_not_happen() -> None:
    counts = {**MANIFEST["counts"], "failed": 0, "dropped": {}}
    split = {**MANIFEST["split"], "unused": {"samples": 0}}
    table = summary({"counts": counts, "split": split}, "/out", 1)
    assert not {"failed", "dropped", "unused"} & {
        line.split(",")[0].split()[0] for line in table.splitlines()
    }


class Tty(io.StringIO):
    """An error stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def make_terminal(monkeypatch: pytest.MonkeyPatch) -> Tty:
    """Make the error stream one; not as a fixture, after which pytest sets its own."""
    it = Tty()
    monkeypatch.setattr(sys, "stderr", it)
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    return it


def live(text: str) -> Live:
    it = Live(Text(text), console=terminal.Terminal(), auto_refresh=False, redirect_stdout=False)
    it.transient = True
    return it


LONG = f"no {'wrapping of what a person may want to copy ' * 2}here"


def test_what_is_said_stands_above_what_is_at_the_bottom(monkeypatch: pytest.MonkeyPatch) -> None:
    tty = make_terminal(monkeypatch)
    with at_bottom(live("1 of 2 shards")):
        say("one [bold]:smile:\x1b[2J")
        print("two", file=sys.stderr)
        say(LONG)
        said = ["pagecast: one [bold]:smile:\\x1b[2J", "two", f"pagecast: {LONG}"]
        screen = Screen(width=200).show(tty.getvalue())
        assert screen.rows == [*said, "1 of 2 shards"]
    say("three")
    screen = Screen(width=200).show(tty.getvalue())
    assert screen.rows == [*said, "pagecast: three"]
    assert sys.stderr is tty
    assert "\x1b[?25" not in tty.getvalue()  # the cursor is left alone


def test_the_terminal_is_given_back_at_once_to_who_ends_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tty = make_terminal(monkeypatch)
    with at_bottom(live("1 of 2 shards")):
        say("one")
        release()
        assert Screen().show(tty.getvalue()).rows == ["pagecast: one"]
        assert sys.stderr is tty
        before = tty.getvalue()
    assert tty.getvalue() == before


def test_a_terminal_that_does_not_take_anything_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tty = make_terminal(monkeypatch)
    it, free = live("1 of 2 shards"), threading.Event()
    with at_bottom(it):
        monkeypatch.setattr(tty, "write", lambda _: free.wait(60))
        started = time.monotonic()
        release()
        assert time.monotonic() - started < 30
        free.set()


def test_a_terminal_that_is_gone_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    tty = make_terminal(monkeypatch)

    def fail(_: str) -> int:
        raise OSError("Input/output error")

    with at_bottom(live("1 of 2 shards")):
        monkeypatch.setattr(tty, "write", fail)
    assert sys.stderr is tty


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [("TERM", "xterm", True), ("TERM", "dumb", False), ("TTY_INTERACTIVE", "0", False)],
)
def test_bars_are_for_terminals_that_can_show_them(
    name: str, value: str, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_terminal(monkeypatch)
    monkeypatch.setenv(name, value)
    assert terminal.Terminal().can_show is shown
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setenv("FORCE_COLOR", "1")  # where colours are wanted in a log
    assert not terminal.Terminal().can_show


@pytest.fixture
def quietly() -> Iterator[None]:
    be_quiet(True)
    yield
    be_quiet(False)


def test_quiet_leaves_out_what_nobody_has_to_know(
    quietly: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    tty = make_terminal(monkeypatch)
    note("a job was sent")
    with working("making the report"), ByteCount() as count:
        count.begin("fetching", 10)(5)
        say("warning: something")
    assert tty.getvalue() == "pagecast: warning: something\n"


def test_bytes_are_counted_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    tty = make_terminal(monkeypatch)
    with ByteCount() as count:
        advance = count.begin("fetching", 1000)
        advance(500)
        say("one")
        rows = Screen().show(tty.getvalue()).rows
    assert rows[0] == "pagecast: one"
    assert rows[1].startswith("fetching ━")
    assert len(rows) == 2
    assert Screen().show(tty.getvalue()).rows == ["pagecast: one"]


def test_bytes_are_counted_in_a_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terminal, "INTERVAL", 0.01)
    err = ""
    with ByteCount() as count:
        count.begin("fetching", 1000)(500)
        while "\n" not in err:
            time.sleep(0.01)
            err += capsys.readouterr().err
    assert err.startswith("pagecast: fetching: 500 bytes of 1.0 kB, 0 s\n")


def test_what_takes_long_is_named_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    tty = make_terminal(monkeypatch)
    with working("making the report"):
        assert Screen().show(tty.getvalue()).rows[0].startswith("making the report ━")
    assert Screen().show(tty.getvalue()).rows == [""]
