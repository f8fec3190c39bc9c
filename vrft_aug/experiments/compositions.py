"""Composes the configs of a table's stages, once for all stages that differ only in what a config is not asked for."""

from collections.abc import Callable, Sequence

import hydra
from hydra.errors import ConfigCompositionException, HydraException
from omegaconf import DictConfig

from vrft_aug.errors import InputError
from vrft_aug.explanations import explain

Compose = Callable[[str, Sequence[str]], DictConfig]  # (root file, overrides) -> config, with `hydra` in it


class Compositions:
    """Keeps every config that `compose` makes. Two stages whose overrides differ only in `apart` get the first's."""

    def __init__(self, compose: Compose) -> None:
        self._compose = compose
        self._made: dict[tuple[str, ...], DictConfig] = {}

    def get(self, root: str, overrides: Sequence[str], apart: Sequence[str] = ()) -> DictConfig:
        """The config of a root file. Do not read the keys in `apart`, nor what refers to them, except to set them.

        Raises InputError for an unknown choice or key.
        """
        same = (item for item in overrides if item.partition("=")[0] not in apart)
        key = (root, *apart, "", *same)
        if key not in self._made:
            self._made[key] = self._compose(root, list(overrides))
        return self._made[key]


def compose(root: str, overrides: Sequence[str]) -> DictConfig:
    """Hydra's compose in a process that has started Hydra. Raises InputError for what the root file does not accept."""
    try:
        return hydra.compose(root, list(overrides), return_hydra_config=True)
    except HydraException as error:
        text = str(error).partition("\n")[0] if isinstance(error, ConfigCompositionException) else explain(error, None)
        raise InputError(f"recipes/{root}.py cannot run with these settings: {text}") from None
