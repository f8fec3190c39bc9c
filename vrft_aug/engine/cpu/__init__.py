"""verl on a machine without a GPU: a platform for verl and FSDP engines for it."""
