"""The two errors that a person meets."""


class InputError(ValueError):
    """Bad input: the message names the file, row or key and the remedy. Recipes print it as one line and exit 2."""


class RunFailed(RuntimeError):
    """A run that started and broke: the message says what broke and where its log is. Recipes exit 1."""
