"""Names of what a runner shows of a job; the counters add up like the accounts of the manifest."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from apache_beam.metrics import Metrics

from pagecast import pulse

NAMESPACE = "pagecast"
ARTICLES_READ = "articles_read"
ARTICLES_KEPT = "articles_kept"
ARTICLES_FAILED = "articles_failed"
ARTICLES_DROPPED = "articles_dropped_"  # and the reason
SAMPLES = "samples"
PAGES = "pages"
SAMPLE_BYTES = "bytes_samples"  # of JSON lines, by shard
IMAGE_BYTES = "bytes_pictures"
MILLISECONDS = "ms_"  # and the step; a distribution over shards, or over parts


def count(name: str, amount: int) -> None:
    """Add to a counter of the running step."""
    Metrics.counter(NAMESPACE, name).inc(amount)


@contextmanager
def timed(step: str) -> Iterator[None]:
    """Record how long the running step takes for one element.

    Not to be held over a `yield` of the step: the runner does the next steps there.
    """
    pulse.beat(step.replace("_", " "))
    started = time.perf_counter_ns()
    yield
    pulse.beat()
    taken = (time.perf_counter_ns() - started) // 1_000_000
    Metrics.distribution(NAMESPACE, MILLISECONDS + step).update(taken)
