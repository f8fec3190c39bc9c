"""From a table of the paper to commands: cells, their stages, what they cost, and running them."""
