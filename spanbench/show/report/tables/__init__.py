"""Records as tables: rows for CSV, frames for notebooks and Parquet."""
