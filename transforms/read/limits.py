"""Bounds of what a worker holds, which options are checked against. Imports nothing slow."""

from __future__ import annotations

MAX_ARTICLE_CHARS = 20_000_000  # a longer article fails, unless the person wants another bound
MOST_ARTICLE_CHARS = 40_000_000  # that a worker has memory to read, whatever they are
MAX_SHARD_ROWS = 4096
