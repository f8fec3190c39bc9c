"""Manages one run: its folder, its progress, its processes, and the checks before it starts."""
