"""Data sets to parquet rows: a loader yields samples, a draw picks some, a composer makes rows, a writer saves."""
