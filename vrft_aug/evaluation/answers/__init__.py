"""Generates a policy's answers to prepared rows, scores them and takes votes."""
