"""Samples and kept articles, committed shard by shard."""
