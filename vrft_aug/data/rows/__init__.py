"""The parquet row: its schema, how a sample becomes one, and the forms that other trainers read."""
