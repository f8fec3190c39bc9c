"""The config groups `dataset`, `prompt` and `policy`, and the rule of a preparation, as types that check themselves.

A recipe makes them once from its config; what is passed on afterwards is never a bare dict.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, Self

from omegaconf import DictConfig, OmegaConf

from vrft_aug.errors import InputError
from vrft_aug.rewards.parsing import TASKS

BOX_FRAMES = ("resized", "thousand")
CLASS_ORDERS = ("fixed", "shuffled")
EXPORTS = (None, "easyr1", "trl")
LEAKAGE = ("warn", "refuse", "drop")
PROTOCOLS = ("full", "paper")


@dataclass(frozen=True)
class Settings:
    """What the groups have in common: they are made from a config, whose keys are their fields."""

    @classmethod
    def of(cls, config: DictConfig | Mapping[str, Any]) -> Self:
        """Read the keys that are fields. Raises InputError for a key that is missing or a value that cannot be."""
        if isinstance(config, DictConfig):
            names = [one.name for one in fields(cls)]
            config = OmegaConf.to_container(OmegaConf.masked_copy(config, names), resolve=True)
        try:
            return cls(**config)
        except TypeError as error:
            raise InputError(f"{cls.__name__.lower()}: {str(error).partition(' ')[2]}; see conf/") from None


@dataclass(frozen=True)
class Dataset(Settings):
    """A data set, as conf/dataset/<name>.yaml describes it.

    aliases: class -> other names of it. knowledge: path of a bank file; None: the bank's file of this name.
    paper_train, paper_test: how the paper draws from it ("whole", "quarter"). loader: what `load` instantiates.
    """

    name: str
    title: str
    modality: str
    organ: str
    target: str
    task: str
    classes: list[str]
    loader: dict[str, Any]
    licence: str = ""
    source: str = ""
    aliases: dict[str, list[str]] = field(default_factory=dict)
    knowledge: str | None = None
    paper_train: str | None = None
    paper_test: str | None = None

    def __post_init__(self) -> None:
        where, names = f"conf/dataset/{self.name}.yaml", self.classes
        check_choice("dataset.task", self.task, TASKS)
        if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
            raise InputError(f"{where}: the classes must be different strings (quote grades, as in \"0\")")
        if self.task == "grading" and not all(name.isdecimal() for name in names):
            raise InputError(f"{where}: the classes of a grading task are integers, as \"0\", \"1\"")
        if unknown := set(self.aliases) - set(names):
            raise InputError(f"{where}: aliases of '{min(unknown)}', which is no class; correct the name")

    def load(self, data_root: str) -> partial:
        """A function from a split's name to its samples, in the data set's order; no image is read yet."""
        from hydra.utils import instantiate

        return partial(instantiate(self.loader, _partial_=True), Path(data_root))


@dataclass(frozen=True)
class Prompt(Settings):
    """A prompt, as conf/prompt/<name>.yaml describes it. task: None takes the data set's own."""

    name: str
    template: str
    task: str | None
    knowledge: bool
    class_order: str
    aliases: bool

    def __post_init__(self) -> None:
        check_choice("prompt.class_order", self.class_order, CLASS_ORDERS)
        check_choice("prompt.task", self.task, (None, *TASKS))


@dataclass(frozen=True)
class Policy(Settings):
    """The facts about a model that conf/policy/<name>.yaml states; lengths in tokens, sizes in pixels.

    path: folder, hub id or run; None: `build` makes it. box_frame: boxes are stated in pixels of the resized image, or
    from 0 to 1000. max_prompt_length: None leaves the check of prompt lengths out.
    """

    name: str
    path: str | None
    build: dict[str, Any] | None
    min_pixels: int
    max_pixels: int
    patch: int
    merge: int
    box_frame: str
    max_prompt_length: int | None
    max_response_length: int
    max_length: int
    warm_start: str | None = None

    def __post_init__(self) -> None:
        check_choice("policy.box_frame", self.box_frame, BOX_FRAMES)
        if not 0 < self.min_pixels <= self.max_pixels:
            raise InputError(f"policy.min_pixels={self.min_pixels}, policy.max_pixels={self.max_pixels}: the first "
                             "must be above 0 and not above the second")


@dataclass(frozen=True)
class PreparationRule(Settings):
    """Which images are drawn and how they are written: the keys of conf/prepare.yaml, explained there."""

    protocol: str
    shots: int | None
    up_to: int
    seed: int
    test_seed: int
    limit: dict[str, int | None]
    leakage: str
    partial: bool
    think: bool
    label_noise: float
    export: str | None
    shard_mb: int
    workers: int | None
    data_root: str
    out: str

    def __post_init__(self) -> None:
        check_choice("protocol", self.protocol, PROTOCOLS)
        check_choice("leakage", self.leakage, LEAKAGE)
        check_choice("export", self.export, EXPORTS)
        numbers = {key: getattr(self, key) for key in ("up_to", "seed", "test_seed", "shard_mb")}
        optional = {key: getattr(self, key) for key in ("shots", "workers")}
        optional |= {f"limit.{split}": number for split, number in self.limit.items()}
        for key, value in (numbers | optional).items():
            if not ((type(value) is int and value >= 0) or (value is None and key in optional)):
                raise InputError(f"{key}={value}: a whole number is needed{' (or null)' if key in optional else ''}")
        if not 0 <= self.label_noise <= 1:
            raise InputError(f"label_noise={self.label_noise}: a share between 0 and 1")


def check_choice(key: str, value: Any, choices: tuple) -> None:
    """Raise InputError, which lists the choices, for a value that is none of them."""
    if value not in choices:
        raise InputError(f"{key}={value}: one of {', '.join('null' if one is None else one for one in choices)}")
