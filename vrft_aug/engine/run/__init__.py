"""A run's life: its folder, progress, watching its processes, ending them, checks before it starts."""
