"""The command line of the Flink runner: what it asks of `run`, and wrong use."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.flink import __main__ as flink
from pipeline.flink.cluster import RESTART_SECONDS
from pipeline.flink.distribution import RELEASES
from pipeline.options import UsageError, usable_cpus

GIVEN = ["--input", "a", "b", "--output_dir", "out"]
WRONG = {
    "--taskmanagers 0": "--taskmanagers is 0; it must be at least 1",
    "--workers -1": "--workers is -1; it must be at least 1",
    "--workers x": "invalid int value: 'x'",
    "--flink_version 1.7": f"--flink_version 1.7 is not one of {', '.join(RELEASES)}",
    "--flink_version 1.20 --flink_master x:1": "--flink_version is for a cluster on this machine",
    "--flink_job_server_jar no.jar": "--flink_job_server_jar no.jar: no such file",
    "--flink_master localhost:1": "no answer from Flink at http://localhost:1/v1/overview",
    "--flink_master localhost:x": "no answer from Flink at http://localhost:x/v1/overview",
}


def arguments(
    given: list[str], slots: int = 2, parallelism: int = 4, version: str = "1.20"
) -> dict[str, str]:
    """Return the options that are made of a command line, by name; the rest has to be as it was."""
    options = flink.parse(given)
    command, *found = flink.arguments_for(
        options, "h:1", version, Path("/s.jar"), slots, parallelism
    )
    assert command == "run"
    assert found[: len(options.arguments)] == options.arguments
    return {name: value for name, _, value in (o.partition("=") for o in found)}


def test_a_cluster_of_its_own_starts_workers_as_processes_that_stay() -> None:
    found = arguments(GIVEN)
    assert found["--runner"] == "FlinkRunner"
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
    apart = flink.arguments_for(
        flink.parse([*GIVEN, "--job_name", "mine"]), "h:1", "1.20", Path("/s.jar"), 1, 1
    )
    assert sum(argument.startswith("--job_name") for argument in apart) == 1


def test_there_are_as_many_workers_as_cores() -> None:
    options = flink.parse(GIVEN)
    assert (options.workers, options.taskmanagers, options.master) == (usable_cpus(), 2, None)


@pytest.mark.parametrize("given", WRONG)
def test_wrong_use_is_a_line_before_anything_is_fetched_or_started(
    given: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.flink import distribution, jar

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
        flink.parse([*GIVEN, "--taskmanager", "2"])
