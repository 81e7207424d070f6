"""The whole command on stores as emulators play them, when they work and when they do not."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import fsspec.config
import psutil
import pytest

from pagecast import storage
from pagecast.dataset.filtered import find_filtered
from pagecast.dataset.shard import Shard
from pagecast.reader import PageReader
from pagecast.storage.errors import AccessDeniedError
from pagecast.storage.stores import objects
from tests.conftest import Command, Result, RunCommand, articles, tree, write_parquet
from tests.support.emulators import ASKED, DENIED, KEYS, S3, Google, emulators, only, place, store
from tests.support.stores import LONG, SMALL

__all__ = ["emulators", "store"]  # fixtures
RECEIPT = "out/_pagecast/shards/00001.json"
FORMS = ["--arrow --filtered", "--image_shards", "--no_merge"]


@pytest.fixture(autouse=True)
def _in_the_directory_of_the_tokenizer(
    small_tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(small_tokenizer)


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four articles of which one is too short."""
    path = tmp_path_factory.mktemp("in") / "a.parquet"
    return write_parquet(path, articles(LONG, LONG[:900], "short", LONG), group_rows=1)


@pytest.fixture(scope="module")
def trees() -> dict[str, dict[str, bytes]]:
    """What runs on a disk give, by their options."""
    return {}


@pytest.fixture
def bucket(store: Any, parquet: Path) -> Any:
    """A store that has the articles as in/a.parquet."""
    store.put("in/a.parquet", parquet.read_bytes())
    store.put("in/_hidden/b.parquet", b"not looked at")
    if hasattr(store, "requests"):
        store.requests.clear()
    return store


@pytest.fixture
def local(run: RunCommand, parquet: Path, trees: dict[str, dict[str, bytes]]) -> Any:
    """Give what a run on a disk gives."""

    def made(options: str = "") -> dict[str, bytes]:
        if options not in trees:
            trees[options] = tree(run(parquet, options=f"{SMALL} {options}").path)
        return trees[options]

    return made


def remote(bucket: Any, options: str = "", workers: int = 1) -> str:
    return (
        f"run --input {bucket.url}/in --output_dir {bucket.url}/out --workers {workers} "
        f"{SMALL} {options}"
    )


def verify(bucket: Any, options: str = "--workers 1") -> str:
    return f"verify --output_dir {bucket.url}/out {options}"


@pytest.mark.parametrize(
    ("store", "options"),
    [(s, form) for s in ASKED for form in FORMS] + [("memory", FORMS[0])],
    indirect=["store"],
)
def test_a_store_gets_the_bytes_that_a_disk_gets(
    bucket: Any, local: Any, command: Command, options: str
) -> None:
    done = command(remote(bucket, options))
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1].endswith(f"{bucket.url}/out")
    assert bucket.tree("out") == local(options)
    checked = command(verify(bucket))
    assert (checked.code, checked.err) == (0, "")
    assert ": no faults" in checked.out
    if options == "--image_shards":
        sample = json.loads(bucket.read("out/train.jsonl").splitlines()[0])
        assert PageReader(f"{bucket.url}/out").image(sample, "tiny").size == (512, 512)
    if options == "--no_merge":
        shown = command(f"report --output_dir {bucket.url}/out/")
        assert shown == (0, f"{bucket.url}/out/report.html\n", "")
        assert bucket.tree("out") == local(options)


@only("s3")
def test_beams_options_reach_all_processes(
    bucket: S3, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT_URL", *KEYS):
        monkeypatch.delenv(name)
    options = (
        f"--s3_endpoint_url {bucket.address} --s3_access_key_id id --s3_secret_access_key key "
        "--s3_region_name us-east-1"
    )
    done = command(remote(bucket, options, workers=2))
    assert (done.code, done.err) == (0, "")
    checked = command(verify(bucket, f"--workers 2 {options}"))
    assert (checked.code, checked.err) == (0, "")
    other = command(verify(bucket, f"--s3_region us-east-1 {options}"))
    assert (other.code, other.out) == (2, "")
    assert "unknown option --s3_region; did you mean --" in other.err


def test_a_run_goes_on_and_damage_is_named_and_mended(bucket: Any, command: Command) -> None:
    assert command(remote(bucket)).code == 0
    expected = bucket.tree("out")
    bucket.delete(RECEIPT)
    image = "images/tiny/sample_000000_chunk_0.png"
    bucket.put(f"out/{image}", expected[image][:100])
    bucket.requests.clear()
    found = command(verify(bucket, "--workers 1 --repair"))
    assert found.code == 1
    size = len(expected[image])
    assert f"{image}: sample_000000_chunk_0: it is cut short: 100 of {size} bytes" in found.out
    assert command(remote(bucket)).code == 0
    assert bucket.tree("out") == expected
    written = {path for method, path in bucket.requests if method in bucket.writes}
    assert {path for path in written if "/shards/" in path} == {
        f"/bucket/out/_pagecast/shards/0000{n}.{end}" for n in (0, 1) for end in ("jsonl", "json")
    }


def test_a_killed_job_goes_on(bucket: Any, local: Any, command: Command) -> None:
    # The store goes away too, so that the job cannot end before it is killed.
    bucket.away_after = "/bucket/out/_pagecast/shards/00001.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *remote(bucket, workers=2).split()],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    end = time.monotonic() + 600
    while not bucket.away:
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    assert psutil.wait_procs(workers, timeout=600)[1] == []
    bucket.away, bucket.away_after = False, None
    assert "_pagecast/lock" in str(bucket.tree("out", private=True).keys())
    assert "split_manifest.json" not in bucket.tree("out")
    done = command(remote(bucket))
    assert (done.code, done.err) == (0, "")
    assert bucket.tree("out") == local()
    assert "out/_pagecast/lock" not in bucket.names()


def test_a_job_in_a_store_that_another_machine_holds_is_left_alone(
    bucket: Any, command: Command
) -> None:
    owner = {"host": "elsewhere", "pid": 1, "started": 5.0, "since": "2026-01-01T00:00:00+00:00"}
    bucket.put("out/_pagecast/lock", json.dumps(owner).encode())
    refused = command(remote(bucket))
    assert (refused.code, refused.out) == (2, "")
    assert f"{bucket.url}/out is in use by process 1 on elsewhere, since 2026" in refused.err
    assert command(remote(bucket, "--force_unlock")).code == 0


def test_a_store_that_fails_now_and_then_costs_nothing(
    bucket: Any, local: Any, command: Command
) -> None:
    bucket.fail_every = 10
    done = command(remote(bucket))
    assert (done.code, done.err) == (0, "")
    assert len(bucket.requests) > 100  # so that ten failed
    checked = command(verify(bucket))
    assert (checked.code, checked.err) == (0, "")
    bucket.fail_every = None
    assert bucket.tree("out") == local()


def test_a_store_that_goes_away_is_one_line_and_the_next_run_goes_on(
    bucket: Any, local: Any, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.impatient(monkeypatch)
    bucket.away_after = f"/bucket/{RECEIPT}"
    done = command(remote(bucket, workers=2 if isinstance(bucket, S3) else 1))
    assert (done.code, done.out) == (1, "")
    assert re.fullmatch(
        rf"pagecast: error: StoreError: {bucket.url}/\S+: Service Unavailable \(503\) "
        r"\[while running '\S+'\]; finished shards are kept, and the same command goes on from "
        r"there\n",
        done.err,
    ), done.err
    bucket.away, bucket.away_after = False, None
    receipt = bucket.read(RECEIPT)
    assert "split_manifest.json" not in bucket.tree("out")
    bucket.requests.clear()
    again = command(remote(bucket))
    assert (again.code, again.err) == (0, "")
    written = [path for method, path in bucket.requests if method in bucket.writes]
    assert f"/bucket/{RECEIPT}" not in written
    assert bucket.read(RECEIPT) == receipt
    assert bucket.tree("out") == local()


def test_a_store_that_fails_during_verify_is_no_fault_of_the_files(
    bucket: Any, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command(remote(bucket)).code == 0
    names = bucket.names()
    bucket.impatient(monkeypatch)
    bucket.requests.clear()
    bucket.fail_every = 12 if isinstance(bucket, S3) else 1
    bucket.requests[:] = [("", "")]
    checked = command(verify(bucket, "--workers 1 --repair"))
    assert (checked.code, checked.out) == (1, "")
    assert checked.err.startswith(f"pagecast: error: StoreError: {bucket.url}/out/")
    assert checked.err.count("\n") == 1
    bucket.fail_every = None
    assert set(bucket.names()) - {"out/_pagecast/lock"} == set(names)
    bucket.delete("out/_pagecast/lock") if "out/_pagecast/lock" in bucket.names() else None
    bucket.denied = "shards/00001.jsonl"
    checked = command(verify(bucket, "--workers 1 --repair"))
    if not isinstance(bucket, S3):
        assert (checked.code, checked.out) == (1, "")
        assert checked.err == (
            f"pagecast: error: AccessDeniedError: {bucket.url}/out/_pagecast/shards/00001.jsonl: "
            f"access denied ({DENIED})\n"
        )
        bucket.denied = None
        assert bucket.names() == names


@only("gs", "az")
def test_what_cannot_be_read_is_not_taken_for_missing(bucket: Any, command: Command) -> None:
    assert command(remote(bucket, "--filtered")).code == 0
    expected = bucket.tree("out")
    bucket.requests.clear()
    denied = f"access denied ({DENIED})"
    for private in ("parts/train", "shards/00001.json", "filtered.json"):
        bucket.denied = f"GET /bucket/out/_pagecast/{private}"
        done = command(remote(bucket, "--filtered"))
        assert (done.code, done.out, done.err.count("\n")) == (1, "", 1), private
        assert f"AccessDeniedError: {bucket.url}" in done.err
        assert f": {denied}" in done.err
    bucket.denied = "GET /bucket/out/_pagecast/plan.jsonl"
    done = command(remote(bucket, "--overwrite"))
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert denied in done.err
    bucket.denied = None
    assert command(remote(bucket, "--filtered")).code == 0
    assert bucket.tree("out") == expected
    written = [path for method, path in bucket.requests if method in bucket.writes]
    for kind in ("shards/", "parts/", "filtered"):
        assert not [path for path in written if f"/_pagecast/{kind}" in path]
    bucket.denied = "filtered/00001.json"
    with pytest.raises(AccessDeniedError):
        find_filtered(Shard(1, f"{bucket.url}/in/a.parquet", 1, 0, 1, 1), f"{bucket.url}/out")


NOBODY = {
    "s3": ("AWS_ENDPOINT_URL", "http://127.0.0.1:1", "Could not connect to the endpoint URL"),
    "gs": ("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1", "Cannot connect to host 127.0.0.1:1"),
    "az": (
        "AZURE_STORAGE_CONNECTION_STRING",
        "AccountName=a;AccountKey=aGVyZQ==;BlobEndpoint=http://127.0.0.1:1/a",
        "Cannot connect to host 127.0.0.1:1",
    ),
}


def test_a_store_that_nobody_answers_for_is_one_line(
    bucket: Any, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, value, told = NOBODY[bucket.url.partition(":")[0]]
    bucket.impatient(monkeypatch)
    monkeypatch.setenv(name, value)
    done = command(remote(bucket))
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert done.err.startswith(f"pagecast: error: StoreError: {bucket.url}/in: {told}")


@only("gs")
def test_without_credentials_it_says_what_to_do(
    bucket: Google, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    done = command(remote(bucket))
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert done.err.startswith("pagecast: error: StoreError: gs://bucket/in: Your default cred")
    assert "or --no_auth" in done.err
    # As FSSPEC_GS_ENDPOINT_URL does in a process that starts.
    monkeypatch.setitem(fsspec.config.conf, "gs", {"endpoint_url": bucket.address})
    monkeypatch.setenv("FSSPEC_GS_ENDPOINT_URL", bucket.address)
    done = command(remote(bucket, "--no_auth"))
    assert (done.code, done.err) == (0, "")
    checked = command(verify(bucket, "--workers 2 --no_auth"))
    assert (checked.code, checked.err) == (0, "")
    other = command(verify(bucket, "--no_aut"))
    assert (other.code, other.out) == (2, "")
    assert "unknown option --no_aut; did you mean --no_auth?" in other.err


NO_BUCKET = "[Errno 2] no such bucket"
WRONG = {
    "--input X://bucket/no --output_dir X://bucket/o": "X://bucket/no: no parquet file there",
    "--input X://nobody/no --output_dir X://bucket/o": f"--input X://nobody/no: {NO_BUCKET}",
    "--input X:///in --output_dir X://bucket/o": "--input X:///in names no bucket",
    "--input X://bucket/in --output_dir X://": "--output_dir X:// names no bucket",
    "--input X://bucket/in --output_dir xyz://b/o": "there is no file system for xyz://",
    "--input X://bucket/in --output_dir X://nobody/o": f"/o cannot be used: {NO_BUCKET}",
    "--input X://bucket/in --output_dir X://bucket/full": "holds something else (t/x.tex)",
    "--input X://bucket/in --output_dir X://bucket/in/a.parquet": "is an object, not a directory",
    "--input X://bucket/denied --output_dir X://bucket/o": "access denied (",
    "--input X://bucket/in --output_dir X://bucket/denied": "access denied (",
    "--input X://me:hush@bucket/in --output_dir X://bucket/o": "holds a user or a password",
}


@pytest.mark.parametrize("args", WRONG)
def test_wrong_use_of_a_store_is_one_line_and_writes_nothing(
    bucket: Any, command: Command, args: str
) -> None:
    bucket.put("full/t/x.tex", b"")
    bucket.denied = "/denied"
    bucket.requests.clear()
    scheme = bucket.url.partition(":")[0]
    done = command(f"run {args.replace('X:', f'{scheme}:')} {SMALL}")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith("pagecast: error: --")
    assert WRONG[args].replace("X:", f"{scheme}:") in done.err
    assert {method for method, _ in bucket.requests} <= {"GET", "HEAD"}


@pytest.mark.parametrize(
    ("scheme", "extra", "module"),
    [("s3", "aws", "s3fs"), ("gs", "gcp", "gcsfs"), ("az", "azure", "adlfs")],
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


@only("gs", "az")
def test_a_bucket_that_may_only_be_read_is_one_line(bucket: Any, command: Command) -> None:
    (method,) = bucket.writes
    bucket.denied = f"{method} /bucket/out/"
    done = command(remote(bucket))
    assert done == Result(
        1, "", f"pagecast: error: AccessDeniedError: {bucket.url}/out/_pagecast/lock: "
        f"access denied ({DENIED})\n"
    )  # fmt: skip
    assert bucket.tree("out", private=True) == {}


def test_overwrite_removes_what_pagecast_wrote(bucket: Any, command: Command) -> None:
    assert command(remote(bucket)).code == 0
    first = bucket.tree("out")
    bucket.put("out/notes.txt", b"mine")
    refused = command(remote(bucket, "--png_level 6"))
    assert (refused.code, "--png_level was 5, now 6" in refused.err) == (2, True)
    refused = command(remote(bucket, "--png_level 6 --overwrite"))
    told = f"{bucket.url}/out/notes.txt is not Pagecast's"
    assert (refused.code, told in refused.err) == (2, True)
    assert bucket.tree("out") == {**first, "notes.txt": b"mine"}
    bucket.delete("out/notes.txt")
    bucket.fail_every = 7  # also while it removes
    assert command(remote(bucket, "--png_level 6 --no_images --overwrite")).code == 0
    bucket.fail_every = None
    images = {name for name in first if name.startswith("images/")}
    assert bucket.tree("out").keys() == first.keys() - images


@only("memory")
def test_what_lives_in_one_process_has_one_process(bucket: Any, command: Command) -> None:
    done = command(remote(bucket, workers=2))
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "memory:// is one process's own" in done.err
    assert "--workers 1" in done.err


@only("az")
def test_an_account_in_the_path_is_no_password(
    bucket: Any, parquet: Path, command: Command
) -> None:
    url = "abfs://bucket@devstoreaccount1.dfs.core.windows.net"
    done = command(f"run --input {url}/in --output_dir {url}/out --workers 1 {SMALL}")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1].endswith(f"{url}/out")
    assert b"abfs://bucket@devstoreaccount1." in bucket.read("out/_pagecast/plan.jsonl")
    account = objects._store(url).fs
    assert (account.account_name, account.account_host) == (
        "devstoreaccount1", "devstoreaccount1.blob.core.windows.net",
    )  # fmt: skip
    assert storage.exists(place(bucket, "out/train.jsonl"))
    refused = command(f"run --input abfs://me:hush@bucket/in --output_dir out {SMALL}")
    assert (refused.code, "holds a user or a password" in refused.err) == (2, True)
