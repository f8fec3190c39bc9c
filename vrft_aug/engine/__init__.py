"""Runs trainings: everything that starts processes, talks to verl, or writes a run's folder."""
