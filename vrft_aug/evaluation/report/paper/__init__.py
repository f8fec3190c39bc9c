"""The paper's tables and figures: its printed numbers beside our runs."""
