"""Says in one line what is wrong with the settings of a command: which key or choice is unknown, and what was meant."""

import difflib
import re

from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from vrft_aug.configs import CONF, compose, flatten

OUR_RESOLVER = "InputError raised while resolving interpolation: "  # what a function of `${call:...}` raised
UNKNOWN_KEY = re.compile(r"Could not override '([^'@]+)'")


def explain(error: BaseException, root: str | None) -> str:
    """One line about an error. root: the root file in conf/ that the recipe composes; None: not known."""
    text = str(error)
    if text.startswith(OUR_RESOLVER):
        text = text.removeprefix(OUR_RESOLVER).partition("\n")[0]  # without the key that was being resolved
    elif isinstance(error, MissingConfigException) and error.missing_cfg_file:
        text = unknown_choice(error.missing_cfg_file, list(error.options or []))
    elif isinstance(error, OverrideParseException):
        text = f"{error.override}: not a setting; write key=value, in quotes if the value has brackets or blanks"
    elif isinstance(error, MissingMandatoryValue) and error.full_key and root:
        text = missing_value(error.full_key, root)
    elif isinstance(error, ConfigCompositionException) and root and (found := UNKNOWN_KEY.search(text)):
        text = unknown_key(found[1], root)
    return " ".join(text.split())


def unknown_choice(file: str, choices: list[str]) -> str:
    """A file that a config group does not have, as `dataset/bood`."""
    group, _, name = file.rpartition("/")
    near = difflib.get_close_matches(name, choices, n=1)
    question = f"did you mean {near[0]}? " if near else ""
    return f"no {group or 'config'} '{name}'; {question}choices: {', '.join(choices)}"


def unknown_key(key: str, root: str) -> str:
    """A key that a recipe's config does not have, at any depth."""
    if near := similar(key, keys_of(root)):
        return f"no key {key}; did you mean {' or '.join(near)}?"
    return f"no key {key}; `python recipes/{root}.py --cfg job` lists all keys (+{key}=... would add one)"


def similar(key: str, known: list[str]) -> list[str]:
    """At most two keys that were probably meant: a typing error beside `key`, its name elsewhere, or its like."""
    parent, _, last = key.rpartition(".")
    beside = {name.rpartition(".")[2]: name for name in known if name.rpartition(".")[0] == parent}
    if near := difflib.get_close_matches(last, beside, n=1, cutoff=0.7):
        return [beside[near[0]]]
    namesakes = [name for name in known if name.rpartition(".")[2] == last]
    return difflib.get_close_matches(key, namesakes, n=2, cutoff=0) or difflib.get_close_matches(key, known, 2, 0.75)


def missing_value(key: str, root: str) -> str:
    """A key without a default. The comment beside it in the root file says what is needed."""
    text = (CONF / f"{root}.yaml").read_text(encoding="utf-8")
    comment = re.search(rf"^\s*{re.escape(key.rpartition('.')[2])}: \?\?\?\s*# (.*)$", text, re.MULTILINE)
    return f"{key} is missing: set {key}=<{comment[1] if comment else 'a value'}>"


def keys_of(root: str) -> list[str]:
    """The dotted names of all keys and all mappings in a recipe's config; empty if it cannot be composed."""
    try:
        leaves = flatten(compose(root))
    except (HydraException, OmegaConfBaseException, ValueError):  # ValueError: the recipe itself composes just now
        return []
    parts = [leaf.split(".") for leaf in leaves]
    return list(dict.fromkeys(".".join(part[:end]) for part in parts for end in range(1, len(part) + 1)))
