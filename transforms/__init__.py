"""The work: from rows of parquet to shards of samples, pages, and the split. Never imports `pipeline`."""
