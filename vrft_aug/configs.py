"""Finds the configuration files of `conf/`, composes a recipe's config from them, and flattens a config.

It also defines the functions that the files of `conf/` use: `${or_all:<value>}`, `${div:<whole>,<parts>}`,
`${package:<name>}` and `${call:...}`.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from vrft_aug.errors import InputError

CONF = Path(__file__).resolve().parent / "conf"  # in a checkout, a link to the top folder conf


def package(name: str) -> str:
    """The folder of an installed package, found without importing it: verl's import takes five seconds."""
    found = find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise InputError(f"{name} is not installed: run `make setup` (for GPUs with HARDWARE=<profile>)")
    return str(found.submodule_search_locations[0])


def call(function: str, *arguments: Any) -> Any:
    """What a function with a dotted name returns, as `_target_` gives an object; so conf/ can use all floors."""
    from hydra.utils import get_method

    return OmegaConf.create(get_method(function)(*arguments))


OmegaConf.register_new_resolver("call", call, replace=True)
OmegaConf.register_new_resolver("div", lambda whole, parts: whole // parts, replace=True)
OmegaConf.register_new_resolver("share", lambda whole, parts: max(1, whole // parts), replace=True)
OmegaConf.register_new_resolver("alone", lambda number, one, several: one if number == 1 else several, replace=True)
OmegaConf.register_new_resolver("or_all", lambda value: "all" if value is None else value, replace=True)
OmegaConf.register_new_resolver("package", package, replace=True)


def compose(recipe: str, overrides: Sequence[str] = ()) -> DictConfig:
    """The resolved config that `recipes/<recipe>.py <overrides>` works with, for notebooks and scripts.

    Raises HydraException for an unknown choice or key.
    """
    import hydra
    from hydra.core.hydra_config import HydraConfig

    with hydra.initialize_config_dir(str(CONF), version_base=None):
        config = hydra.compose(recipe, list(overrides), return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        del config.hydra
        OmegaConf.resolve(config)
    return config


def flatten(tree: object, into_lists: bool = False, name: str = "") -> dict[str, Any]:
    """Flatten nested mappings into {dotted key: value}: {"a": {"b": 2}} gives {"a.b": 2}.

    into_lists: flatten lists too, with positions as keys; otherwise a list is one value.
    """
    if OmegaConf.is_config(tree):
        tree = OmegaConf.to_container(tree)
    if isinstance(tree, dict):
        items: Any = tree.items()
    elif isinstance(tree, list) and into_lists:
        items = enumerate(tree)
    else:
        return {name: tree}
    found: dict[str, Any] = {}
    for key, value in items:
        found |= flatten(value, into_lists, f"{name}.{key}" if name else str(key))
    return found
