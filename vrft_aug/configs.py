"""The configuration files of `conf/`: where they are, composing a recipe's config, flattening it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

CONF = Path(__file__).resolve().parent / "conf"  # in a checkout a link to the folder at the top


def compose(recipe: str, overrides: Sequence[str] = ()) -> DictConfig:
    """The resolved config that `recipes/<recipe>.py <overrides>` gets, for notebooks and scripts.

    Raises Hydra's errors for an unknown choice or key.
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
    """{dotted key: value} of a tree of mappings: {"a": {"b": 2}} gives {"a.b": 2}.

    into_lists: also name the elements of lists by their position; otherwise a list is a value.
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
