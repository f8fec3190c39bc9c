"""Turns medical images into parquet rows: data sets, knowledge, prompts, preparation, rows. Needs no torch or verl."""
