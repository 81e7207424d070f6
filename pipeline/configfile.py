"""Options from a file and into one: YAML or TOML, by the names of the command line."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import yaml

from pipeline.options import RunOptions, UsageError
from transforms import storage
from transforms.redact import redact

OPTION = "--config"
SEVERAL = ("input", "font")  # options that take several values; Beam's are given several times
# Of one command, not of the job: another one would not want them by surprise.
MOMENTARY = (
    "overwrite",
    "force_unlock",
    "no_preflight",
    "quiet",
    "verbose",
    "output_dir",
    "beam_args",
)
# Beam's options that hold no secret; what is not among them is left out of what a run writes.
HARMLESS = """
artifact_endpoint auto_unique_labels autoscaling_algorithm checkpointing_interval
dataflow_endpoint dataflow_service_options dataflow_worker_jar default_sdk_harness_log_level
disk_size_gb enable_hot_key_logging environment_cache_millis environment_type experiments
extra_package extra_packages flexrs_goal flink_job_server_jar flink_master
flink_submit_uber_jar flink_version job_endpoint job_name job_server_java_launcher
job_server_timeout labels machine_type max_bundle_size max_bundle_time_mills
max_cache_memory_usage_mb max_num_workers max_parallelism min_cpu_platform network no_auth
no_save_main_session no_use_public_ips num_workers number_of_execution_retries
number_of_worker_harness_threads object_reuse parallelism pickle_library pipeline_name
prebuild_sdk_container_engine profile_cpu profile_location profile_memory project region
requirements_cache requirements_file runner s3_api_version s3_disable_ssl s3_endpoint_url
s3_region_name s3_verify save_main_session sdk_container_image
sdk_harness_log_level_overrides sdk_location sdk_worker_parallelism setup_file
staging_location streaming subnetwork temp_location template_location transform_name_mapping
update use_public_ips worker_disk_type worker_harness_container_image worker_machine_type
worker_region worker_zone zone
"""
NAME = re.compile(r"[A-Za-z]\w*")
ABOUT = "# The options of the last run here: pagecast run --config THIS_FILE --output_dir DIR\n"


def split(argv: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the path that --config names, if any, and the other arguments.

    Raises:
      UsageError: it names none, or there are two.
    """
    paths, rest = [], []
    left = iter(argv)
    for argument in left:
        name, equals, value = argument.partition("=")
        if name == OPTION:
            paths.append(value if equals else next(left, ""))
        else:
            rest.append(argument)
    if len(paths) > 1 or "" in paths:
        raise UsageError(f"{OPTION} takes one file, once")
    return (paths[0] if paths else None), rest


def expand(argv: Sequence[str]) -> list[str]:
    """Return a command line with the options of its --config in place of it, first of all."""
    path, rest = split(argv)
    return rest if path is None else [*arguments(path), *rest]


def arguments(path: str) -> list[str]:
    """Return the options in a file as arguments.

    Raises:
      UsageError: it cannot be read, or is no table of options and values.
    """
    return [
        argument
        for name, value in _read(path).items()
        for argument in _arguments_of(f"{OPTION} {path}", name, value)
    ]


def _read(path: str) -> Mapping[Any, Any]:
    kind = os.path.splitext(path)[1].lower()
    if kind not in (".toml", ".yaml", ".yml"):
        raise UsageError(f"{OPTION} {path}: its name must end in .yaml, .yml or .toml")
    try:
        content = storage.read_bytes(path).decode()
        found = tomllib.loads(content) if kind == ".toml" else yaml.safe_load(content)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        why = " ".join(str(error).split())
        raise UsageError(f"{OPTION} {path} cannot be read: {why}") from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise UsageError(f"{OPTION} {path}: it must be lines of an option and its value")
    return found


def _arguments_of(where: str, name: Any, value: Any) -> Iterator[str]:
    if not isinstance(name, str) or not NAME.fullmatch(name) or name == OPTION[2:]:
        raise UsageError(f"{where}: {name!r} is not the name of an option")
    option = f"--{name}"
    if isinstance(value, bool):
        yield from [option] * value  # what is off is left out
    elif isinstance(value, list):
        items = [_text(where, name, item) for item in value]
        if name == "modes":
            yield f"{option}={','.join(items)}"
        elif name not in SEVERAL:
            yield from (f"{option}={item}" for item in items)
        elif items:
            if wrong := next((item for item in items if item.startswith("-")), None):
                raise UsageError(f"{where}: {name} {wrong!r} begins like an option")
            yield from [option, *items]
    elif value is not None:
        yield f"{option}={_text(where, name, value)}"


def _text(where: str, name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UsageError(f"{where}: {name} must be a value, or a list of values")
    return str(value)


def effective(options: RunOptions) -> bytes:
    """Return a YAML file with what a job was asked to do, defaults too, but no secrets.

    Paths on this machine become absolute, so that it can be used from anywhere.
    """
    found: dict[str, Any] = {}
    for field in fields(options):
        value = getattr(options, field.name)
        if field.name not in MOMENTARY and value is not None:
            found[field.name] = value
    known = {mode.name for mode in RunOptions.modes}
    found["modes"] = [m.name if m.name in known else f"{m.name}={m.px}" for m in options.modes]
    found["input"] = [_absolute(path) for path in options.input]
    found["tokenizer"] = _absolute_file(options.tokenizer)
    if options.font:
        found["font"] = [_absolute_file(path) for path in options.font]
    given = _beam_options(options.beam_args)
    kept = {name: value for name, value in given.items() if _is_harmless(name, value)}
    about = ABOUT
    if others := [name for name in given if name not in kept and NAME.fullmatch(name)]:
        about += f"# Left out, as they may hold secrets: {', '.join(others)}\n"
    content = about + yaml.safe_dump(found | kept, sort_keys=False, allow_unicode=True)
    return redact(content).encode()


def _is_harmless(name: str, value: Any) -> bool:
    return name in HARMLESS.split() and redact(str(value)) == str(value)


def _absolute_file(given: str) -> str:
    """Return the absolute path of a file or directory that is there; another name as it is."""
    return os.path.abspath(given) if os.path.exists(given) else given


def _absolute(path: str) -> str:
    return os.path.abspath(path) if storage.is_local(path) else path


def doubtful(args: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the values of those of Beam's options that may be a secret, each with its name."""
    for name, value in _beam_options(args).items():
        if name not in HARMLESS.split():
            values = value if isinstance(value, list) else [value]
            yield from ((name, each) for each in values if isinstance(each, str))


def _beam_options(args: Sequence[str]) -> dict[str, Any]:
    """Return Beam's options by name."""
    found: dict[str, list[str | bool]] = {}
    for position, argument in enumerate(args):
        name, equals, value = argument.removeprefix("--").partition("=")
        if not argument.startswith("--"):
            continue
        following = args[position + 1 : position + 2]
        if not equals and following and not following[0].startswith("--"):
            value = following[0]
        found.setdefault(name, []).append(value if equals or value else True)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}
