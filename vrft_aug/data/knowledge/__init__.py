"""The knowledge bank: what tells the classes of a data set apart. Reading, drafting, review."""
