"""Turns scored predictions into metrics with intervals, and compares runs."""
