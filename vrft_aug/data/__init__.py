"""Medical images to parquet rows: data sets, knowledge, prompts, preparation, rows. Needs neither torch nor verl."""
