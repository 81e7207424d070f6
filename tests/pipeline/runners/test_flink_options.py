"""The command line of the Flink runner: what it asks of `run`, and wrong use."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.commandline import parse
from pipeline.options import RunOptions, UsageError, usable_cpus
from pipeline.runners.flink import __main__ as flink
from pipeline.runners.flink.cluster import RESTART_SECONDS
from pipeline.runners.flink.distribution import RELEASES

GIVEN = ["--input", "a", "b", "--output_dir", "out"]
WRONG = {
    "--taskmanagers 0": 'invalid value "0" for --taskmanagers. Must be >= 1',
    "--workers -1": 'invalid value "-1" for --workers. Must be >= 1',
    "--workers x": "'x' is not a whole number",
    "--flink_version 1.7": f"--flink_version 1.7 is not one of {', '.join(RELEASES)}",
    "--flink_version 1.20 --flink_master x:1": "--flink_version is for a cluster on this machine",
    "--flink_job_server_jar no.jar": "--flink_job_server_jar no.jar: no such file",
    "--flink_master localhost:1": "no answer from Flink at http://localhost:1/v1/overview",
    "--flink_master localhost:x": "no answer from Flink at http://localhost:x/v1/overview",
}


def parsed(words: list[str]) -> tuple[flink.FlinkOptions, RunOptions]:
    found = parse(flink.APP, words).bound.arguments
    return found.get("asked") or flink.FlinkOptions(), found["options"]


def arguments(
    words: list[str], slots: int = 2, parallelism: int = 4, version: str = "1.20"
) -> dict[str, str]:
    """Return Beam's options that are made of a command line, by name; given ones come first."""
    asked, options = parsed(words)
    assert options.runner == "FlinkRunner"
    found = flink.beam_args(
        options, "h:1", version, Path("/s.jar"), slots, parallelism, is_ours=not asked.flink_master
    )
    assert found[: len(options.beam_args)] == options.beam_args
    return {name: value for name, _, value in (o.partition("=") for o in found)}


def test_a_cluster_of_its_own_starts_workers_as_processes_that_stay() -> None:
    found = arguments(GIVEN)
    assert found["--flink_master"] == "http://h:1"
    assert found["--flink_job_server_jar"] == "/s.jar"
    assert (found["--parallelism"], found["--sdk_worker_parallelism"]) == ("4", "2")
    assert found["--environment_type"] == "PROCESS"
    assert Path(found["--job_server_java_launcher"]).name == "pagecast-java"
    boot = Path(json.loads(found["--environment_config"])["command"])
    assert boot == Path(sys.executable).with_name("pagecast-boot")
    assert boot.exists()
    assert 2_000 < int(found["--environment_cache_millis"]) < 1000 * RESTART_SECONDS
    assert "--flink_submit_uber_jar" not in found


def test_a_cluster_that_one_has_gets_all_in_a_jar_and_workers_from_pools() -> None:
    found = arguments(["--flink_master", "h:1", *GIVEN])
    assert found["--environment_type"] == "EXTERNAL"
    assert found["--environment_config"] == "localhost:50000"
    assert found["--number_of_execution_retries"] == "3"
    assert "--flink_submit_uber_jar" in found


def test_on_flink_2_beams_optimizer_is_off() -> None:
    assert "--experiments" not in arguments(GIVEN)
    assert arguments(GIVEN, version="2.2")["--experiments"] == "pre_optimize=none"


def test_what_is_given_is_not_overruled() -> None:
    mine = {"--parallelism": "7", "--environment_type": "LOOPBACK", "--job_name": "mine"}
    given = [f"{name}={value}" for name, value in mine.items()]
    found = arguments([*GIVEN, *given])
    assert {name: found[name] for name in mine} == mine
    assert sum(o.startswith("--job_name") for o in arguments([*GIVEN, "--job_name", "mine"])) == 1


def test_the_workers_are_those_of_the_cluster() -> None:
    asked, options = parsed([*GIVEN, "--workers", "3"])
    assert (asked.workers, asked.taskmanagers, asked.flink_master) == (3, 2, None)
    assert options.workers == usable_cpus()


def test_a_wrong_option_in_a_file_is_named_with_it(tmp_path: Path) -> None:
    (config := tmp_path / "a.yaml").write_text("taskmanagers: 3\nflink_versoin: 2.2\n")
    with pytest.raises(UsageError) as error:
        parse(flink.APP, ["--config", str(config), *GIVEN])
    assert str(error.value) == (
        f"--config {config}, line 2: unknown option --flink_versoin; did you mean --flink_version?"
    )
    config.write_text("taskmanagers: 3\nworkers: 5\ninput: [a]\noutput_dir: o\nparallelism: 7\n")
    asked, options = parsed(["--config", str(config)])
    assert (asked.taskmanagers, asked.workers, options.workers) == (3, 5, usable_cpus())
    assert (options.input, options.beam_args) == (("a",), ("--parallelism=7",))


@pytest.mark.parametrize("given", WRONG)
def test_wrong_use_is_a_line_before_anything_is_fetched_or_started(
    given: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.runners.flink import distribution, jar

    def never(*_: Any) -> None:
        raise AssertionError("it fetches something")

    monkeypatch.setattr(jar, "job_server", never)
    monkeypatch.setattr(distribution, "flink_home", never)
    assert flink.main([*GIVEN, *given.split()]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("pagecast: error: ")
    assert WRONG[given] in err
    assert err.count("\n") == 1


def test_without_java_it_says_so(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert flink.main(GIVEN) == 2
    assert capfd.readouterr().err == (
        "pagecast: error: Flink needs Java 11 or 17, and there is no `java` here\n"
    )


def test_an_option_that_nobody_knows_is_refused_before_a_cluster_is_started() -> None:
    with pytest.raises(UsageError, match=r"--taskmanager\b.*--taskmanagers"):
        parse(flink.APP, [*GIVEN, "--taskmanager", "2"])
