"""The one error that a person can mend."""


class InputError(ValueError):
    """Bad input: the message names the file, row or key and the remedy. Recipes print it as one line and exit 2."""
