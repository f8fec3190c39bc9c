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


def check_classes(where: str, names: list[str], grades: bool) -> None:
    """Raise InputError unless the classes are different texts; grades must be whole numbers. where: the file."""
    if not names or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise InputError(f"{where}: the classes must be different strings (quote grades, as in \"0\")")
    if grades and not all(name.isdecimal() for name in names):
        raise InputError(f"{where}: the classes of a grading task must be integers, as \"0\", \"1\"")


def check_disease(where: str, names: list[str], disease: Any, harm: Any) -> None:
    """Raise InputError unless `disease` names some of the classes, or is None; harm is a number above 0, or None."""
    if disease is not None:
        listed = isinstance(disease, list) and len(disease) > 0 and set(map(str, disease)) == set(disease)
        if not listed or not set(disease) < set(names):
            raise InputError(f"{where}: disease={written(disease)}: must be a list of some, not all, of the classes "
                             f"{', '.join(names)} (quote grades, as in \"0\"), or null")  # fmt: skip
    number = isinstance(harm, int | float) and not isinstance(harm, bool)
    if harm is not None and not (number and harm > 0 and disease):
        raise InputError(f"{where}: harm_of_referral={written(harm)}: must be a number above 0, beside `disease`, or "
                         "null")  # fmt: skip


def check_views(where: str, views: Any, images: int) -> None:
    """Raise InputError unless `views` is [], or has a different text without marks for each of the images."""
    listed = isinstance(views, list) and all(isinstance(view, str) and view for view in views)
    if not listed or len(set(views)) < len(views) or (views and len(views) != images):
        raise InputError(f"{where}: views={written(views)}: must be {images} different texts, one per image "
                         f"(images={images}), or []")  # fmt: skip


def check_shown(shown: Any, pretext: str | None) -> None:
    """Raise InputError unless `shown` is None, or different numbers from 1 on in ascending order, without a pretext."""
    whole = isinstance(shown, list) and shown and all(type(one) is int and one >= 1 for one in shown)
    if shown is not None and not (whole and sorted(set(shown)) == shown):
        raise InputError(f"prompt.shown={written(shown)}: must be numbers of images in ascending order, as [1, 2], or "
                         "null")  # fmt: skip
    if shown is not None and pretext:
        raise InputError(f"prompt.shown={written(shown)}: prompt.pretext={pretext} is about the first image; set "
                         "prompt.shown=null")  # fmt: skip


def check_choice(key: str, value: Any, choices: tuple) -> None:
    """Raise InputError, which lists the choices, for any other value."""
    if value not in choices:
        raise InputError(f"{key}={written(value)}: must be one of {', '.join(map(written, choices))}")
