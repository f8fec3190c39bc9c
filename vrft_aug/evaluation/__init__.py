"""Measures what a policy has learnt: answers, metrics, and the report."""
