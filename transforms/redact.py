"""Secrets do not go into what is said or written: messages, traces, reasons of failures, options.

What is hidden: users and passwords in addresses, what signs an address, tokens of the hub, and the
values that this process knows to be secret: those of environment variables that are called so, and
those of Beam's options that are not known to be harmless.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from functools import cache

HIDDEN = "***"
LEAST, LEAST_OF_SECRETS = 8, 4  # characters of a value: a shorter one may be any word
# As words of a name: TOKENIZERS_PARALLELISM is not a secret.
SECRET = re.compile(
    r"(?:^|_)(?:SECRET|TOKEN|PASS|PASSWORD|PASSWD|CREDENTIALS?|(?:API|ACCESS|ACCOUNT)?KEY|SAS|"
    r"SIGNATURE|CONNECTION_STRING)(?:_|$)",
    re.IGNORECASE,
)
# A password may have slashes; what follows a colon may be a port. Azure's abfs://container@account
# has none without a colon.
USER = re.compile(
    r"(?<=://)(?:(?<!abfs://)(?<!abfss://)[^\s/?#'\"]+|[^\s/?#'\":@]+:(?!\d+/)[^\s'\"]+)@"
)
SIGNED = re.compile(
    r"(?<=[?&])([\w.-]*(?:secret|token|password|credential|signature|key)|sig|sas|auth|pass|pwd)"
    r"=[^\s&#'\"]+",
    re.IGNORECASE,
)
HUB_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{16,}")
# NAME=VALUE and "NAME": "VALUE" within an option: connection strings, environments of workers.
WITHIN = re.compile(r"(\w+)[\"']?\s*[=:]\s*[\"']?([^\"',;\s{}]+)")
WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")  # AccountKey is two
# Options of many settings: not secret as a whole, but the environment variables in them may be.
SETTINGS = ("environment_config", "environment_options")
_of_options: set[str] = set()


def redact(text: str) -> str:
    """Return a text with what is secret in it hidden.

    >>> redact("cannot read s3://key:hush@bucket/a?X-Amz-Signature=abc&part=1")
    'cannot read s3://***@bucket/a?X-Amz-Signature=***&part=1'
    """
    if "://" in text:
        text = SIGNED.sub(rf"\1={HIDDEN}", USER.sub(f"{HIDDEN}@", text))
    if "hf_" in text:
        text = HUB_TOKEN.sub(HIDDEN, text)
    for value in _known():
        text = text.replace(value, HIDDEN)
    return text


def hide(options: Iterable[tuple[str, str]]) -> None:
    """Take note of options, by name and value, that are secret, or have a secret within."""
    for name, value in options:
        within = WITHIN.findall(value)
        for part, found in within:
            if name in SETTINGS or SECRET.search(WORDS.sub("_", part)):
                _note(part, found)
        if name not in SETTINGS and (not within or SECRET.search(name)):
            _note(name, value)
    _known.cache_clear()


def _note(name: str, value: str) -> None:
    enough = LEAST_OF_SECRETS if SECRET.search(WORDS.sub("_", name)) else LEAST
    if len(value) >= enough and not value.isdigit() and not _is_path(value):
        _of_options.add(value)


def _is_path(value: str) -> bool:
    return (value.startswith("/") and "/" in value[1:]) or os.path.exists(value)


def secrets_of(environment: Mapping[str, str]) -> set[str]:
    """Return the values of variables whose names say that they are secret."""
    return {
        value
        for name, value in environment.items()
        if SECRET.search(name) and len(value) >= LEAST and not _is_path(value)
    }


@cache
def _known() -> tuple[str, ...]:
    """Return all values to hide, the longest first: one may be a part of another."""
    return tuple(sorted(_of_options | secrets_of(os.environ), key=lambda v: (-len(v), v)))
