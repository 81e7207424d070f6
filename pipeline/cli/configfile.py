"""Options from a file and into one: YAML or TOML, by the names of the command line.

YAML as its version 1.2 has it, and by the types of the options: a value is the text that stands
there, which the option then takes for a number, a switch or itself
(test_values_are_what_stands_there).
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn, get_origin

from cyclopts import App, Token
from cyclopts.argument import Argument, ArgumentCollection

from pagecast.storage.errors import StoreError
from pipeline.cli.kinds import names_of_modes, place_of
from pipeline.cli.yamlfile import NULL, SWITCH, UNTAGGED, compose, line_of
from pipeline.options import LOCAL_RUNNER, STYLES, RunOptions, UsageError
from transforms.redact import redact

OPTION = "--config"
# Of one command, not of the job: another one would not want them by surprise.
MOMENTARY = (
    "config",
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
NAME = re.compile(r"[A-Za-z][\w-]*")
ABOUT = "# The options of the last run here: pagecast run --config THIS_FILE --output_dir DIR\n"


class Entry(NamedTuple):
    """An option in a file: its name, its values as they stand there, and the line.

    is_list: whether they stand in a list. is_switch: whether it is true or false, without quotes.
    """

    name: str
    values: tuple[str, ...]
    line: int
    is_list: bool = False
    is_switch: bool = False

    def words(self) -> list[str]:
        """Return it as one would type it; a switch that is off is left out."""
        if self.is_switch:
            return [f"--{self.name}"] * SWITCH[self.values[0]]
        return [f"--{self.name}={value}" for value in self.values]


@dataclass
class Given:
    """What a command line and its file gave, as far as the library does not say.

    names: of the options that were given. places: where those in the file stand. others: what is
    in the file and none of the command's options, as one would type it.
    """

    arguments: ArgumentCollection = field(default_factory=ArgumentCollection)
    commands: tuple[str, ...] = ()
    names: set[str] = field(default_factory=set)
    places: dict[str, str] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)

    @property
    def options(self) -> dict[str, Argument]:
        """The command's options, by name with dashes; of two the first, as Cyclopts has it."""
        return {
            argument.name: argument
            for argument in reversed(self.arguments)
            if argument.parse and argument.name.startswith("--")
        }

    @property
    def runner(self) -> str:
        """The runner that was asked for."""
        argument = self.options.get("--runner")
        if argument is None:
            return LOCAL_RUNNER
        return argument.tokens[0].value if argument.tokens else str(argument.field_info.default)


_given: ContextVar[Given] = ContextVar("given")


def begin() -> Given:
    """Take down what is given from now on: one command line."""
    _given.set(found := Given())
    return found


def read_config(_: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Add what is in the file that --config names, if any; what was typed wins.

    Raises:
      UsageError: it cannot be read, or is not a table of options and values.
    """
    found = _given.get()
    found.arguments, found.commands = arguments, commands
    options = found.options
    found.names |= {name[2:] for name, argument in options.items() if argument.tokens}
    config = options.get(OPTION)
    if config is None or not config.tokens:
        return
    path = place_of(str, config.tokens)
    for entry in _read(path):
        name, place = entry.name, f"{OPTION} {path}, line {entry.line}"
        argument = options.get(f"--{name}")
        if argument is not None and argument.tokens:
            continue
        found.places[name] = place
        if argument is None:
            found.others += entry.words()
            continue
        if entry.is_list and get_origin(argument.resolved_hint) is not tuple:
            raise UsageError(f"{place}: {name} takes one value, not a list")
        if argument.hint is bool and entry.values[0] not in SWITCH:
            raise UsageError(f"{place}: {name} is {entry.values[0]!r}; it must be true or false")
        found.names.add(name)
        for index, value in enumerate(entry.values):
            argument.append(Token(keyword=argument.name, value=value, index=index))


def _read(path: str) -> list[Entry]:
    import yaml  # as late as can be, like all that help does not need

    from pagecast import storage

    kind = os.path.splitext(path)[1].lower()
    if kind not in (".toml", ".yaml", ".yml"):
        raise UsageError(f"{OPTION} {path}: its name must end in .yaml, .yml or .toml")
    try:
        content = storage.read_bytes(path).decode()
        return list((_toml if kind == ".toml" else _yaml)(path, content))
    except (OSError, StoreError, ValueError, RecursionError, yaml.YAMLError) as error:
        why = " ".join(str(error).split())
        raise UsageError(f"{OPTION} {path} cannot be read: {why}") from error


def _wrong(path: str, line: int, why: str) -> NoReturn:
    raise UsageError(f"{OPTION} {path}, line {line}: {why}")


def _name(path: str, line: int, name: str) -> str:
    if not NAME.fullmatch(name) or name == OPTION[2:]:
        _wrong(path, line, f"{name!r} is not the name of an option")
    return name.replace("-", "_")


def _yaml(path: str, content: str) -> Iterator[Entry]:
    """Yield the options of a YAML file. The base loader has no types: all values are texts."""
    import yaml

    root = compose(content)
    if root is None:
        return
    if not isinstance(root, yaml.MappingNode):
        _wrong(path, line_of(root), "it must be lines of an option and its value")
    lines: dict[str, int] = {}
    for key, value in root.value:
        line = line_of(key)
        name = _name(path, line, str(key.value))
        if name in lines:
            _wrong(path, line, f"{name} stands in line {lines[name]} already")
        lines[name] = line
        several = isinstance(value, yaml.SequenceNode)
        nodes = value.value if several else [value]
        for node in [value, *nodes]:
            if node.tag not in UNTAGGED:
                _wrong(path, line, f"{name} has the tag {node.tag}: values have none here")
        if not all(isinstance(node, yaml.ScalarNode) for node in nodes):
            _wrong(path, line, f"{name} must be a value, or a list of values")
        is_plain = not several and value.style is None
        if not is_plain or value.value not in NULL:
            is_switch = is_plain and value.value in SWITCH
            yield Entry(name, tuple(node.value for node in nodes), line, several, is_switch)


def _toml(path: str, content: str) -> Iterator[Entry]:
    for key, value in tomllib.loads(content).items():
        said = re.search(rf"^\s*[\[\"']*{re.escape(key)}\b", content, re.MULTILINE)
        line = content.count("\n", 0, said.end() if said else 0) + 1
        name = _name(path, line, key)
        several = isinstance(value, list)
        values = value if several else [value]
        if any(isinstance(each, dict | list) for each in values):
            _wrong(path, line, f"{name} must be a value, or a list of values")
        texts = [str(v).lower() if isinstance(v, bool) else str(v) for v in values]
        yield Entry(name, tuple(texts), line, several, isinstance(value, bool))


def effective(options: RunOptions) -> bytes:
    """Return a YAML file with what a job was asked to do, defaults too, but no secrets.

    Paths on this machine become absolute, so that it can be used from anywhere.
    """
    import yaml

    asked = vars(options).items()
    found = {name: value for name, value in asked if name not in MOMENTARY and value is not None}
    found["modes"] = names_of_modes(options.modes)
    found["input"] = [_absolute(path) for path in options.input]
    found["tokenizer"] = _absolute_file(options.tokenizer)
    if options.style not in STYLES:
        found["style"] = _absolute_file(options.style)
    if options.font:
        found["font"] = [_absolute_file(path) for path in options.font]
    given = _beam_options(options.beam_args)
    harmless = HARMLESS.split()
    kept = {n: v for n, v in given.items() if n in harmless and redact(str(v)) == str(v)}
    about = ABOUT
    if others := [name for name in given if name not in kept and NAME.fullmatch(name)]:
        about += f"# Left out, as they may hold secrets: {', '.join(others)}\n"
    content = about + yaml.safe_dump(found | kept, sort_keys=False, allow_unicode=True)
    return redact(content).encode()


def _absolute_file(given: str) -> str:
    """Return the absolute path of a file or directory that is there; another name as it is."""
    return os.path.abspath(given) if os.path.exists(given) else given


def _absolute(path: str) -> str:
    from pagecast import storage

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
