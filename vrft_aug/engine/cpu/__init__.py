"""Runs verl without a GPU: a platform, FSDP engines, and forks that share their imports."""
