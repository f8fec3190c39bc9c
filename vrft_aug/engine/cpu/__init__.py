"""verl on a machine without an accelerator: a platform (platform.py) and the FSDP engines for it (fsdp.py)."""
