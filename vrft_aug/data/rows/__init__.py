"""The parquet row: its types, how a sample becomes a row, and the rows that other trainers read."""
