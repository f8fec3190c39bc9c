"""Defines the two errors that a person sees as one line."""


class InputError(ValueError):
    """Bad input. The message names the file, row or key, and the remedy. Recipes print one line and exit with 2."""


class RunFailed(RuntimeError):
    """A run that started and failed. The message says what failed and where its log is. Recipes exit with 1."""
