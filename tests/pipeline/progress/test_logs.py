"""What of Beam's and other libraries' logs a person sees."""

import logging
from collections.abc import Iterator

import apache_beam
import pytest
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.portability.local_job_service import BeamFnLoggingServicer

from pipeline.progress import logs

Severity = beam_fn_api_pb2.LogEntry.Severity


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """Have the root logger to ourselves, as a command has."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers[:] = []
    logs.begin()
    logs.choose(verbose=False)
    yield
    logs.choose(verbose=False)
    root.handlers[:] = before
    root.setLevel(level)


def log_all(name: str, message: str = "one\ntwo\x1b[2J") -> None:
    for level in (logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        logging.getLogger(name).log(level, message)


def test_warnings_are_lines_of_ours_and_the_rest_is_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log_all("some.library")
    assert capsys.readouterr().err == "".join(
        f"pagecast: {level}: one\ntwo\\x1b[2J\n" for level in ("warning", "error", "critical")
    )


def test_verbose_also_says_what_libraries_tell_and_who_it_was(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.choose(verbose=True)
    logging.getLogger("some.library").info("at %d", 50000)
    logging.getLogger("apache_beam.typehints.native").info("a type hint")
    logging.getLogger("some.library").warning("no key")
    assert capsys.readouterr().err == (
        "pagecast: info: some.library: at 50000\npagecast: warning: no key\n"
    )


@pytest.mark.parametrize("name", ["apache_beam.runners.worker.sdk_worker", "root"])
def test_echoes_are_left_out_but_not_with_verbose(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    silence = logs.silence_job_servers if name == "root" else logs.silence_echoes
    silence()
    log_all(name, "x")
    assert capsys.readouterr().err == "pagecast: critical: x\n"
    logs.choose(verbose=True)
    log_all(name, "y")
    assert capsys.readouterr().err.splitlines() == [
        f"pagecast: info: {name}: y", "pagecast: warning: y", "pagecast: error: y",
        "pagecast: critical: y",
    ]  # fmt: skip


def from_worker(severity: int, message: str, place: str) -> None:
    """Let Beam take a message from a worker."""
    entry = beam_fn_api_pb2.LogEntry(severity=severity, message=message, log_location=place)
    entry.thread = 'Thread "1"'
    entry.timestamp.seconds = 7
    BeamFnLoggingServicer().Logging([beam_fn_api_pb2.LogEntry.List(log_entries=[entry])])


def from_workers() -> None:
    ours, beams = (
        f"{logs.OURS[0]}tokens/tokenizer.py:79",
        "/lib/apache_beam/runners/worker/sdk_worker.py:1",
    )
    from_worker(Severity.WARN, 'fastokens "gave up"\non a text', ours)
    from_worker(Severity.INFO, "a detail", ours)
    from_worker(Severity.ERROR, "an echo", beams)
    from_worker(Severity.INFO, "Creating channel", beams)


def test_of_workers_only_our_warnings_are_heard(capsys: pytest.CaptureFixture[str]) -> None:
    from_workers()
    log_all(logs.WORKERS, "the service itself")
    assert capsys.readouterr().err == 'pagecast: warning: fastokens "gave up"\non a text\n'


def test_with_verbose_all_that_workers_say_is_heard(capsys: pytest.CaptureFixture[str]) -> None:
    logs.choose(verbose=True)
    from_workers()
    logging.getLogger(logs.WORKERS).info("the service itself")
    assert capsys.readouterr().err.splitlines() == [
        'pagecast: warning: fastokens "gave up"',
        "on a text",
        "pagecast: info: worker, tokenizer.py:79: a detail",
        "pagecast: error: an echo",
        "pagecast: info: worker, sdk_worker.py:1: Creating channel",
        f"pagecast: info: {logs.WORKERS}: the service itself",
    ]


def test_a_workers_trace_comes_with_its_message(capsys: pytest.CaptureFixture[str]) -> None:
    logs.choose(verbose=True)
    entry = beam_fn_api_pb2.LogEntry(severity=Severity.ERROR, message="oh", trace="Traceback\n x")
    BeamFnLoggingServicer().Logging([beam_fn_api_pb2.LogEntry.List(log_entries=[entry])])
    assert capsys.readouterr().err == "pagecast: error: oh\nTraceback\n x\n"


def test_handlers_of_others_stay() -> None:
    handler = logging.NullHandler()
    logging.getLogger().handlers[:] = [handler]
    logs.begin()
    assert logging.getLogger().handlers == [handler]


def test_what_beam_warns_of_as_it_is_imported_is_left_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Google's libraries it does, and a first run needs none of them."""
    monkeypatch.setattr(apache_beam.__spec__, "_initializing", True)
    log_all("root", "x")
    assert capsys.readouterr().err == "pagecast: error: x\npagecast: critical: x\n"
    monkeypatch.setattr(apache_beam.__spec__, "_initializing", False)
    log_all("root", "y")
    assert capsys.readouterr().err.startswith("pagecast: warning: y\n")
