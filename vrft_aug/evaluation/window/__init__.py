"""A page that follows trainings while they run: their state, curves and rollouts."""
