"""The only door to DuckDB and to the audit's Parquet."""
