"""Watching a real directory of receipts, and the line that a real terminal shows."""

import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pagecast import storage
from pagecast.dataset.layout import PLAN as PLAN_FILE
from pagecast.dataset.shard import plan_line
from pipeline.progress import terminal, watch
from pipeline.progress.counter import PARTS, State
from pipeline.progress.liveline import JobLine
from pipeline.progress.watch import Lines, ProgressThread, ReceiptScan
from tests.conftest import articles, write_parquet
from tests.pipeline.progress.test_counter import MODES, PLAN, receipt
from tests.support.stores import LONG, SMALL
from tests.support.terminal import Screen

ROOT = str(Path(__file__).parents[3])
PATIENCE = 600.0  # seconds; nothing here waits for them but a broken test


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An output directory with a plan of three shards and a file that cannot be read."""
    private = tmp_path / "_pagecast"
    (private / "shards").mkdir(parents=True)
    (private / PLAN_FILE).write_bytes(b"".join(map(plan_line, PLAN)))
    return tmp_path


def commit(out: Path, name: str, content: bytes) -> None:
    storage.commit(str(out / "_pagecast" / name), [content])


def look(at: ReceiptScan) -> State:
    return list(at.states())[-1]


def test_a_look_finds_what_is_committed(out: Path) -> None:
    commit(out, "shards/00000.json", receipt(0, 4))
    it = ReceiptScan(str(out), MODES)
    assert look(it) == State(1, 3, 4, 8, 840, 1)
    commit(out, "shards/00000.json", receipt(0, 5))  # once more
    commit(out, "shards/00001.jsonl", b"lines")
    commit(out, "shards/00001.json", receipt(1, 2))
    assert look(it) == State(2, 3, 7, 14, 1470, 1, 2, 7)
    (out / "_pagecast/shards/00000.json").unlink()
    assert look(it) == State(1, 3, 2, 4, 420, 1, 1, 2)


def test_a_receipt_at_fewer_modes_gives_way_to_a_whole_one_in_the_same_place(out: Path) -> None:
    path = out / "_pagecast/shards/00000.json"
    path.write_bytes(receipt(0, 4, ("tiny",)))
    it = ReceiptScan(str(out), MODES)
    assert look(it) == State(0, 3, errors=1)
    path.write_bytes(receipt(0, 4))  # the same file to a directory's listing
    os.utime(path, ns=(1, 1))
    assert look(it) == State(1, 3, 4, 8, 840, 1, 1, 4)


def test_parts_are_looked_at_when_all_shards_are_there(out: Path) -> None:
    it = ReceiptScan(str(out), MODES)
    for number in range(3):
        commit(out, f"shards/{number:05d}.json", receipt(number, 1))
    commit(out, "parts/val-00000-of-00001.json", b"")
    found = look(it)
    assert (found.phase, found.parts, found.parts_of) == (PARTS, 1, 2)


def test_many_receipts_are_told_of_bit_by_bit(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "TOGETHER", 2)
    for number in range(3):
        commit(out, f"shards/{number:05d}.json", receipt(number, 1))
    assert [state.shards for state in ReceiptScan(str(out), MODES).states()] == [2, 3, 3]


def test_receipts_that_cannot_be_read_have_their_turn_at_the_next_look(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> bytes:
        raise PermissionError(path)

    commit(out, "shards/00000.json", receipt(0, 4))
    it = ReceiptScan(str(out), MODES)
    with monkeypatch.context() as patch:
        patch.setattr("pagecast.storage.read.read_bytes", refuse)
        assert look(it).shards == 0
    assert look(it).shards == 1


def test_what_goes_wrong_is_no_concern_of_the_jobs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """There is no plan; then there is one, and the one who shows it fails."""
    (tmp_path / "_pagecast").mkdir()
    told: list[State] = []

    def show(state: State) -> None:
        told.append(state)
        raise OSError("the terminal is gone")

    with ProgressThread(str(tmp_path), MODES, show, 0.01):
        time.sleep(0.1)
        assert told == []
        commit(tmp_path, PLAN_FILE, b"".join(map(plan_line, PLAN)))
        until(lambda: len(told) > 2)
    assert capfd.readouterr() == ("", "")


def test_a_follower_ends_with_the_job(out: Path) -> None:
    with ProgressThread(str(out), MODES, lambda *_: None, 0.01):
        until(lambda: "progress" in [thread.name for thread in threading.enumerate()])
    until(lambda: "progress" not in [thread.name for thread in threading.enumerate()])


def test_a_line_is_said_now_and_then_in_a_log(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    lines, state = Lines(JobLine(3, lambda: clock[0])), State(1, 3, 4, 8, 840, 1)
    for now in (100, 129.9, 130, 131, 159, 160.4):
        clock[0] = now
        lines(state)
    assert capsys.readouterr().err == (
        "pagecast: 1 of 3 shards, 4 samples, 840 bytes, 1 error, 30 s\n"
        "pagecast: 1 of 3 shards, 4 samples, 840 bytes, 1 error, 60 s\n"
    )


def test_watching_tells_a_log_and_nothing_when_quiet(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terminal, "INTERVAL", 0.01)
    commit(out, "shards/00000.json", receipt(0, 4))
    err = ""
    with watch.watch(str(out), 3, MODES):
        while "\n" not in err:
            time.sleep(0.01)
            err += capsys.readouterr().err
    assert err.startswith("pagecast: 1 of 3 shards, 4 samples, 840 bytes, 1 error, 0 s\n")
    monkeypatch.setattr(terminal, "_quiet", True)
    with watch.watch(str(out), 3, MODES):
        time.sleep(0.2)
    assert "progress" not in [thread.name for thread in threading.enumerate()]


class AtTerminal:
    """A process whose error stream is a terminal."""

    def __init__(self, *command: str, cwd: Path, **environment: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, *command], stdin=theirs, stdout=subprocess.PIPE, stderr=theirs,
            cwd=cwd, start_new_session=True,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "80", **environment},
        )  # fmt: skip
        os.close(theirs)
        self.output = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._ours, 4096)
            except OSError:  # the last process that had it is gone
                return
            self.output += piece.decode(errors="replace")

    def end(self) -> tuple[int, str, Screen]:
        """Return the exit code, the standard output and what the terminal shows in the end."""
        assert self.process.stdout is not None
        out = self.process.stdout.read().decode()
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code, out, Screen().show(self.output)


RUN = ("-m", "pipeline", "run", "--input", "in.parquet", "--output_dir", "out", *SMALL.split())
MANY = (*RUN, "--workers", "2")
FEW = (*RUN, "--workers", "1", "--num_articles", "3")


@pytest.fixture
def job(tmp_path: Path, small_tokenizer: Path) -> Path:
    """A directory with an input of many small shards."""
    write_parquet(tmp_path / "in.parquet", articles(*[LONG] * 30), group_rows=6)
    (tmp_path / "small").symlink_to(small_tokenizer / "small")
    return tmp_path


def test_a_terminal_is_left_in_order_at_the_end(job: Path) -> None:
    it = AtTerminal(*FEW, cwd=job)
    code, out, screen = it.end()
    assert code == 0
    assert re.search(r"\d of 3 shards", it.output)
    assert screen.rows == [""]
    assert screen.cursor
    assert out.startswith("articles in  3\n")


def test_quiet_leaves_the_table_alone(job: Path) -> None:
    code, out, screen = AtTerminal(*FEW, "--quiet", cwd=job).end()
    assert code == 0
    assert screen.rows == [""]
    assert out.startswith("articles in  3\n")


def test_verbose_says_what_workers_do_in_whole_lines_above_the_live_one(job: Path) -> None:
    it = AtTerminal(*FEW, "--workers", "2", "--verbose", cwd=job)
    code, _, _ = it.end()
    assert code == 0
    rows = Screen(width=10_000).show(it.output).rows
    assert "pagecast: info: worker, sdk_worker_main.py:" in "\n".join(rows)
    assert [row for row in rows if not row.startswith("pagecast: info: ")] == [
        row for row in rows if row.startswith("pagecast: warning: ")
    ]


HELD = """
import os
from rich.live import Live
from pipeline.progress.terminal import Terminal, at_bottom, release, say
with at_bottom(Live("1 of 2 shards", console=Terminal(), redirect_stdout=False, transient=True)):
    say("error: a worker died")
    release()
    os._exit(1)
"""


def test_a_terminal_is_left_in_order_by_a_process_that_ends_at_once(job: Path) -> None:
    code, out, screen = AtTerminal("-c", HELD, cwd=job, PYTHONPATH=ROOT).end()
    assert (code, out) == (1, "")
    assert screen.rows == ["pagecast: error: a worker died"]
    assert screen.cursor


def test_a_terminal_is_left_in_order_after_ctrl_c(job: Path) -> None:
    it = AtTerminal(*MANY, cwd=job)
    until(lambda: re.search(r"\d of 30 shards", it.output))
    os.killpg(it.process.pid, signal.SIGINT)
    code, out, screen = it.end()
    assert (code, out) == (130, "")
    assert screen.rows == ["pagecast: stopped; give the same command again to go on"]
    assert screen.cursor
