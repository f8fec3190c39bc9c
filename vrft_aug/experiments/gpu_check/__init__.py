"""Tries a hardware profile: short trainings, what their numbers show, and one page with all of it."""
