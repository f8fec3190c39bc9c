"""Prompt templates of the paper's appendix A.5, and the code that fills them."""
