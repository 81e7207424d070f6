"""The whole command on Google Cloud Storage as an emulator plays it, when it works and when not."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import Command, Result, RunCommand, articles, tree, write_parquet
from tests.gcs import Store, store
from tests.stores import LONG, SMALL
from transforms import gcs, storage
from transforms.filtered import find_filtered
from transforms.reader import PageReader
from transforms.records import Shard

RECEIPT = "/bucket/out/_pagecast/shards/00001.json"
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


def remote(options: str = "", workers: int = 1) -> str:
    return (
        f"run --input gs://bucket/in --output_dir gs://bucket/out --workers {workers} "
        f"{SMALL} {options}"
    )


@pytest.mark.parametrize("options", ["--arrow --filtered", "--image_shards", "--no_merge"])
def test_a_store_gets_the_bytes_that_a_disk_gets(
    store: Store, parquet: Path, run: RunCommand, command: Command, options: str
) -> None:
    local = run(parquet, options=f"{SMALL} {options}")
    done = command(remote(options))
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1].endswith("gs://bucket/out")
    assert store.tree("out") == tree(local.path)
    checked = command("verify --output_dir gs://bucket/out --workers 1")
    assert (checked.code, checked.err) == (0, "")
    assert ": no faults" in checked.out
    if options == "--image_shards":
        sample = json.loads(store.read("out/train.jsonl").splitlines()[0])
        assert PageReader("gs://bucket/out").image(sample, "tiny").size == (512, 512)


def test_a_killed_job_goes_on(
    store: Store, parquet: Path, run: RunCommand, command: Command
) -> None:
    local = run(parquet, options=SMALL)
    # The store goes away too, so that the job cannot end before it is killed.
    store.away_after = "/bucket/out/_pagecast/shards/00001.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *remote(workers=2).split()],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    end = time.monotonic() + 600
    while not store.away:
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    assert psutil.wait_procs(workers, timeout=600)[1] == []
    store.away, store.away_after = False, None
    assert "_pagecast/lock" in store.tree("out", private=True)
    assert "split_manifest.json" not in store.tree("out")
    done = command(remote())
    assert (done.code, done.err) == (0, "")
    assert store.tree("out") == tree(local.path)
    assert "_pagecast/lock" not in store.tree("out", private=True)


def test_a_run_goes_on_and_damage_is_named_and_mended(
    store: Store, parquet: Path, command: Command
) -> None:
    assert command(remote()).code == 0
    expected = store.tree("out")
    storage.remove([f"gs://bucket/{RECEIPT.removeprefix('/bucket/')}"])
    picture = "images/tiny/sample_000000_chunk_0.png"
    store.put(f"out/{picture}", expected[picture][:100])
    store.requests.clear()
    found = command("verify --output_dir gs://bucket/out --workers 1 --repair")
    assert found.code == 1
    size = len(expected[picture])
    assert f"{picture}: sample_000000_chunk_0: it is cut short: 100 of {size} bytes" in found.out
    assert command(remote()).code == 0
    assert store.tree("out") == expected
    written = {path for method, path in store.requests if method == "POST" and "/shards/" in path}
    assert written == {
        f"/bucket/out/_pagecast/shards/0000{n}.{end}" for n in (0, 1) for end in ("jsonl", "json")
    }


def test_a_store_that_fails_now_and_then_costs_nothing(
    store: Store, parquet: Path, run: RunCommand, command: Command
) -> None:
    local = run(parquet, options=SMALL)
    store.fail_every = 10
    done = command(remote())
    assert (done.code, done.err) == (0, "")
    assert len(store.requests) > 100  # so that ten failed
    assert store.tree("out") == tree(local.path)
    checked = command("verify --output_dir gs://bucket/out --workers 1")
    assert (checked.code, checked.err) == (0, "")


def test_a_store_that_goes_away_is_one_line_and_the_next_run_goes_on(
    store: Store,
    parquet: Path,
    run: RunCommand,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gcs, "RETRY_SECONDS", 0.1)
    store.away_after = RECEIPT
    done = command(remote())
    assert (done.code, done.out) == (1, "")
    assert re.fullmatch(
        r"pagecast: error: ConnectionError: gs://bucket/\S+: Service Unavailable \(503\) "
        r"\[while running '\S+'\]; finished shards are kept, and the same command goes on from "
        r"there\n",
        done.err,
    ), done.err
    store.away, store.away_after = False, None
    receipt = store.read(RECEIPT.removeprefix("/bucket/"))
    assert "split_manifest.json" not in store.tree("out")
    store.requests.clear()
    again = command(remote())
    assert (again.code, again.err) == (0, "")
    assert ("POST", RECEIPT) not in store.requests
    assert store.read(RECEIPT.removeprefix("/bucket/")) == receipt
    assert store.tree("out") == tree(run(parquet, options=SMALL).path)


def test_a_store_that_fails_during_verify_is_no_fault_of_the_files(
    store: Store, parquet: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gcs, "RETRY_SECONDS", 0.0)
    assert command(remote()).code == 0
    names = store.names()
    store.requests.clear()
    store.fail_every = 12
    checked = command("verify --output_dir gs://bucket/out --workers 1 --repair")
    assert (checked.code, checked.out) == (1, "")
    assert checked.err.startswith("pagecast: error: ConnectionError: gs://bucket/out/")
    assert checked.err.count("\n") == 1
    store.fail_every = None
    store.denied = "shards/00001.jsonl"
    checked = command("verify --output_dir gs://bucket/out --workers 1 --repair")
    assert (checked.code, checked.out) == (1, "")
    assert checked.err == (
        "pagecast: error: AccessDeniedError: [Errno 13] access denied (me@here does not have "
        "access.): 'gs://bucket/out/_pagecast/shards/00001.jsonl'\n"
    )
    assert store.names() == names


def test_what_cannot_be_read_is_not_taken_for_missing(
    store: Store, parquet: Path, command: Command
) -> None:
    assert command(remote("--filtered")).code == 0
    expected = store.tree("out")
    store.requests.clear()
    for private in ("parts/train", "shards/00001.json", "filtered.json"):
        store.denied = f"GET /bucket/out/_pagecast/{private}"
        done = command(remote("--filtered"))
        assert (done.code, done.out, done.err.count("\n")) == (1, "", 1), private
        assert f"AccessDeniedError: [Errno 13] {DENIED}: 'gs://" in done.err
    store.denied = "GET /bucket/out/_pagecast/plan.jsonl"
    done = command(remote("--overwrite"))
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert DENIED in done.err
    store.denied = None
    assert command(remote("--filtered")).code == 0
    assert store.tree("out") == expected
    written = [path for method, path in store.requests if method == "POST"]
    for kind in ("shards/", "parts/", "filtered"):
        assert not [path for path in written if f"/_pagecast/{kind}" in path]
    store.denied = "filtered/00001.json"
    with pytest.raises(gcs.AccessDeniedError):
        find_filtered(Shard(1, "gs://bucket/in/a.parquet", 1, 0, 1, 1), "gs://bucket/out")


def test_a_store_that_nobody_answers_for_is_one_line(
    store: Store, parquet: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gcs, "RETRY_SECONDS", 0.1)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1")
    gcs._make_client.cache_clear()
    done = command(remote())
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert done.err.startswith("pagecast: error: ConnectionError: gs://bucket/in: ")
    assert "Connection refused" in done.err


def test_without_credentials_it_says_what_to_do(
    store: Store,
    parquet: Path,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("API_ENDPOINT_OVERRIDE", store.url)  # an emulator needs none
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    gcs._make_client.cache_clear()
    done = command(remote())
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert done.err.startswith(
        "pagecast: error: ConnectionError: gs://bucket/in: Your default cred"
    )
    assert "or --no_auth" in done.err
    done = command(remote("--no_auth"))
    assert (done.code, done.err) == (0, "")
    checked = command("verify --output_dir gs://bucket/out --workers 2 --no_auth")
    assert (checked.code, checked.err) == (0, "")
    other = command("verify --output_dir gs://bucket/out --no_aut")
    assert (other.code, other.out) == (2, "")
    assert "unknown option --no_aut; did you mean --no_auth?" in other.err


DENIED = "access denied (me@here does not have access.)"
NO_BUCKET = "[Errno 2] no such bucket"
WRONG = {
    "--input gs://bucket/no --output_dir gs://bucket/o": "gs://bucket/no: no parquet file there",
    "--input gs://nobody/no --output_dir gs://bucket/o": f"--input gs://nobody/no: {NO_BUCKET}",
    "--input gs://-/no --output_dir gs://bucket/o": f"--input gs://-/no: {NO_BUCKET}",
    "--input gs:///in --output_dir gs://bucket/o": "--input gs:///in names no bucket",
    "--input gs://bucket/in --output_dir gs://": "--output_dir gs:// names no bucket",
    "--input gs://bucket/in --output_dir gs://nobody/o": f"/o cannot be used: {NO_BUCKET}",
    "--input gs://bucket/in --output_dir gs://bucket/full": "holds something else (t/x.tex)",
    "--input gs://bucket/in --output_dir gs://bucket/in/a.parquet": "is an object, not a directory",
    "--input gs://bucket/denied --output_dir gs://bucket/o": DENIED,
    "--input gs://bucket/in --output_dir gs://bucket/denied": DENIED,
}


@pytest.mark.parametrize("args", WRONG)
def test_wrong_use_of_a_store_is_one_line_and_writes_nothing(
    store: Store, parquet: Path, command: Command, args: str
) -> None:
    store.put("full/t/x.tex", b"")
    store.denied = "/denied"
    store.requests.clear()
    done = command(f"run {args} {SMALL}")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith("pagecast: error: --")
    assert WRONG[args] in done.err
    assert {method for method, _ in store.requests} <= {"GET"}


def test_a_bucket_that_may_only_be_read_is_one_line(
    store: Store, parquet: Path, command: Command
) -> None:
    store.denied = "POST /bucket/out/"
    done = command(remote())
    assert done == Result(
        1, "", f"pagecast: error: AccessDeniedError: [Errno 13] {DENIED}: "
        "'gs://bucket/out/_pagecast/lock'\n"
    )  # fmt: skip
    assert store.tree("out", private=True) == {}


def test_overwrite_removes_what_pagecast_wrote(
    store: Store, parquet: Path, command: Command
) -> None:
    assert command(remote()).code == 0
    first = store.tree("out")
    store.put("out/notes.txt", b"mine")
    refused = command(remote("--png_level 6 --overwrite"))
    assert (refused.code, "gs://bucket/out/notes.txt is not Pagecast's" in refused.err) == (2, True)
    assert store.tree("out") == {**first, "notes.txt": b"mine"}
    storage.remove(["gs://bucket/out/notes.txt"])
    store.fail_every = 7  # also while it removes
    assert command(remote("--png_level 6 --no_images --overwrite")).code == 0
    pictures = {name for name in first if name.startswith("images/")}
    assert store.tree("out").keys() == first.keys() - pictures
