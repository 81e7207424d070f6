"""The work: from parquet rows to samples, pages and the split. Never imports `pipeline`."""
