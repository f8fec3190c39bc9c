"""Holds everything that subclasses, registers with or patches verl, vLLM or Ray (docs/upgrading-verl.md lists it)."""
