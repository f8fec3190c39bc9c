"""Compares our runs with the numbers that the paper prints: its tables and figures."""
