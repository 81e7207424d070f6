import fcntl
import json
import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import psutil
import pytest

from pagecast import storage
from pagecast.storage.errors import StoreError
from pipeline.__main__ import main
from pipeline.launch.output import lock
from pipeline.options import UsageError
from tests.conftest import RunCommand, articles, write_parquet

HOLDER = textwrap.dedent("""
    import sys
    from pipeline.launch.output import lock
    with lock.hold(sys.argv[1]):
        print("held", flush=True)
        sys.stdin.readline()
""")


def path_of(out: Path) -> Path:
    return out / "_pagecast/lock"


def holder(out: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(out)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_refuses_while_the_first_lives(tmp_path: Path) -> None:
    process = holder(tmp_path)
    for _ in range(2):  # to refuse is not to take
        with pytest.raises(UsageError) as error, lock.hold(str(tmp_path)):
            pass
        text = str(error.value)
        assert f"is in use by process {process.pid} on {socket.gethostname()}, since 20" in text
        assert "--force_unlock" in text
    process.communicate("\n")
    with lock.hold(str(tmp_path)):
        owner = json.loads(path_of(tmp_path).read_text())
        assert owner["pid"] == os.getpid()
    assert path_of(tmp_path).read_bytes() == b""


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    process = holder(tmp_path)
    process.kill()
    process.wait()
    assert json.loads(path_of(tmp_path).read_text())["pid"] == process.pid
    with lock.hold(str(tmp_path)):
        pass


def owner(**change: Any) -> str:
    return json.dumps({**lock._myself(), **change})


@pytest.mark.parametrize(
    "content",
    [
        "", "\n", "{", "[]", "{}", owner(pid=2**22 + 1), owner(started=5.0), owner(pid="x"),
        owner(started=None), owner(),
    ],
    ids=["empty", "blank", "cut", "list", "nothing", "gone", "reused", "no pid", "no start", "me"],
)  # fmt: skip
def test_what_a_dead_process_left_is_taken_over(tmp_path: Path, content: str) -> None:
    path_of(tmp_path).parent.mkdir()
    path_of(tmp_path).write_text(content)
    with lock.hold(str(tmp_path)):
        pass


def test_an_owner_on_another_machine_may_live(tmp_path: Path) -> None:
    """Whether kernels of two machines share a lock depends on the file system."""
    path_of(tmp_path).parent.mkdir()
    path_of(tmp_path).write_text(owner(host="elsewhere"))
    with pytest.raises(UsageError, match="on elsewhere"), lock.hold(str(tmp_path)):
        pass
    with lock.hold(str(tmp_path), force=True):
        assert json.loads(path_of(tmp_path).read_text())["host"] == socket.gethostname()


def test_a_file_system_without_locks_goes_by_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: Any) -> None:
        raise OSError("no locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    path_of(tmp_path).parent.mkdir()
    process = psutil.Process(os.getppid())
    path_of(tmp_path).write_text(owner(pid=process.pid, started=process.create_time()))
    with pytest.raises(UsageError, match="is in use"), lock.hold(str(tmp_path)):
        pass


def test_a_run_refuses_a_directory_in_use_and_touches_nothing(
    run: RunCommand, tmp_path: Path
) -> None:
    path = write_parquet(tmp_path / "a.parquet", articles("short"))
    done = run(path)
    manifest = done.path / "split_manifest.json"
    before = manifest.stat().st_mtime_ns
    with lock.hold(str(done.path)):
        for options in ("", "--overwrite", "--force_unlock"):
            refused = run(path, options=options)
            assert refused.code == (0 if "force" in options else 2)
            if refused.code:
                assert "is in use by process" in refused.err
                assert manifest.stat().st_mtime_ns == before


def test_a_repair_waits_for_the_run_and_a_look_tells_of_it(
    run: RunCommand, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    done = run(write_parquet(tmp_path / "a.parquet", articles("short")))
    temporary = done.path / f"train.jsonl.pagecast-tmp-{'0' * 32}"
    temporary.write_bytes(b"x")
    verify = ["verify", "--output_dir", str(done.path), "--workers", "1"]
    process = psutil.Process(os.getppid())
    content = owner(pid=process.pid, started=process.create_time())
    path_of(done.path).write_text(content)
    assert main([*verify, "--repair"]) == 2
    assert f"is in use by process {process.pid}" in capfd.readouterr().err
    assert temporary.exists()
    assert path_of(done.path).read_text() == content
    main(verify)
    assert f"process {process.pid} on " in capfd.readouterr().err
    assert path_of(done.path).read_text() == content


def test_a_store_that_never_says_whose_the_lock_is_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(storage, "version_of", lambda _: None)

    def refuse(*_: object) -> None:
        raise FileExistsError

    monkeypatch.setattr(storage, "put_instead", refuse)
    with (
        pytest.raises(StoreError, match=r"^s3://b/o/_pagecast/lock: whoever holds the lock"),
        lock.hold("s3://b/o", force=False),
    ):
        pass
