"""Jobs for Google Dataflow: built, staged and described on this machine, without Google."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from apache_beam.internal import pickler
from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.runner import PipelineState

from pagecast import storage
from pagecast.dataset.layout import asset_path
from pagecast.dataset.versions import versions
from pipeline.__main__ import main as pagecast
from pipeline.cli.commandline import parse
from pipeline.commands.failure import JobError
from pipeline.commands.run import finish
from pipeline.options import RunOptions, is_dataflow
from pipeline.runners.dataflow import workers
from pipeline.runners.dataflow.__main__ import (
    APP,
    DEFAULTS,
    VARIABLES,
    DataflowOptions,
    completed,
    main,
)
from tests.conftest import SAMPLE, articles, parse_run, write_parquet
from tests.support.emulators import Google
from tests.support.packages import check_assets, command, contents, install, with_more

pytest.importorskip(
    "apache_beam.runners.dataflow.internal.apiclient",
    reason="Dataflow is not tested: the extra `dataflow` is not installed",
)

ROOT = Path(__file__).parents[3]
WHOSE = "--project my-project --region europe-west4 --bucket my-bucket"
# Beam takes this address for a stand-in of the service's, which may have local files.
STAND_IN = "--dataflow_endpoint http://localhost:1 --no_auth"
HARNESS = """
import json, os, sys
from apache_beam.runners.worker.sdk_worker_main import create_harness
given = {"PIPELINE_OPTIONS": sys.argv[1], "CONTROL_API_SERVICE_DESCRIPTOR": ""}
create_harness(given, dry_run=True)
container = "pipeline.runners.dataflow.container" in sys.modules
print(json.dumps([os.environ["RAYON_NUM_THREADS"], container]))
"""


@contextmanager
def without_google() -> Iterator[None]:
    """Leave the network out of reach, and see that nothing tries it or looks for credentials."""
    found: list[object] = []
    connect = socket.socket.connect

    def notice(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            found.append(address)
            raise OSError(f"no network: {address}")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", notice)
        patch.setattr("google.auth.default", lambda *_, **__: found.append("credentials"))
        patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/credentials.json")
        for variable in chain(*VARIABLES.values()):
            patch.delenv(variable, raising=False)
        yield
    assert found == []


@pytest.fixture(autouse=True)
def _without_google() -> Iterator[None]:
    with without_google():
        yield


class Template(NamedTuple):
    """A job that was written to files instead of being sent."""

    path: Path

    @property
    def job(self) -> dict[str, Any]:
        return json.loads((self.path / "job.json").read_text())

    @property
    def pool(self) -> dict[str, Any]:
        (pool,) = self.job["environment"]["workerPools"]
        return pool

    @property
    def options(self) -> dict[str, Any]:
        return self.job["environment"]["sdkPipelineOptions"]["options"]

    @property
    def graph(self) -> bytes:
        return (self.path / "staging/pipeline.pb").read_bytes()

    @property
    def functions(self) -> dict[str, Any]:
        """The DoFns as a worker gets them, by the name of their step."""
        proto = beam_runner_api_pb2.Pipeline.FromString(self.graph)
        found = {}
        for transform in proto.components.transforms.values():
            if transform.spec.urn == "beam:transform:pardo:v1":
                function = beam_runner_api_pb2.ParDoPayload.FromString(transform.spec.payload).do_fn
                if function.urn == python_urns.PICKLED_DOFN_INFO:
                    found[transform.unique_name.rpartition("/")[2]] = pickler.loads(
                        function.payload
                    )[0]
        return found


def make_template(path: Path, source: str | Path, options: str = "") -> Template:
    for name in ("staging", "temp"):
        (path / name).mkdir(parents=True)
    places = f"--template_location {path}/job.json --output_dir {path}/out --input {source}"
    staging = f"--staging_location {path}/staging --temp_location {path}/temp"
    with without_google():
        assert main(f"{WHOSE} {STAND_IN} {places} {staging} {options}".split()) == 0
    return Template(path)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The built-in articles with all defaults."""
    return make_template(tmp_path_factory.mktemp("dataflow") / "default", SAMPLE)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Many shards and other options."""
    path = tmp_path_factory.mktemp("dataflow")
    source = write_parquet(path / "many.parquet", articles(*["words"] * 3000), group_rows=1)
    (path / "more.txt").write_text("requests>=2\n")
    options = (
        "--shard_rows 1 --modes tiny --png_level 3 --min_tokens 100 --max_num_workers=40 "
        "--worker_machine_type c3-standard-8 --disk_size_gb 30 --job_name mine "
        f"--number_of_worker_harness_threads 2 --requirements_file {path}/more.txt"
    )
    return make_template(path / "large", source, options)


def test_the_graph_is_small_and_does_not_grow_with_the_input(
    template: Template, large: Template
) -> None:
    plans = [(t.path / "out/_pagecast/plan.jsonl").read_bytes() for t in (template, large)]
    assert [plan.count(b"\n") for plan in plans] == [4, 3000]
    assert abs(len(large.graph) - len(template.graph)) < 2000
    assert len(template.graph) + len(json.dumps(template.job)) < 200_000  # a megabyte is promised
    assert "steps" not in template.job  # the graph is in the one file


def test_a_job_has_the_defaults(template: Template) -> None:
    pool = template.pool
    assert pool["autoscalingSettings"]["maxNumWorkers"] == 8
    assert (pool["machineType"], pool["diskSizeGb"]) == ("n2-standard-4", 100)
    # A process for each core, with one thread.
    assert pool["numThreadsPerWorker"] == 1
    assert [i["useSingleCorePerContainer"] for i in pool["sdkHarnessContainerImages"]] == [True]
    assert "use_multiple_sdk_containers" in template.job["environment"]["experiments"]
    assert re.fullmatch(r"pagecast-\d{8}-\d{6}", template.job["name"])
    assert template.options["project"] == "my-project"
    assert template.options["region"] == "europe-west4"


def test_a_job_is_a_batch_job_without_the_streaming_engine(template: Template) -> None:
    environment = template.job["environment"]
    assert template.job["type"] == "JOB_TYPE_BATCH"
    assert environment["version"]["job_type"] == "FNAPI_BATCH"
    assert template.options["enable_streaming_engine"] is False
    assert not [e for e in environment["experiments"] if "streaming" in e or "windmill" in e]


def test_what_is_given_wins_over_the_defaults(large: Template) -> None:
    pool = large.pool
    assert pool["autoscalingSettings"]["maxNumWorkers"] == 40
    assert (pool["machineType"], pool["diskSizeGb"]) == ("c3-standard-8", 30)
    assert pool["numThreadsPerWorker"] == 2
    assert large.job["name"] == "mine"


def test_the_images_python_and_beam_are_the_launchers(template: Template) -> None:
    python, beam = ".".join(map(str, sys.version_info[:2])), version("apache-beam")
    assert template.pool["workerHarnessContainerImage"].endswith(f"/beam_python{python}_sdk:{beam}")


def test_options_of_the_run_are_in_the_functions(template: Template, large: Template) -> None:
    modes = [
        [mode.name for mode in t.functions["RenderPages"]._settings.modes]
        for t in (template, large)
    ]
    assert modes == [["tiny", "small", "base", "large"], ["tiny"]]
    assert large.functions["RenderPages"]._settings.png_level == 3
    assert large.functions["RenderPages"]._output_dir == f"{large.path}/out"
    fonts = large.functions["RenderPages"]._settings.sheet.fonts
    out = large.functions["RenderPages"]._output_dir
    paths = [asset_path(out, font, ".ttf") for font in fonts]
    assets = [*paths, large.functions["Tokenize"]._path]
    assert all(Path(path).is_relative_to(large.path / "out/_pagecast/assets") for path in assets)
    assert all(Path(path).is_file() for path in assets)


def test_workers_are_sent_the_sources_and_what_stores_need(
    template: Template, large: Template
) -> None:
    sent = {package["name"]: Path(package["location"]) for package in template.pool["packages"]}
    assert set(sent) >= {"workflow.tar.gz", "requirements.txt"}
    assert all(path.parent == template.path / "staging" for path in sent.values())
    lines = sent["requirements.txt"].read_text().split()
    assert (large.path / "staging/requirements.txt").read_text().split() == ["requests>=2", *lines]
    # What setup.py pins and what it leaves open alike, as it is here; not Beam, which is there.
    pins = dict(line.split("==") for line in lines)
    assert {"Pillow", "tokenizers", "zlib-ng", "pyarrow", "gcsfs"} <= set(pins)
    assert pins == {name: version(name) for name in pins}
    assert "apache-beam" not in pins
    names = set(contents(sent["workflow.tar.gz"]))
    assert names >= {"setup.py", "pipeline/runners/dataflow/container.py"}
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "docs/"))]


def test_the_staged_sources_work_in_an_empty_environment(
    template: Template, empty_python: Path, tmp_path: Path
) -> None:
    """As on a worker, but for the order, so that nothing is there that the sources do not list."""
    staging = template.path / "staging"
    install(empty_python, f"{staging}/workflow.tar.gz[pipeline]")
    check_assets(empty_python)
    see = (
        "import json, pagecast.storage.stores.objects, pagecast.dataset.versions as v; "
        "print(json.dumps(v.versions()))"
    )
    with with_more(empty_python, staging / "requirements.txt"):
        done = command(empty_python, "-I", "-c", see, cwd=tmp_path)
    assert json.loads(done.stdout) == versions()
    # The job has them as a structure that knows no whole numbers; Dataflow makes them whole again.
    options = {
        f"beam:option:{name}:v1": int(value) if isinstance(value, float) else value
        for name, value in template.options.items()
    }
    environment = {k: v for k, v in os.environ.items() if k != "RAYON_NUM_THREADS"}
    harness = [empty_python, "-c", HARNESS, json.dumps(options)]
    done = command(*harness, cwd=tmp_path, env=environment)
    assert json.loads(done.stdout.splitlines()[-1]) == ["1", True]


def test_a_dry_run_by_the_script_says_what_it_built(tmp_path: Path) -> None:
    environment = {**os.environ, "PAGECAST_BUCKET": "gs://my-bucket/"}
    arguments = "--dry_run --project my-project --region europe-west4 --modes tiny"
    done = command(ROOT / "run_dataflow.sh", *arguments.split(), cwd=tmp_path, env=environment)
    table = dict(re.split(" +", line, maxsplit=1) for line in done.stdout.splitlines())
    assert re.fullmatch(r"pagecast-\S+ in my-project, europe-west4", table["job"])
    size = re.fullmatch(r"\d+ steps, ([\d,]+) bytes", table["graph"])
    assert size is not None
    assert 50_000 < int(size[1].replace(",", "")) < 1_000_000
    assert re.search(r"^staged +workflow.tar.gz, [\d,]{7,} bytes$", done.stdout, re.MULTILINE)
    assert table["workers"] == "at most 8, n2-standard-4, 100 GB disk"
    assert table["input"] == "gs://my-bucket/pagecast/demo/finewiki_sample.parquet"
    assert table["output"] == "gs://my-bucket/pagecast/demo/output"
    assert done.stderr.endswith("this was a dry run: nothing was sent, read or written\n")
    assert list(tmp_path.iterdir()) == []


def test_without_input_the_demo_goes_to_the_bucket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Google()
    store.clean()
    store.enter(monkeypatch)
    whose = WHOSE.replace("my-bucket", "bucket")
    places = f"--staging_location {tmp_path} --temp_location {tmp_path}"
    options = f"{whose} {STAND_IN} --template_location {tmp_path}/job.json {places}"
    assert main(options.split()) == 0
    demo = storage.read_bytes("gs://bucket/pagecast/demo/finewiki_sample.parquet")
    assert demo == Path(SAMPLE).read_bytes()
    plan = storage.read_bytes("gs://bucket/pagecast/demo/output/_pagecast/plan.jsonl")
    assert plan.count(b"gs://bucket/pagecast/demo/finewiki_sample.parquet") == 4
    store.close()


WRONG = {
    "": "needs --project (or $GOOGLE_CLOUD_PROJECT) and --region (or $GOOGLE_CLOUD_REGION or "
    "$CLOUDSDK_COMPUTE_REGION) and --bucket (or $PAGECAST_BUCKET)",
    "--project p --region r": "a job on Dataflow needs --bucket (or $PAGECAST_BUCKET)",
    "--project p --region r --bucket gs://b/dir": "--bucket b/dir is not the name of a bucket",
    f"{WHOSE} --input {SAMPLE}": "is on this machine, where Dataflow's workers cannot see it",
    f"{WHOSE} --dry_run --input {SAMPLE}": "is on this machine, where Dataflow's workers cannot",
    f"{WHOSE} --input gs://b/in --output_dir out": "--output_dir out is on this machine",
    f"{WHOSE} --input gs://b/in --temp_location /tmp": "--temp_location /tmp must be like gs://",
    f"{WHOSE} --input gs://b/in --temp_location gs://B/x": "--temp_location gs://B/x must be",
    f"{WHOSE} --input gs://b/in --max_sample 9": "unknown option --max_sample; did you mean",
    f"{WHOSE} --machine_tpye e2-small": "--machine_tpye; did you mean --machine_type?",
    f"{WHOSE} --buckets b": "unknown option --buckets; did you mean --bucket?",
    f"{WHOSE} --max_num_workers many": "argument --max_num_workers: invalid int value: 'many'",
    f"{WHOSE} --job_name Mine": "Invalid job_name (Mine)",
    f"{WHOSE} --project 12345": "Invalid Project ID (12345)",
    f"{WHOSE} --num_workers 9": "num_workers (9) cannot exceed max_num_workers (8)",
    f"{WHOSE} --streaming": "--streaming: this is a batch job",
    f"{WHOSE} --requirements_file none.txt": "--requirements_file none.txt: no such file",
    f"{WHOSE} --input gs:///x": "--input gs:///x names no bucket",
}


@pytest.mark.parametrize("arguments", WRONG)
def test_wrong_use_exits_2_with_one_line_before_anything_is_written(
    arguments: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments.split()) == 2
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("pagecast: error: ")
    assert WRONG[arguments] in err
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_it_is_named(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "apache_beam.runners.dataflow.internal.apiclient", None)
    assert main(WHOSE.split()) == 2
    assert "pip install 'pagecast[dataflow]'" in capfd.readouterr().err


def test_without_the_sources_it_says_what_else_will_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pipeline.__file__", str(tmp_path / "pipeline/__init__.py"))
    assert main(WHOSE.split()) == 2
    assert "give --setup_file, or --sdk_container_image" in capfd.readouterr().err


def test_the_command_run_knows_dataflow_too(capfd: pytest.CaptureFixture[str]) -> None:
    assert pagecast(f"run --runner dataflow {PLACES}".split()) == 2
    assert "needs --temp_location gs://bucket/directory" in capfd.readouterr().err
    local = f"run --input {SAMPLE} --output_dir out --dry_run True"
    assert pagecast(local.split()) == 2
    assert "--dry_run has no effect with --runner DirectRunner" in capfd.readouterr().err


def test_project_region_and_bucket_may_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in chain(*VARIABLES.values()):
        monkeypatch.setenv(variable, variable.lower().replace("_", "-"))
    asked = parse(APP, ["--bucket", "gs://mine/"]).bound.arguments["asked"]
    assert (asked.project, asked.region) == ("google-cloud-project", "google-cloud-region")
    assert asked.below("x") == "gs://mine/pagecast/x"
    monkeypatch.delenv("GOOGLE_CLOUD_REGION")
    assert DataflowOptions().region == "cloudsdk-compute-region"


def test_an_image_of_ones_own_needs_nothing_else(tmp_path: Path) -> None:
    line = f"{WHOSE} --sdk_container_image eu.example/pagecast:1"
    found = parse(APP, line.split()).bound.arguments
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    options = completed(found["asked"], found["options"], found["call"].given, now, tmp_path)
    names = {argument.partition("=")[0] for argument in options.beam_args}
    assert not names & {"--setup_file", "--requirements_file"}
    assert names >= set(DEFAULTS)
    assert "--job_name=pagecast-20260102-030405" in options.beam_args
    assert options.output_dir == "gs://my-bucket/pagecast/demo/output"


def test_workers_get_what_s3_needs_where_it_is_used(tmp_path: Path) -> None:
    options = RunOptions(input=("s3://b/in",), output_dir="gs://b/out")
    text = Path(workers.write_requirements(options, None, tmp_path)).read_text()
    assert f"s3fs=={version('s3fs')}\n" in text
    assert f"gcsfs=={version('gcsfs')}\n" in text
    assert "uharfbuzz" not in text


@pytest.mark.parametrize(
    "asked", [{"layout": "harfbuzz"}, {"line_break": "unicode"}, {"language": "hi"}]
)
def test_workers_get_what_the_layout_needs(asked: dict[str, str], tmp_path: Path) -> None:
    options = RunOptions(input=("gs://b/in",), output_dir="gs://b/out", **asked)
    text = Path(workers.write_requirements(options, None, tmp_path)).read_text()
    assert "uharfbuzz==" in text and "PyICU-wheels==" in text


class Sent:
    """A job that was sent, and ends in some way."""

    has_job = True

    def __init__(self, end: object) -> None:
        self.end, self.cancelled = end, False

    def run(self) -> Sent:
        return self

    def job_id(self) -> str:
        return "2026-01-02_03"

    def wait_until_finish(self) -> object:
        if isinstance(self.end, BaseException):
            raise self.end
        return self.end

    def cancel(self) -> None:
        self.cancelled = True


def failure(state: str) -> Exception:
    """Return the error of Beam's for a job on Dataflow that failed or was cancelled."""
    error = RuntimeError(f"Dataflow pipeline failed. State: {state}, Error:\nNone")
    error.result = SimpleNamespace(state=state)  # type: ignore[attr-defined]
    return error


PLACES = "--input gs://b/in --output_dir gs://b/out"
OPTIONS = parse_run(f"--runner DataflowRunner {PLACES} --project p --region r".split())


def test_a_job_that_was_sent_says_where_it_can_be_watched(
    capfd: pytest.CaptureFixture[str],
) -> None:
    finish(Sent(PipelineState.DONE), OPTIONS)
    assert "/dataflow/jobs/r/2026-01-02_03?project=p" in capfd.readouterr().err


@pytest.mark.parametrize("end", [PipelineState.CANCELLED, failure(PipelineState.CANCELLED)])
def test_a_job_that_somebody_cancelled_is_no_success(end: object) -> None:
    with pytest.raises(JobError, match="the job ended as CANCELLED; finished shards are kept"):
        finish(Sent(end), OPTIONS)


def test_a_job_that_failed_keeps_its_reason() -> None:
    with pytest.raises(RuntimeError, match="State: FAILED"):
        finish(Sent(failure(PipelineState.FAILED)), OPTIONS)


def test_ctrl_c_cancels_the_job() -> None:
    sent = Sent(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        finish(sent, OPTIONS)
    assert sent.cancelled


@pytest.mark.parametrize("name", ["DataflowRunner", "dataflow", "a.b.DataflowRunner"])
def test_dataflow_has_several_names(name: str) -> None:
    assert is_dataflow(name)
    assert not is_dataflow("FlinkRunner")
