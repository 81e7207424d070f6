"""Names of the counters that a runner shows; they add up like the accounts of the manifest."""

from __future__ import annotations

from apache_beam.metrics import Metrics

NAMESPACE = "pagecast"
ARTICLES_READ = "articles_read"
ARTICLES_KEPT = "articles_kept"
ARTICLES_FAILED = "articles_failed"
ARTICLES_DROPPED = "articles_dropped_"  # and the reason
SAMPLES = "samples"
PAGES = "pages"


def count(name: str, amount: int) -> None:
    """Add to a counter of the running step."""
    Metrics.counter(NAMESPACE, name).inc(amount)
