"""Metrics of scored answers, their intervals, and comparisons of runs."""
