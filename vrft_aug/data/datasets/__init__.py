"""One module per data set: each has `load(root, split, **options)`, which yields samples."""
