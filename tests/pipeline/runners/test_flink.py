"""A real Flink: what its page shows, work on all slots, deaths in the middle, a cluster one has."""

import base64
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apache_beam as beam
import psutil
import pytest
import yaml

from benchmarks.kills import write_input
from pipeline.__main__ import main
from pipeline.runners.flink import rest
from pipeline.runners.flink.__main__ import beam_args
from pipeline.runners.flink.cluster import ClusterSettings, LocalCluster, free_port
from pipeline.runners.flink.distribution import flink_home
from pipeline.runners.flink.jar import job_server, without_flink
from tests.conftest import parse_run, tree
from tests.support.runners import need_flink

ROOT = Path(__file__).parents[3]
FLINK = "1.20"
# The smallest pages, and a tokenizer that each worker loads at once: what is tried here is neither.
FEW = "--modes tiny --min_tokens 6000 --context_tokens 3000 --continuation_tokens 3000"


@pytest.fixture(scope="module", autouse=True)
def another_port() -> Iterator[None]:
    """Leave the usual one to a cluster that another file's test may start at the same time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.runners.flink.cluster.WEB_PORT", 0)
        yield


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Two TaskManagers of one slot, as `run_flink.sh` starts them."""
    need_flink(FLINK)
    logging.getLogger("apache_beam.utils.subprocess_server").setLevel(logging.ERROR)
    jars = (without_flink(job_server(FLINK)),)
    with LocalCluster(ClusterSettings(flink_home(FLINK), jars, 2, 1)) as found:
        yield found


@pytest.fixture(scope="module")
def given(source: Path, small_tokenizer: Path) -> list[str]:
    """The options of a job but for its output."""
    return ["--input", str(source), *FEW.split(), "--tokenizer", str(small_tokenizer / "small")]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """160 articles in 20 row groups, so 20 shards: 295 samples."""
    return write_input(tmp_path_factory.mktemp("input") / "in.parquet")


@pytest.fixture(scope="module")
def expected(given: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bytes that Beam's local runner makes of it."""
    out = tmp_path_factory.mktemp("local") / "out"
    assert main(["run", *given, "--output_dir", str(out), "--workers", "1"]) == 0
    return tree(out)


def submit(cluster: LocalCluster, given: list[str], out: Path) -> int:
    words = [*given, "--output_dir", str(out), "--runner", "FlinkRunner"]
    args = beam_args(parse_run(words), cluster.master, FLINK, job_server(FLINK), 1, 2, is_ours=True)
    return main(["run", *words, *args])


def newest_job(cluster: LocalCluster) -> dict[str, Any]:
    jobs = rest.get(cluster.master, "jobs/overview")["jobs"]
    newest = max(jobs, key=lambda job: job["start-time"])
    return rest.get(cluster.master, f"jobs/{newest['jid']}")


def user_metrics(cluster: LocalCluster, job: str) -> dict[str, Any]:
    """Return what the page of a job shows under Accumulators, by name: a sum, or a distribution."""
    shown = rest.get(cluster.master, f"jobs/{job}/accumulators")["user-task-accumulators"]
    found: dict[str, Any] = {}
    for metric in json.loads(shown[0]["value"])["metrics"]["attempted"]:
        if metric["labels"].get("NAMESPACE") == "pagecast":
            numbers = list(varints(base64.b64decode(metric["payload"])))
            found[metric["labels"]["NAME"]] = numbers if len(numbers) > 1 else numbers[0]
    return found


def varints(content: bytes) -> Iterator[int]:
    value = shift = 0
    for byte in content:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            yield value
            value = shift = 0


def java_of(cluster: LocalCluster, name: str) -> list[psutil.Process]:
    guarded = psutil.Process(cluster.pid(name)).children(recursive=True)
    return [next(child for child in guarded if child.name() == "java")]


def workers_of(cluster: LocalCluster, name: str) -> list[psutil.Process]:
    workers = java_of(cluster, name)[0].children(recursive=True)
    return [worker for worker in workers if is_worker(worker)]


def is_worker(process: psutil.Process) -> bool:
    try:
        return "pagecast-boot" in " ".join(process.cmdline())
    except psutil.Error:
        return False


@contextmanager
def watching(cluster: LocalCluster) -> Iterator[set[int]]:
    """Give the Python workers that there are, in the end all that there were."""
    workers: set[int] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            for name in ("taskmanager-1", "taskmanager-2"):
                workers.update(worker.pid for worker in workers_of(cluster, name))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield workers
    finally:
        over.set()
        thread.join()


def test_a_job_shows_its_numbers_and_works_on_all_slots(
    cluster: LocalCluster, given: list[str], expected: dict[str, bytes], tmp_path: Path
) -> None:
    with watching(cluster) as workers:
        assert submit(cluster, given, tmp_path / "out") == 0
    assert len(workers) == 2  # which outlive a stage
    assert tree(tmp_path / "out") == expected
    job = newest_job(cluster)
    assert (job["name"], job["state"]) == ("pagecast", "FINISHED")

    shown = user_metrics(cluster, job["jid"])
    counts = json.loads(expected["split_manifest.json"])["counts"]
    assert shown["articles_read"] == counts["rows_read"] == 160
    assert shown["articles_kept"] == counts["kept"]
    assert shown["articles_dropped_too_short"] == counts["dropped"]["too_short"]
    assert shown["articles_failed"] == 0
    assert (shown["samples"], shown["pages"]) == (counts["samples"], counts["pages"])
    images = sum(len(content) for name, content in expected.items() if name.endswith(".png"))
    assert shown["bytes_pictures"] == images
    assert shown["bytes_samples"] == len(expected["samples.jsonl"])
    for step in ("read_articles", "tokenize", "expand_chunks", "render_pages", "write_samples"):
        shards, milliseconds, shortest, longest = shown[f"ms_{step}"]
        assert shards == 20
        assert shortest <= milliseconds / shards <= longest
    assert shown["ms_render_pages"][1] > 0

    (rendering,) = [v for v in job["vertices"] if "MakeSamples" in v["name"]]
    path = f"jobs/{job['jid']}/vertices/{rendering['id']}"
    tasks = rest.get(cluster.master, path)["subtasks"]
    assert [task["metrics"]["read-records"] for task in tasks] == [10, 10]
    assert len({task["taskmanager-id"] for task in tasks}) == 2


@contextmanager
def killing(out: Path, victims: Any) -> Iterator[list[int]]:
    """Kill processes once some shards are finished; gives how many were by then.

    The processes are looked for before, which takes a while, and are stopped before shards are
    counted: so the number is that of the moment in which they died.
    """
    finished: list[int] = []

    def done() -> int:
        return len(list((out / "_pagecast" / "shards").glob("*.json")))

    def kill() -> None:
        found: list[psutil.Process] = []
        while not finished:
            if not found and done():
                found = victims()
            if found and done() >= 3:
                for each in found:
                    each.suspend()
                finished.append(done())
                for each in found:
                    each.kill()
            time.sleep(0.01)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    try:
        yield finished
    finally:
        finished.append(-1)
        thread.join()


@pytest.mark.parametrize("kind", [java_of, workers_of])
def test_a_death_in_the_middle_is_survived(
    kind: Any, cluster: LocalCluster, given: list[str], expected: dict[str, bytes], tmp_path: Path
) -> None:
    """Flink starts the job once more, and the receipts say what is left to do."""
    out = tmp_path / "out"
    with killing(out, lambda: kind(cluster, "taskmanager-1")) as finished:
        assert submit(cluster, given, out) == 0
    # Each of the two has 10 of the shards: with fewer in all, the one that died had some left.
    assert 3 <= finished[0] < 10
    assert tree(out) == expected
    tries = rest.get(
        cluster.master, f"jobs/{newest_job(cluster)['jid']}/exceptions?maxExceptions=9"
    )
    assert tries["exceptionHistory"]["entries"]


def worker_command() -> list[str]:
    """Return how the documentation says that workers are started beside a TaskManager."""
    deployment, _ = yaml.safe_load_all((ROOT / "docs/flink.yaml").read_text("utf-8"))
    pod = deployment["spec"]["taskManager"]["podTemplate"]["spec"]
    (workers,) = [c for c in pod["containers"] if c["name"] == "workers"]
    return workers["command"]


@pytest.fixture
def pool() -> Iterator[int]:
    """A pool of workers on a port of its own."""
    port = free_port()
    command = [word.replace("50000", str(port)) for word in worker_command()]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        command, env={**os.environ, "PATH": path}, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    yield port
    process.terminate()
    process.wait(600)


def test_a_cluster_that_one_has_needs_only_a_pool_of_workers(
    pool: int, given: list[str], expected: dict[str, bytes], tmp_path: Path
) -> None:
    """As docs/clusters.md says: Flink as it comes, spoken to by its REST port alone.

    One TaskManager, because each needs a pool of its own, at the same address as seen from it.
    """
    need_flink(FLINK)
    with LocalCluster(ClusterSettings(flink_home(FLINK), (), 1, 2)) as cluster:
        done = subprocess.run(
            [ROOT / "run_flink.sh", "--flink_master", cluster.master,
             "--environment_config", f"localhost:{pool}",
             *given, "--output_dir", "out"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert tree(tmp_path / "out") == expected


def test_the_image_of_workers_has_the_beam_of_the_launcher() -> None:
    """An image cannot be built here; test_package.py tries its one step, the installation."""
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    assert f"_sdk:{beam.__version__}\n" in dockerfile
    assert " ".join(worker_command()) in (ROOT / "docs/clusters.md").read_text("utf-8")
