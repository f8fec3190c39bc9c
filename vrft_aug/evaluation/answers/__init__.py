"""A policy's answers to prepared rows: generation, scoring, votes."""
