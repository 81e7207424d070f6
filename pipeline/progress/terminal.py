"""What a person sees on the error stream: messages, bars, and a short table at the end."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from pipeline.progress.streams import complain
from transforms.redact import redact

REFRESHES = 2  # of what is at the bottom of a terminal, a second
MOST_ERRORS_SHOWN = 10
INTERVAL = 30.0  # seconds between two lines where there is no terminal
_quiet = False
_shown: list[Live | Progress] = []  # what is at the bottom of the terminal now


def be_quiet(quiet: bool) -> None:
    """Tell from now on only what went wrong, or again all there is to tell."""
    global _quiet  # noqa: PLW0603
    _quiet = quiet


def is_quiet() -> bool:
    """Tell whether a person asked for no progress."""
    return _quiet


def say(text: str) -> None:
    """Tell the person something, on the error stream: standard output is for results."""
    write(f"pagecast: {one_line(text)}")


def note(text: str) -> None:
    """Tell the person something that nobody has to know, so not with `--quiet`."""
    if not _quiet:
        say(text)


def write(line: str) -> None:
    """Write a line to the error stream, above what is at the bottom of the terminal."""
    line = redact(line)
    if _shown:
        _shown[-1].console.print(Text(line), soft_wrap=True)
    else:
        complain(line)


def one_line(text: str) -> str:
    """Escape what would not print: names may hold line breaks and control sequences."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class Terminal(Console):
    """The error stream. Its cursor is never hidden: however a process ends, nobody misses it."""

    def __init__(self, **how: Any) -> None:
        super().__init__(stderr=True, **how)

    @property
    def can_show(self) -> bool:
        """Whether a line at the bottom can be shown, and a person wants it."""
        return sys.stderr.isatty() and self.is_interactive and not _quiet

    def show_cursor(self, show: bool = True) -> bool:
        """Leave the cursor alone."""
        return False

    def on_broken_pipe(self) -> None:
        """Say no more; the work goes on."""
        self.quiet = True


def bar(*columns: ProgressColumn) -> Progress:
    """Return a bar for a terminal, with what is done on its left; elsewhere it shows nothing."""
    terminal = Terminal()
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *columns,
        console=terminal,
        disable=not terminal.can_show,
        refresh_per_second=REFRESHES,
        transient=True,
        redirect_stdout=False,
    )


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show at a terminal what is being done, where nobody can tell how much of it is left."""
    shown = bar()
    shown.add_task(what, total=None)
    with at_bottom(shown):
        yield


@contextmanager
def at_bottom(it: Live | Progress) -> Iterator[None]:
    """Show something at the bottom of the terminal, below all messages."""
    if isinstance(it, Progress) and it.disable:
        yield
        return
    _shown.append(it)  # first: a stop may come while it begins, and it is to be taken back then
    try:
        _unbroken(it.start)
        yield
    finally:
        _stop(it)


def release() -> None:
    """Give the terminal back as it was, for who ends this process at once.

    In a moment or not at all: a terminal may be what holds everything up.
    """
    thread = threading.Thread(target=_stop_all, daemon=True)
    thread.start()
    thread.join(1.0)


def _stop_all() -> None:
    for it in list(_shown):
        _stop(it)


def _stop(it: Live | Progress) -> None:
    if it in _shown:
        _shown.remove(it)
        with suppress(Exception):  # a terminal that is gone
            _unbroken(it.stop)


def _unbroken(work: Callable[[], None]) -> None:
    """Do something that a signal must not break off half-way: those only reach the main thread."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


def readable(size: float) -> str:
    """Return a number of bytes as a person reads it, e.g. 39.2 GB."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.1f} {unit}" if unit != "bytes" else f"{size:.0f} bytes"
        size /= 1000
    return f"{size:.1f} GB"


class ByteCount:
    """Bytes counted as work goes on: a bar at a terminal, elsewhere a line now and then."""

    def __init__(self) -> None:
        self._bar = bar(DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        self._stack = ExitStack()
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._line: Callable[[], str] | None = None

    def begin(self, what: str, total: int) -> Callable[[int], None]:
        """Count something else from now on; return what is told of bytes."""
        task = self._bar.add_task(what, total=total)
        started, count = time.monotonic(), 0

        def advance(size: int) -> None:
            nonlocal count
            with self._lock:
                count += size
            self._bar.advance(task, size)

        def line() -> str:
            seconds = time.monotonic() - started
            return f"{what}: {readable(count)} of {readable(total)}, {seconds:.0f} s"

        self._line = line
        return advance

    def _report(self) -> None:
        while not self._done.wait(INTERVAL):
            if self._line:
                say(self._line())

    def __enter__(self) -> ByteCount:
        self._stack.enter_context(at_bottom(self._bar))
        if self._bar.disable and not _quiet:
            threading.Thread(target=self._report, name="progress", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._stack.close()


def say_errors(errors: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Say the first entries of errors.jsonl, and count all by kind: input or article."""
    kinds: Counter[str] = Counter()
    for error in errors:
        kinds[error["kind"]] += 1
        if kinds.total() <= MOST_ERRORS_SHOWN:
            say(describe(error))
    if kinds.total() > MOST_ERRORS_SHOWN:
        say(f"and {kinds.total() - MOST_ERRORS_SHOWN} more")
    return kinds


def describe(error: Mapping[str, Any]) -> str:
    """Return an entry of errors.jsonl as a person reads it."""
    if error["kind"] == "input":
        return f"cannot read {error['path']}, {error['where']}: {error['reason']}"
    article = f"article {error['wiki_id']} (row {error['row']})"
    return f"{article} failed to {error['step']}: {error['reason']}"


def _losses(losses: Mapping[str, int]) -> list[tuple[str, str]]:
    """Return the rows about what the tokenizer does not keep, where there is anything."""
    return [(name.replace("_", " "), f"{number:,}") for name, number in losses.items() if number]


def few_in_val(manifest: Mapping[str, Any]) -> str | None:
    """Warn of a val that is smaller than asked for, as too few articles keep the first style."""
    val = manifest["split"]["val"]
    if "wanted" not in val:
        return None
    return (
        f"warning: val has {val['samples']:,} of {val['wanted']:,} samples, as only so many are of "
        "articles whose pages keep the first style (--vary train)"
    )


def summary(manifest: Mapping[str, Any], output_dir: str, seconds: float) -> str:
    """Return the closing table of a finished job."""
    counts, split = manifest["counts"], manifest["split"]
    rows = [
        ("articles in", f"{counts['rows_read']:,}"),
        ("kept", f"{counts['kept']:,}"),
        *((f"dropped, {reason}", f"{n:,}") for reason, n in counts["dropped"].items()),
        *([("failed", f"{counts['failed']:,}")] if counts["failed"] else []),
        *_losses(counts.get("losses") or {}),
        ("samples", f"{counts['samples']:,}"),
        ("pages", f"{counts['pages']:,}"),
        ("train", f"{split['train']['samples']:,}"),
        ("val", f"{split['val']['samples']:,}"),
        *([("unused", f"{split['unused']['samples']:,}")] if split["unused"]["samples"] else []),
        ("seconds", f"{seconds:.1f}"),
        ("output", one_line(output_dir)),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
