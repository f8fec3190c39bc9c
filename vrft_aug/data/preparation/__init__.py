"""The preparation stage: index a data set, draw images, encode them, write rows, look for leaks."""
