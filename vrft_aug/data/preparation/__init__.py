"""The preparation stage: it indexes a data set, draws images, encodes them, writes rows and looks for leaks."""
