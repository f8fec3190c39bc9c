"""Measures what a policy has learnt: its answers, metrics and the report."""
