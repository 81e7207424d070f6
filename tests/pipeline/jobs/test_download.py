"""The command `download` against a hub: what it fetches, checks, goes on with and refuses."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands.download import BEGUN, STAGE
from pipeline.launch import inputs, source
from pipeline.options import UsageError
from pipeline.progress.terminal import readable
from tests.conftest import Command, Result, quiet
from tests.support.hub import FINEWIKI, FakeHub

A, B = "data/enwiki/000.parquet", "data/enwiki/001.parquet"
BIG = bytes(range(256)) * (20 << 10)  # 5 MiB
FILES = {A: BIG, B: b"second", "data/enwiki/notes.txt": b"no", "data/frwiki/000.parquet": b"fr",
         "data/eowiki/000.parquet": b"eo", "README.md": b"#"}  # fmt: skip


@pytest.fixture
def commit(hub: FakeHub) -> str:
    return hub.push(FINEWIKI, FILES)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.commands.download.WAITS", (0.0,) * 4)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "wiki"


def line(out: Path, options: str = "--language en") -> str:
    return f"download {options} --output_dir {out}"


def found_in(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()
    }


def pin(out: Path) -> Any:
    return json.loads((out / source.PINNED).read_text())


def refused(done: Result, code: int = 2) -> str:
    assert (done.code, done.out, done.err.count("\n")) == (code, "", 1), done
    assert done.err.startswith("pagecast: error: ")
    return done.err


def test_a_language_is_fetched_checked_and_pinned(
    hub: FakeHub, commit: str, out: Path, command: Command
) -> None:
    hub.page = 1  # listings have pages
    done = command(line(out))
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        f"{FINEWIKI} at {commit}: 2 files, 5.2 MB, 2 of them fetched now, all checked; in {out}\n"
    )
    assert found_in(out).keys() == {A, B, source.PINNED}
    assert found_in(out)[A] == BIG
    assert pin(out) == {
        "repo": FINEWIKI,
        "revision": "main",
        "commit": commit,
        "files": [
            {
                "path": name,
                "bytes": len(FILES[name]),
                "sha256": hashlib.sha256(FILES[name]).hexdigest(),
            }
            for name in (A, B)
        ],
    }
    assert hub.tokens_sent_away == 0


def test_what_is_there_is_not_fetched_again_and_what_is_damaged_is(
    hub: FakeHub, commit: str, out: Path, command: Command
) -> None:
    assert command(line(out)).code == 0
    hub.content.clear()
    again = command(line(out))
    assert (again.code, again.err) == (0, "")
    assert "0 of them fetched now" in again.out
    assert hub.content == []
    (out / A).write_bytes(b"x" + BIG[1:])
    mended = command(line(out))
    assert mended.err == f"pagecast: {out / A} is not as the hub has it, and is fetched again\n"
    assert "1 of them fetched now" in mended.out
    assert (out / A).read_bytes() == BIG
    (out / B).write_bytes(b"secon")
    assert command(line(out)).code == 0
    assert (out / B).read_bytes() == b"second"


def test_small_files_are_known_by_gits_hash(
    hub: FakeHub, commit: str, out: Path, command: Command
) -> None:
    hub.small = 100
    assert command(line(out)).code == 0
    assert pin(out)["files"][1]["sha256"] == hashlib.sha256(b"second").hexdigest()
    (out / B).write_bytes(b"secomd")
    assert command(line(out)).code == 0
    assert (out / B).read_bytes() == b"second"


def test_more_of_the_same_commit_comes_beside_it(
    hub: FakeHub, commit: str, out: Path, command: Command
) -> None:
    assert command(line(out)).code == 0
    assert command(line(out, "--subset frwiki")).code == 0
    assert [file["path"] for file in pin(out)["files"]] == [A, B, "data/frwiki/000.parquet"]


def test_a_branch_that_moved_is_not_mixed_with_what_is_there(
    hub: FakeHub, commit: str, out: Path, command: Command
) -> None:
    assert command(line(out)).code == 0
    later = hub.push(FINEWIKI, {**FILES, B: b"other"})
    assert refused(command(line(out))) == (
        f"pagecast: error: {out} has files of commit {commit}, main is {later} now; choose another "
        f"--output_dir, or go on with --revision {commit}\n"
    )
    assert (out / B).read_bytes() == b"second"
    assert command(line(out, f"--language en --revision {commit}")).code == 0
    hub.push("o/n", {"a.parquet": b"x"})
    assert f"has files of {FINEWIKI}; choose another" in refused(command(line(out, "--repo o/n")))
    (out / source.PINNED).write_text("[1]")
    assert "pagecast-source.json is damaged (TypeError: " in refused(command(line(out)))


def test_other_datasets_whole_or_in_part(hub: FakeHub, tmp_path: Path, command: Command) -> None:
    hub.push("o/n", {"x/a.parquet": b"1", "b.parquet": b"2", "c.csv": b"3"}, "v 2/é")
    hub.push("o/n", {"c.csv": b"3"})
    assert command(line(tmp_path / "part", "--repo o/n --subset x --revision v%202/é")).code == 2
    hub.xet = True  # which would go by other ways, and into HOME
    (home := tmp_path / "home").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "download", "--repo", "o/n", "--revision", "v 2/é",
         "--output_dir", tmp_path / "all"],
        check=False, capture_output=True, text=True, env={**os.environ, "HOME": str(home)},
    )  # fmt: skip
    assert (done.returncode, quiet(done.stderr)) == (0, "")
    assert not list(home.iterdir())
    assert {request.path for request in hub.requests if "/o/n/" not in request.path} == set()
    assert found_in(tmp_path / "all").keys() == {"x/a.parquet", "b.parquet", source.PINNED}
    assert pin(tmp_path / "all")["revision"] == "v 2/é"
    assert "o/n has no parquet files" in refused(command(line(tmp_path / "no", "--repo o/n")))


NOTHING = "HuggingFaceFW/finewiki has nothing by that name at COMMIT; the nearest: "
WRONG = {
    "": "--language is missing: which Wikipedia, e.g. --language en?",
    "--language enn": f"--language enn: {NOTHING}en,",
    "--language en --revision v9": "no such revision: 'hf://datasets/HuggingFaceFW/finewiki@v9'",
    "--repo no/body": "no such repository: 'hf://datasets/no/body@main'",
    "--repo nobody": "--repo nobody must be like HuggingFaceFW/finewiki",
    "--repo o/n --language en": "--language is of HuggingFaceFW/finewiki; for another --repo give",
    "--subset dewiki": f"--subset dewiki: {NOTHING}",
    "--language en --subset x": "--language names a subset already: choose it or --subset",
    "--language en --workers 0": '"0" for --workers. Must be >= 1',
    "--language en --output_dir s3://b/x": "--output_dir s3://b/x: files are fetched to a disk",
    "--language en --output_dir FILE": "is a file, not a directory",
    "--lang en": "unknown option --lang; did you mean --language?",
}


@pytest.mark.parametrize("options", WRONG)
def test_wrong_use_is_one_line_and_fetches_nothing(
    hub: FakeHub, commit: str, tmp_path: Path, command: Command, options: str
) -> None:
    (tmp_path / "file").write_bytes(b"")
    given = f"--output_dir {tmp_path / 'wiki'} {options.replace('FILE', str(tmp_path / 'file'))}"
    assert WRONG[options].replace("COMMIT", commit) in refused(command(f"download {given}"))
    assert not (tmp_path / "wiki").exists()
    assert hub.content == []


def test_a_token_that_is_missing_or_refused(
    hub: FakeHub, commit: str, out: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = "good"
    assert "[Errno 13] the hub wants a token (401): set HF_TOKEN: 'hf://" in refused(
        command(line(out))
    )
    monkeypatch.setenv("HF_TOKEN", "bad")
    assert "refuses the token (401); set HF_TOKEN to one that may read" in refused(
        command(line(out))
    )
    monkeypatch.setenv("HF_TOKEN", "good")
    assert command(line(out)).code == 0
    assert hub.tokens_sent_away == 0  # the store that the hub sends to gets none


def test_a_connection_that_breaks_goes_on_where_it_broke(
    hub: FakeHub, commit: str, out: Path, command: Command
) -> None:
    hub.cut, hub.statuses = 3, [503, 429, 500]
    done = command(line(out, "--language en --workers 1"))
    assert (done.code, done.err) == (0, "")
    assert (out / A).read_bytes() == BIG
    firsts = [int((r.range or "bytes=0-")[6:-1]) for r in hub.content if r.path == A]
    assert firsts[0] == 0
    assert firsts == sorted(set(firsts))
    assert len(firsts) == 4
    assert firsts[-1] > len(BIG) // 2
    assert hub.waits == [1] * 4  # for each that broke, and for the 429


def test_a_connection_that_is_reset_costs_no_more(
    hub: FakeHub, commit: str, out: Path, command: Command
) -> None:
    hub.cut, hub.reset = 5, True
    assert command(line(out, "--language en --workers 1")).err == ""
    assert (out / A).read_bytes() == BIG
    assert hub.waits == [1] * 5


def test_a_hub_that_goes_away_is_one_line_and_the_same_command_goes_on(
    hub: FakeHub, commit: str, out: Path, command: Command
) -> None:
    stays = [503] * 50

    class Later(list[int]):  # after the first file
        def __bool__(self) -> bool:
            return len(hub.content) > 0 and bool(stays)

        def pop(self, _: Any = 0) -> int:
            return stays.pop()

    hub.statuses = Later()
    error = refused(command(line(out, "--language en --workers 1")), code=1)
    assert f"hf://datasets/{FINEWIKI}@{commit}/{B}: " in error
    assert "503" in error
    assert error.endswith("; files that are whole are kept, the same command goes on from there\n")
    assert found_in(out).keys() == {A, BEGUN}
    # The branch moves, but what was begun is ended.
    hub.push(FINEWIKI, {**FILES, B: b"other"})
    hub.statuses, hub.content = [], []
    assert "1 of them fetched now" in command(line(out)).out
    assert pin(out)["commit"] == commit
    assert found_in(out).keys() == {A, B, source.PINNED}
    assert {request.path for request in hub.content} == {B}


def test_a_killed_download_goes_on_and_leaves_nothing_behind(
    hub: FakeHub, commit: str, out: Path, command: Command
) -> None:
    hub.stall = threading.Event()
    process = start(out)
    wait_for(lambda: gathered(out) > 0)
    assert stat.S_IMODE((out / STAGE).stat().st_mode) == 0o700
    with pytest.raises(UsageError, match="no parquet file there"):
        inputs.find_files([str(out)])
    process.kill()
    process.wait()
    hub.stall.set()
    assert gathered(out) > 0
    assert command(line(out)).code == 0
    assert found_in(out).keys() == {A, B, source.PINNED}
    assert [path.name for path in out.iterdir()] == ["data", source.PINNED]
    assert (out / A).read_bytes() == BIG


def test_ctrl_c_stops_at_once_and_says_how_to_go_on(hub: FakeHub, commit: str, out: Path) -> None:
    hub.stall = threading.Event()
    process = start(out)
    wait_for(lambda: gathered(out) > 0)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=600)
    hub.stall.set()
    assert process.returncode == 130
    assert quiet(err) == "pagecast: stopped; give the same command again to go on\n"


def gathered(out: Path) -> int:
    """Return how many bytes there are of files that are not whole yet."""
    return sum(path.stat().st_size for path in (out / STAGE).rglob("*.incomplete"))


def start(out: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", *line(out).split()],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for(what: Any) -> None:
    end = time.monotonic() + 600
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_hub_that_sends_something_else_is_not_believed(
    hub: FakeHub, commit: str, out: Path, command: Command
) -> None:
    hub.lie = b"x" * len(BIG)
    error = refused(command(line(out, "--language en --workers 1")), code=1)
    assert "what the hub sends has the hash " in error
    hub.lie = b"x" * (len(BIG) - 1)
    error = refused(command(line(out, "--language en --workers 1")), code=1)
    assert f"file should be of size {len(BIG)} but has size {len(BIG) - 1}" in error
    assert found_in(out).keys() == {BEGUN}


def test_content_that_does_not_end_is_cut_off(
    hub: FakeHub, commit: str, out: Path, command: Command
) -> None:
    hub.endless = True
    error = refused(command(line(out, "--language en --workers 1")), code=1)
    assert f"{A}: the hub sends more than its {len(BIG)} bytes; files that are whole are" in error
    assert found_in(out).keys() == {BEGUN}
    assert hub.sent < 100 << 20


def test_a_disk_that_is_too_small(
    hub: FakeHub, commit: str, out: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 5_000_000))
    assert refused(command(line(out))) == (
        f"pagecast: error: --output_dir {out}: 5.2 MB are to be fetched, 5.0 MB are free\n"
    )
    assert not out.exists()
    (out / B).parent.mkdir(parents=True)
    (out / B).write_bytes(FILES[B])
    assert "5.2 MB are to be fetched, 5.0 MB are free" in refused(command(line(out)))
    assert found_in(out).keys() == {B}
    (out / A).write_bytes(BIG)  # what is there needs no more room
    assert command(line(out)).code == 0


def test_a_disk_that_fills_up_is_named(
    hub: FakeHub, commit: str, out: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("huggingface_hub.file_download.http_get", full)
    error = refused(command(line(out)), code=1)
    assert f"[Errno 28] No space left on device: '{out}/{STAGE}/data/enwiki/00" in error


def test_two_downloads_into_one_directory(
    hub: FakeHub, commit: str, out: Path, command: Command
) -> None:
    out.mkdir()
    other = os.open(out, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    error = refused(command(line(out)), code=1)
    assert f"another process is fetching files into {out}" in error
    os.close(other)
    assert command(line(out)).code == 0


def test_no_network_is_one_line(
    hub: FakeHub, out: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    error = refused(command(line(out)), code=1)
    assert f"StoreError: hf://datasets/{FINEWIKI}@main: " in error
    assert hub.waits == [1, 2, 4, 8, 8]
    monkeypatch.setenv("HF_ENDPOINT", "nonsense")
    assert refused(command(line(out)), code=1)
    assert len(hub.waits) == 5, "this will not pass"


def test_bytes_for_people() -> None:
    assert [readable(n) for n in (0, 999, 1000, 5_242_880, 40_100_000_000)] == [
        "0 bytes", "999 bytes", "1.0 kB", "5.2 MB", "40.1 GB",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "make",
    [
        lambda stage, foreign: stage.symlink_to(foreign.parent),
        lambda stage, foreign: stage.hardlink_to(foreign),
        lambda stage, _: os.mkfifo(stage),
    ],
)
def test_files_are_gathered_in_a_directory_of_their_own(
    command: Command, commit: str, out: Path, tmp_path: Path, make: Any
) -> None:
    (foreign := tmp_path / "foreign").mkdir()
    (foreign / "file").write_bytes(b"foreign")
    out.mkdir()
    make(out / STAGE, foreign / "file")
    assert f"{out / STAGE} is in the way: " in refused(command(line(out)), 1)
    assert found_in(foreign) == {"file": b"foreign"}


def test_nothing_is_fetched_through_a_linked_directory(
    command: Command, commit: str, out: Path, tmp_path: Path
) -> None:
    (tmp_path / "foreign").mkdir()
    out.mkdir()
    (out / "data").symlink_to(tmp_path / "foreign")
    assert f"{out}/data is a link" in refused(command(line(out)), 1)
    assert not list((tmp_path / "foreign").iterdir())


@pytest.mark.parametrize("name", [B, source.PINNED])
def test_a_pipe_in_place_of_a_file_is_left(
    command: Command, commit: str, out: Path, name: str
) -> None:
    (out / name).parent.mkdir(parents=True)
    os.mkfifo(out / name)
    assert f"{out / name} is a pipe" in refused(command(line(out)), 1)
    assert (out / name).is_fifo()
