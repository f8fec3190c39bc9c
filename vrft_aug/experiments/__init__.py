"""Turns a table of the paper into commands: its cells, their stages, their cost; and runs them."""
