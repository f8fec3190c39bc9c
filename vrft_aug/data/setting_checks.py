"""Checks the type and range of single settings; the errors name the key, the value and what is allowed."""

from collections.abc import Sequence
from typing import Any

from vrft_aug.errors import InputError


def written(value: Any) -> str:
    """A value as a YAML file or a command line writes it."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def check_type(key: str, value: Any, kind: type, description: str) -> None:
    """Raise InputError for a value of another type."""
    if not isinstance(value, kind):
        raise InputError(f"{key}={written(value)}: must be {description}")


def check_number(key: str, value: Any, least: int, optional: bool = False) -> None:
    """Raise InputError unless the value is a whole number, `least` or more. optional: None is allowed as well."""
    if not ((type(value) is int and value >= least) or (value is None and optional)):
        raise InputError(f"{key}={written(value)}: must be a whole number, {least} or more{', or null' * optional}")


def check_numbers(key: str, value: Any, names: tuple[str, ...]) -> None:
    """Raise InputError unless the value maps exactly these names to a whole number, 1 or more, or None."""
    if not isinstance(value, dict) or set(value) != set(names):
        form = ", ".join(f"{name}: <number or null>" for name in names)
        raise InputError(f"{key}={written(value)}: must be {{{form}}}; set {key}.{names[0]}=<number>, for example")
    for name in names:
        check_number(f"{key}.{name}", value[name], 1, optional=True)


def check_names(key: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raise InputError unless the value is a list of some of these names, each once."""
    wrong = isinstance(value, str) or not isinstance(value, Sequence) or not set(value) <= set(choices)
    if wrong or len(set(value)) < len(value):
        raise InputError(f"{key}={written(value)}: must be a list of some of {', '.join(choices)}, each once")


def check_choice(key: str, value: Any, choices: tuple) -> None:
    """Raise InputError, which lists the choices, for any other value."""
    if value not in choices:
        raise InputError(f"{key}={written(value)}: must be one of {', '.join(map(written, choices))}")
