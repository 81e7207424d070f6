"""Samples as tables of columns, in Arrow files and in Parquet files."""
