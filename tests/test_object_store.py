"""The whole command on an object store: S3 as moto plays it, when it works and when it does not."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Command, Result, RunCommand, articles, tree, write_parquet
from tests.s3 import KEYS, Store, store
from tests.stores import LONG, SMALL
from transforms.reader import PageReader

__all__ = ["store"]  # a fixture


@pytest.fixture(autouse=True)
def _in_the_directory_of_the_tokenizer(
    small_tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(small_tokenizer)


@pytest.fixture
def parquet(tmp_path: Path, store: Store) -> Path:
    """Four articles of which one is too short, on the disk and in the store as in/a.parquet."""
    path = write_parquet(
        tmp_path / "a.parquet", articles(LONG, LONG[:900], "short", LONG), group_rows=1
    )
    store.put("in/a.parquet", path.read_bytes())
    store.put("in/_hidden/b.parquet", b"not looked at")
    return path


def remote(options: str = "", out: str = "out", workers: int = 1) -> str:
    return (
        f"run --input s3://bucket/in --output_dir s3://bucket/{out} --workers {workers} "
        f"{SMALL} {options}"
    )


@pytest.mark.parametrize("options", ["--arrow --filtered", "--image_shards", "--no_merge"])
def test_a_store_gets_the_bytes_that_a_disk_gets(
    store: Store, parquet: Path, run: RunCommand, command: Command, options: str
) -> None:
    local = run(parquet, options=f"{SMALL} {options}")
    done = command(remote(options))
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1].endswith("s3://bucket/out")
    assert store.tree("out") == tree(local.path)
    shown = command("report --output_dir s3://bucket/out/")
    assert shown == (0, "s3://bucket/out/report.html\n", "")
    assert store.tree("out") == tree(local.path)
    checked = command("verify --output_dir s3://bucket/out --workers 1")
    assert (checked.code, checked.err) == (0, "")
    assert ": no faults" in checked.out
    if options == "--image_shards":
        sample = json.loads(store.read("out/train.jsonl").splitlines()[0])
        assert PageReader("s3://bucket/out").image(sample, "tiny").size == (512, 512)


def test_beams_options_reach_all_processes(
    store: Store, parquet: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT_URL", *KEYS):
        monkeypatch.delenv(name)
    options = (
        f"--s3_endpoint_url {store.url} --s3_access_key_id id --s3_secret_access_key key "
        "--s3_region_name us-east-1"
    )
    done = command(remote(options, workers=2))
    assert (done.code, done.err) == (0, "")
    checked = command(f"verify --output_dir s3://bucket/out --workers 2 {options}")
    assert (checked.code, checked.err) == (0, "")
    other = command(f"verify --output_dir s3://bucket/out --s3_region us-east-1 {options}")
    assert (other.code, other.out) == (2, "")
    assert "unknown option --s3_region; did you mean --" in other.err


def test_a_run_goes_on_and_damage_is_named_and_mended(
    store: Store, parquet: Path, command: Command
) -> None:
    assert command(remote()).code == 0
    expected = store.tree("out")
    store.client.delete_object(Bucket="bucket", Key="out/_pagecast/shards/00001.json")
    store.requests.clear()
    assert command(remote()).code == 0
    assert store.tree("out") == expected
    written = [path for method, path in store.requests if method in ("PUT", "POST")]
    assert {path for path in written if "/shards/" in path} == {
        "/bucket/out/_pagecast/shards/00001.jsonl", "/bucket/out/_pagecast/shards/00001.json",
    }  # fmt: skip
    picture = "images/tiny/sample_000000_chunk_0.png"
    store.put(f"out/{picture}", expected[picture][:100])
    found = command("verify --output_dir s3://bucket/out --workers 1 --repair")
    assert found.code == 1
    size = len(expected[picture])
    assert f"{picture}: sample_000000_chunk_0: it is cut short: 100 of {size} bytes" in found.out
    assert command(remote()).code == 0
    assert store.tree("out") == expected


def test_a_killed_job_goes_on(
    store: Store, parquet: Path, run: RunCommand, command: Command
) -> None:
    local = run(parquet, options=SMALL)
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *remote(workers=2).split()],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    end = time.monotonic() + 600
    while not any(path.endswith("/shards/00000.jsonl") for _, path in store.requests):
        assert time.monotonic() < end
        time.sleep(0.02)
    process.kill()
    process.wait()
    time.sleep(2)  # its workers notice
    assert "_pagecast/lock" in store.tree("out", private=True)
    done = command(remote())
    assert (done.code, done.err) == (0, "")
    assert store.tree("out") == tree(local.path)
    assert "_pagecast/lock" not in store.tree("out", private=True)


def test_a_job_in_a_store_that_another_machine_holds_is_left_alone(
    store: Store, parquet: Path, command: Command
) -> None:
    owner = {"host": "elsewhere", "pid": 1, "started": 5.0, "since": "2026-01-01T00:00:00+00:00"}
    store.put("out/_pagecast/lock", json.dumps(owner).encode())
    refused = command(remote())
    assert (refused.code, refused.out) == (2, "")
    assert "s3://bucket/out is in use by process 1 on elsewhere, since 2026-01-01" in refused.err
    assert command(remote("--force_unlock")).code == 0


def test_a_store_that_fails_now_and_then_costs_nothing(
    store: Store, parquet: Path, run: RunCommand, command: Command
) -> None:
    local = run(parquet, options=SMALL)
    store.fail_every = 10
    done = command(remote())
    store.fail_every = None
    assert (done.code, done.err) == (0, "")
    assert store.tree("out") == tree(local.path)


def test_a_store_that_goes_away_is_one_line_and_the_next_run_goes_on(
    store: Store,
    parquet: Path,
    run: RunCommand,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    store.away_after = "/bucket/out/_pagecast/shards/00001.json"
    done = command(remote(workers=2))
    assert (done.code, done.out) == (1, "")
    assert re.fullmatch(
        r"pagecast: error: ConnectionError: s3://bucket/\S+: Service Unavailable \(503\) "
        r"\[while running '\S+'\]; finished shards are kept, and the same command goes on from "
        r"there\n",
        done.err,
    ), done.err
    store.away, store.away_after = False, None
    receipt = store.read("out/_pagecast/shards/00001.json")
    assert "split_manifest.json" not in store.tree("out")
    store.requests.clear()
    again = command(remote())
    assert (again.code, again.err) == (0, "")
    assert ("PUT", "/bucket/out/_pagecast/shards/00001.json") not in store.requests
    assert store.read("out/_pagecast/shards/00001.json") == receipt
    assert store.tree("out") == tree(run(parquet, options=SMALL).path)


def test_a_store_that_fails_during_verify_is_no_fault_of_the_files(
    store: Store, parquet: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    assert command(remote()).code == 0
    store.requests.clear()
    store.fail_every = 12
    checked = command("verify --output_dir s3://bucket/out --workers 1 --repair")
    assert (checked.code, checked.out) == (1, "")
    assert checked.err.startswith("pagecast: error: ConnectionError: s3://bucket/out/")
    assert checked.err.count("\n") == 1
    # Nothing goes but the lock that --repair held.
    gone = [path for method, path in store.requests if method in ("DELETE", "POST")]
    assert {path.rpartition("/out/")[2] for path in gone} <= {"_pagecast/lock"}, gone


WRONG = {
    "--input s3://bucket/no --output_dir s3://bucket/o": "s3://bucket/no: no parquet file there",
    "--input s3://nobody/no --output_dir s3://bucket/o": "s3://nobody/no: [Errno 2] no such bucket",
    "--input s3:///in --output_dir s3://bucket/o": "--input s3:///in names no bucket",
    "--input s3://bucket/in --output_dir s3://": "--output_dir s3:// names no bucket",
    "--input s3://bucket/in --output_dir ftp://b/o": "there is no file system for ftp://",
    "--input s3://bucket/in --output_dir s3://nobody/o": "cannot be used: [Errno 2] no such bucket",
    "--input s3://bucket/in --output_dir s3://bucket/full": "holds something else (t/x.tex)",
    "--input s3://bucket/in --output_dir s3://bucket/in/a.parquet": "is an object, not a directory",
}


@pytest.mark.parametrize("args", WRONG)
def test_wrong_use_of_a_store_is_one_line_and_writes_nothing(
    store: Store, parquet: Path, command: Command, args: str
) -> None:
    store.put("full/t/x.tex", b"")
    store.requests.clear()
    done = command(f"run {args} {SMALL}")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith("pagecast: error: --")
    assert WRONG[args] in done.err
    assert {method for method, _ in store.requests} <= {"GET", "HEAD"}


@pytest.mark.parametrize(
    ("scheme", "extra", "module"), [("s3", "aws", "boto3"), ("gs", "gcp", "google.cloud.storage")]
)
@pytest.mark.parametrize("line", ["run --input a.parquet --output_dir", "verify --output_dir"])
def test_a_missing_extra_is_named(
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    line: str,
    scheme: str,
    extra: str,
    module: str,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert command(f"{line} {scheme}://b/x") == Result(
        2, "", f"pagecast: error: --output_dir {scheme}://b/x needs the extra {extra}: "
        f"pip install 'pagecast[{extra}]'\n"
    )  # fmt: skip


def test_overwrite_removes_what_pagecast_wrote(
    store: Store, parquet: Path, command: Command
) -> None:
    assert command(remote()).code == 0
    first = store.tree("out")
    store.put("out/notes.txt", b"mine")
    refused = command(remote("--png_level 6"))
    assert (refused.code, "--png_level was 5, now 6" in refused.err) == (2, True)
    refused = command(remote("--png_level 6 --overwrite"))
    assert (refused.code, "s3://bucket/out/notes.txt is not Pagecast's" in refused.err) == (2, True)
    assert store.tree("out") == {**first, "notes.txt": b"mine"}
    store.client.delete_object(Bucket="bucket", Key="out/notes.txt")
    assert command(remote("--png_level 6 --no_images --overwrite")).code == 0
    pictures = {name for name in first if name.startswith("images/")}
    assert store.tree("out").keys() == first.keys() - pictures


def test_a_store_that_nobody_answers_for_is_one_line(
    store: Store, parquet: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    done = command(remote("--s3_endpoint_url http://127.0.0.1:1"))
    assert done == Result(
        1, "", "pagecast: error: ConnectionError: s3://bucket/in: Could not connect to the "
        'endpoint URL: "http://127.0.0.1:1/bucket/in"\n'
    )  # fmt: skip
