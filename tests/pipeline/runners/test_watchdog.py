"""Workers that die or hang, a launcher that is stopped: noticed, said in a line, nothing lost."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil
import pytest

from pagecast.dataset.layout import MANIFEST
from pipeline.commands.run import GO_ON
from pipeline.runners import signals, watchdog
from pipeline.runners.forkserver import BEATS, ForkServer
from pipeline.runners.watchdog import Watchdog, Worker, describe_end
from tests.conftest import SAMPLE, Outcome, RunCommand, tree

MB = 1 << 20
PATIENCE = 600  # seconds, for what would else wait for ever; a slow machine needs some


@pytest.mark.parametrize(
    ("code", "free", "text"),
    [
        (-9, 50, "was killed (SIGKILL); it had 400 MB of memory, and 50 of 1000 MB were free: too"),
        (-9, 500, "was killed (SIGKILL); it had 400 MB of memory"),
        (-11, 50, "was killed (SIGSEGV); it had 400 MB of memory"),
        (-99, 500, "was killed (signal 99); it had 400 MB of memory"),
        (3, 500, "exited with code 3; what it printed is above"),
    ],
)
def test_the_cause_is_told_as_far_as_it_is_known(code: int, free: int, text: str) -> None:
    found = describe_end(code, 400 * MB, free * MB, 1000 * MB)
    assert found.startswith(text)
    assert ("too little memory" in found) == (code == -9 and free == 50)


WORKER = (
    "import time; from pipeline.runners.watchdog import beat_for_ever; beat_for_ever(); "
    "time.sleep(99)"
)
COMMAND = (sys.executable, "-c", WORKER)


def start(environment: Mapping[str, str], beats: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        COMMAND,
        env={**environment, BEATS: str(beats)},
        stdin=subprocess.DEVNULL,
        pass_fds=[beats],
    )


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


NOWHERE = 'url: "unix:/nowhere"'
ALONE = {  # a worker of Beam's that nobody answers
    **os.environ, "WORKER_ID": "1", "PIPELINE_OPTIONS": "{}",
    "CONTROL_API_SERVICE_DESCRIPTOR": NOWHERE, "LOGGING_API_SERVICE_DESCRIPTOR": NOWHERE,
}  # fmt: skip


def is_idle() -> bool:
    return False


class Process:
    """A process that does not end, or has ended, as a watchdog knows it."""

    def __init__(self, code: int | None = None) -> None:
        self.pid, self._code, self.killed = os.getpid(), code, False

    def poll(self) -> int | None:
        return self._code

    def kill(self) -> None:
        self.killed = True


BUSY, IDLE = True, False
AT = "read shard 1 of a"


@pytest.mark.parametrize(
    ("seen", "stalled"),
    [
        ([(BUSY, [7]), (BUSY, [7]), (BUSY, [7])], 2),
        ([(BUSY, [7]), (BUSY, [8]), (BUSY, [9])], 0),
        ([(BUSY, [7]), (BUSY, [7]), (IDLE, [7])], 0),
        ([(BUSY, []), (BUSY, []), (BUSY, [0]), (BUSY, [0])], 1),
        # What a launcher that was suspended finds is one look's.
        ([(BUSY, [7]), (BUSY, [7] * 500 + [8])], 0),
        ([(BUSY, [7]), (BUSY, [7] * 500)], 1),
    ],
)
def test_only_one_that_is_at_work_and_gets_no_further_counts(
    seen: list[tuple[bool, list[int]]], stalled: int
) -> None:
    (beats, write), busy = os.pipe(), BUSY
    os.set_blocking(beats, False)
    worker = Worker(Process(), beats, lambda: busy)  # type: ignore[arg-type]
    for busy, done in seen:  # noqa: B007
        for number in done:
            os.write(write, b'[%d, "%s"]\n' % (number, AT.encode()))
        worker.look()
    os.close(write)
    worker.forget()
    assert (worker.polls_stalled, worker.at) == (stalled, AT)


def test_one_that_is_gone_without_an_error_is_noticed() -> None:
    watch = Watchdog(None, lambda _: None, stall_minutes=1)
    watch._workers = [Worker(Process(code=0), os.open(os.devnull, os.O_RDONLY), is_idle)]  # type: ignore[arg-type]
    *before, told = (watch._poll() for _ in range(watchdog.GONE))
    assert not any(before)
    assert told == f"worker {os.getpid()} is gone, nobody knows why"
    watch._workers[0].forget()


STUCK = """
import sys
if "pipeline.runners.worker" in sys.orig_argv:
    import threading
    from pipeline.runners import watchdog
    watchdog.BEAT = 1.0
    import transforms.render.pages
    transforms.render.pages.render_sample = lambda *_: threading.Event().wait()
"""


def test_a_worker_that_answers_and_gets_no_further_ends_the_run_and_is_named(
    tmp_path: Path, run: RunCommand, small_tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stuck").mkdir()
    (tmp_path / "stuck/sitecustomize.py").write_text(STUCK)
    paths = [str(tmp_path / "stuck"), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setattr(watchdog, "MINUTE", 1)
    look = Worker.look

    def look_when_it_draws(self: Worker) -> None:
        look(self)
        if "render" not in self.at:  # however long a slow machine takes until then
            self.polls_stalled = 0

    monkeypatch.setattr(Worker, "look", look_when_it_draws)
    small = small_tokenizer / "small"
    done = run(SAMPLE, options=f"--workers 2 --stall_minutes 4 --tokenizer {small}")
    assert (done.code, done.out) == (1, "")
    assert re.fullmatch(
        r"pagecast: error: worker \d+ got no further for 4 minutes and was stopped "
        r"\(it began last: render article enwiki/\d+ \(row \d+\)\); where it was only slow, "
        rf"give more --stall_minutes; {GO_ON}\n",
        done.err,
    )


def test_a_worker_that_does_not_answer_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setenv("TMPDIR", "/nowhere")  # what tells of life needs no files
    with Watchdog(start, told.append, stall_minutes=30) as watch:
        process = watch.start(os.environ, is_idle)
        until(lambda: watch._workers[0].polls_silent > 1)
        until(lambda: watch._workers[0].polls_silent == 0)  # it has answered
        os.kill(process.pid, signal.SIGSTOP)
        monkeypatch.setattr(watchdog, "SILENT", 3)
        until(lambda: told)
    assert told == [f"worker {process.pid} did not answer for 3 s and was stopped"]
    assert process.wait(PATIENCE) == -signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_reaches_no_worker_however_young(number: int) -> None:
    with ForkServer() as server, Watchdog(server.start, lambda _: None, stall_minutes=30) as watch:
        server._process.send_signal(number)
        process = watch.start(ALONE, is_idle)
        os.kill(process.pid, number)
        time.sleep(1)
        assert process.poll() is None
        process.kill()
        assert process.wait(PATIENCE) == -signal.SIGKILL


def test_where_the_server_is_gone_no_worker_is_started_and_those_there_are_end() -> None:
    with ForkServer() as server, Watchdog(server.start, lambda _: None, stall_minutes=30) as watch:
        worker = watch.start(ALONE, is_idle)
        server._process.kill()
        assert worker.wait(PATIENCE) == -signal.SIGKILL
        until(lambda: not psutil.pid_exists(worker.pid))
        with pytest.raises(OSError, match="the process that starts workers ended with code -9"):
            watch.start(ALONE, is_idle)


def test_a_worker_whose_server_is_gone_before_it_looks_ends_too() -> None:
    """The parent that it finds is then another process already."""
    script = WORKER.replace("beat_for_ever()", "beat_for_ever(2**22 + 1)")  # more than ids go to
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 1


def test_a_worker_killed_by_the_stop_of_the_job_is_no_accident(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signals, "stopped", lambda: True)
    told: list[str] = []
    with Watchdog(start, told.append, stall_minutes=30) as watch:
        watch.start(os.environ, is_idle).kill()
        watch.wait_for_cause()
    assert not told


def test_workers_end_with_their_launcher() -> None:
    script = (
        "import subprocess, sys, time; "
        f"print(subprocess.Popen([sys.executable, '-c', {WORKER!r}]).pid, flush=True); "
        "time.sleep(99)"
    )
    launcher = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert launcher.stdout is not None
    worker = psutil.Process(int(launcher.stdout.readline()))
    time.sleep(2)
    launcher.kill()
    launcher.wait()
    until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)


class Job:
    """The demo with two workers, one article a shard, in a process group of its own."""

    def __init__(self, out: Path, **environment: str) -> None:
        self.out = out
        command = [sys.executable, "-P", "-m", "pipeline", "run", "--input", SAMPLE]
        self.process = subprocess.Popen(
            [*command, "--output_dir", str(out), "--workers", "2", "--shard_rows", "1",
             "--no_report"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            cwd=out.parent, env={**os.environ, **environment},
        )  # fmt: skip

    def workers(self) -> list[psutil.Process]:
        servers = psutil.Process(self.process.pid).children()
        return [worker for server in servers for worker in server.children()]

    def wait_for_shards(self, count: int = 3) -> list[psutil.Process]:
        until(lambda: len(list((self.out / "_pagecast/shards").glob("*.json"))) >= count)
        return self.workers()

    def end(self) -> Outcome:
        out, err = self.process.communicate(timeout=PATIENCE)
        return Outcome(self.process.returncode, out, err, self.out)


def same(out: Path, demo: Outcome) -> bool:
    return tree(out) == tree(demo.path)


def test_a_killed_worker_ends_the_run_in_a_line_and_the_same_command_goes_on(
    tmp_path: Path, demo: Outcome
) -> None:
    (temporary := tmp_path / "tmp").mkdir()
    job = Job(tmp_path / "out", TMPDIR=str(temporary))
    workers = job.wait_for_shards()
    workers[1].kill()
    found = job.end()
    assert (found.code, found.out) == (1, "")
    assert not any(worker.is_running() for worker in workers)
    assert not list(temporary.glob("pagecast-*"))
    said = [line for line in found.err.splitlines() if " shards, " not in line]
    assert len(said) == 1, said
    (line,) = said
    assert line.startswith("pagecast: error: a worker was killed (SIGKILL); it had ")
    assert line.endswith("finished shards are kept, and the same command goes on from there")
    receipts = list((job.out / "_pagecast/shards").glob("*.json"))
    kept = {path: path.stat().st_mtime_ns for path in receipts}
    assert Job(job.out).end().code == 0
    assert {path: path.stat().st_mtime_ns for path in receipts} == kept
    assert same(job.out, demo)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_job_ends_within_seconds_and_leaves_no_process(
    tmp_path: Path, demo: Outcome, run: RunCommand, number: signal.Signals
) -> None:
    job = Job(tmp_path / "out")
    workers = job.wait_for_shards()
    assert len(workers) == 2
    os.killpg(job.process.pid, number)  # as a terminal does
    found = job.end()
    assert not (job.out / MANIFEST).exists()  # it did not go on to its end
    assert (found.code, found.out) == (130, "")
    assert found.err.endswith("pagecast: stopped; give the same command again to go on\n")
    assert "Traceback" not in found.err
    assert not any(worker.is_running() for worker in workers)
    assert run(SAMPLE, options="--shard_rows 1").code == 0
    assert same(job.out, demo)


def test_a_stop_leaves_alone_what_the_program_had_started_before() -> None:
    sleeps = [sys.executable, "-c", "import time; time.sleep(99)"]
    with subprocess.Popen(sleeps) as other:
        others = signals.children()
        with pytest.raises(KeyboardInterrupt), signals.stoppable(lambda _: None, others):
            worker = subprocess.Popen(sleeps)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(10)
        signals.forget()
        assert not psutil.pid_exists(worker.pid)
        assert other.poll() is None
        other.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_job_elsewhere_is_interrupted_whoever_took_the_signal(number: int) -> None:
    """Beam's job server takes SIGINT for itself, and would end before the job is cancelled."""
    before = signal.signal(number, lambda *_: None)
    try:
        # The flag is this process's; what comes after is another command.
        with pytest.raises(KeyboardInterrupt), signals.interruptible():
            os.kill(os.getpid(), number)
            time.sleep(10)
        os.kill(os.getpid(), number)  # as it was
    finally:
        signal.signal(number, before)
