"""The knowledge bank: what tells the classes of a data set apart, with its reading, drafting and review."""
