"""Prompt templates of the paper's A.5, and the code that fills them."""
