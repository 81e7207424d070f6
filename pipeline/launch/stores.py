"""Object stores as the command line names them: what they need, and the options they are given."""

from __future__ import annotations

import importlib
import logging
import re
import sys
from collections.abc import Iterable, Sequence

import fsspec

from pagecast import storage
from pipeline.cli import configfile
from pipeline.options import UsageError
from transforms.redact import USER, hide

# Scheme to the extra of this package that brings what serves it, and the module that does.
AWS, GCP, AZURE = ("aws", "s3fs"), ("gcp", "gcsfs"), ("azure", "adlfs")
EXTRAS = {"s3": AWS, "gs": GCP, "gcs": GCP, "az": AZURE, "abfs": AZURE, "abfss": AZURE}
HUB, MEMORY = "hf://", "memory://"
CHAIN = re.compile(r"[\w+.-]+(://.*)?::")
WHERE = re.compile(r"([^:]+)://([^/*?[]*)(/|$)")


def use(
    given: Iterable[tuple[str, str | None]], beam_args: Sequence[str], alone: bool = True
) -> None:
    """Let this process reach the stores of the paths given, each with the name of its option.

    Args:
      alone: no other process has to reach them.

    Raises:
      UsageError: a path names no place in a store, or the store needs something to be installed.
    """
    for option, path in given:
        if path is not None and path.startswith(MEMORY) and not alone:
            raise UsageError(f"{option} {path}: {MEMORY} is one process's own; use --workers 1")
        if path is not None and CHAIN.match(path) and "://" in path:
            raise UsageError(f"{option} {path}: a URL inside another one (::) is not supported")
        if path is not None and not storage.is_local(path):
            _check(f"{option} {path}", path)
            # Where there are no credentials it says so too, and tells of looking for them.
            logging.getLogger("google.auth").setLevel(logging.ERROR)
    hide(configfile.doubtful(beam_args))
    if beam_args or "apache_beam" in sys.modules:  # which takes long to import
        from apache_beam.io.filesystems import FileSystems
        from apache_beam.options.pipeline_options import PipelineOptions

        FileSystems.set_options(PipelineOptions(list(beam_args)))


def modules(paths: Iterable[str]) -> set[str]:
    """Return the modules that serve paths, and are slow to import."""
    schemes = {path.partition("://")[0] for path in paths if not storage.is_local(path)}
    ours = {
        f"pagecast.storage.stores.{'hub' if scheme == 'hf' else 'objects'}" for scheme in schemes
    }
    return ours | {EXTRAS[scheme][1] for scheme in schemes & EXTRAS.keys()}


def _check(what: str, path: str) -> None:
    if path.startswith(HUB):
        _check_hub(what, path)
        return
    if USER.search(path):  # it would be in plan and manifest
        raise UsageError(
            f"{what} holds a user or a password, which would be written into the dataset: leave "
            "it out and give it by environment variables or the options of the store"
        )
    place = WHERE.match(path)
    if place is None or not place[2]:
        raise UsageError(f"{what} names no bucket: it must be like s3://bucket/directory")
    extra, module = EXTRAS.get(place[1], (None, None))
    if module is not None:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise UsageError(
                f"{what} needs the extra {extra}: pip install 'pagecast[{extra}]'"
            ) from error
        return
    try:
        fsspec.get_filesystem_class(place[1])
    except ValueError as error:
        raise UsageError(f"{what}: there is no file system for {place[1]}://") from error
    except ImportError as error:
        raise UsageError(f"{what}: fsspec lacks something for it: {error}") from error


def _check_hub(what: str, path: str) -> None:
    from pagecast.storage.stores import hub  # its library is slow to import

    if not what.startswith("--input "):
        raise UsageError(f"{what}: datasets on the hub can only be read, as --input")
    try:
        hub.parse(path)
    except ValueError as error:
        raise UsageError(f"{what}: {error}") from error
