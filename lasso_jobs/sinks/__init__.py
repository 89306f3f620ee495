"""Where rows are written: Delta tables, Parquet folders and PostgreSQL, by one protocol."""
