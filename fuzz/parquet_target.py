"""A target for atheris, the fuzzer that follows coverage: any bytes as a parquet file.

Not part of the test suite: `pip install atheris`, then

    python fuzz/parquet_target.py -max_total_time=120 -rss_limit_mb=2048 -max_len=20000 CORPUS

where CORPUS is a directory, which is filled with small valid files if it is empty. A finding is
written as `crash-...`, `oom-...` or `timeout-...`; run the target with that file as its only
argument to see it again. Arrow's own code is not instrumented, so its branches do not guide the
search; a segmentation fault in it is found all the same.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from pathlib import Path

import atheris
import pyarrow as pa
import pyarrow.parquet as pq

with atheris.instrument_imports(include=["pipeline.launch.inputs", "transforms.read.articles"]):
    from pagecast.dataset.shard import Shard, ShardArticles
    from pipeline.launch.inputs import plan_shards, read_footer
    from transforms.read.articles import ReadArticles

MOST_SHARDS = 8
WRITTEN = (
    {},
    {"compression": "none", "use_dictionary": False, "write_page_checksum": True},
    {"compression": "gzip", "data_page_version": "2.0", "store_schema": False},
    {"compression": "zstd", "use_dictionary": False, "column_encoding": "DELTA_BYTE_ARRAY"},
)
PATH = os.path.join(tempfile.mkdtemp(), "a.parquet")


def read(content: bytes) -> None:
    """Plan and read the file; every row must be accounted for, and nothing may be raised."""
    Path(PATH).write_bytes(content)
    shards = [e for e in plan_shards([read_footer(PATH)], 256, None) if isinstance(e, Shard)]
    for shard in shards[:MOST_SHARDS]:
        for batch in ReadArticles().process(shard):
            if isinstance(batch, ShardArticles):
                rows = len(batch.articles) + sum(batch.dropped.values()) + len(batch.errors)
                assert rows == shard.rows, (rows, shard)


def fill(corpus: Path) -> None:
    """Write the files from which the search starts."""
    table = pa.table({"id": ["a", "b"], "title": ["t", None], "text": ["some text " * 9, "é"]})
    for number, how in enumerate(WRITTEN):
        file = io.BytesIO()
        pq.write_table(table, file, **how)
        (corpus / f"valid-{number}").write_bytes(file.getvalue())


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        if os.path.isdir(argument) and not os.listdir(argument):
            fill(Path(argument))
    atheris.Setup(sys.argv, read)
    atheris.Fuzz()
