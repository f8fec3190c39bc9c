"""The border: everything that subclasses, registers with, or patches verl, vLLM or Ray."""
