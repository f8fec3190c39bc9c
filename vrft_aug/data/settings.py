"""Turns the config groups `dataset`, `prompt` and `policy`, and the rule of a preparation, into checked types.

A recipe makes these objects once from its config. The other functions take them, never a bare dict of settings.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, Self

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from vrft_aug.data import setting_checks as checks
from vrft_aug.data.datasets.sample import Sample
from vrft_aug.data.pretext import PRETEXTS
from vrft_aug.data.setting_checks import check_choice, check_number, check_numbers, check_type
from vrft_aug.errors import InputError
from vrft_aug.rewards.parsing import FORMS, QUESTION, TASKS

Load = Callable[[str], Iterable[Sample]]  # split -> its samples, in the data set's order


@dataclass(frozen=True)
class Settings:
    """The base class: an object is made from a config whose keys are the names of its fields."""

    @classmethod
    def of(cls, config: DictConfig | Mapping[str, Any]) -> Self:
        """Read the fields from `config` and ignore its other keys.

        Raises InputError for a missing key and for a value that is not allowed.
        """
        found = {one.name: config[one.name] for one in fields(cls) if one.name in config}
        try:
            return cls(**{key: OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
                          for key, value in found.items()})
        except TypeError as error:
            raise InputError(f"{cls.__name__}: {str(error).partition(' ')[2]}; add it (see conf/)") from None


@dataclass(frozen=True)
class Dataset(Settings):
    """A data set, as conf/dataset/<name>.yaml describes it.

    target: what prompt=localize asks one box for. finding: what prompt=localize_all asks boxes for, in the singular;
    None: the target. aliases: class -> its other names. knowledge: path of a bank file, or class -> what it looks like,
    in the order of the classes; None: the bank's file of the same name. paper_train, paper_test: how the paper draws
    from it ("whole", "quarter"). disease: the classes that screening is to find; None: not stated. harm_of_referral: of
    an unneeded referral, where missing a disease is 1; None: not stated. loader: `_target_` and its options.
    images: most images per prompt. views: what each shows, for the prompt, as [frontal, lateral]; []: nothing is said.
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
    knowledge: str | dict[str, str] | None = None
    paper_train: str | None = None
    paper_test: str | None = None
    disease: list[str] | None = None
    harm_of_referral: float | None = None
    finding: str | None = None
    images: int = 1
    views: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        where, names = f"conf/dataset/{self.name}.yaml", self.classes
        check_choice("dataset.task", self.task, TASKS)
        checks.check_classes(where, names, grades=self.task == "grading")
        checks.check_disease(where, names, self.disease, self.harm_of_referral)
        check_number("dataset.images", self.images, 1)
        checks.check_views(where, self.views, self.images)
        if unknown := set(self.aliases) - set(names):
            raise InputError(f"{where}: '{min(unknown)}' has aliases but is not a class; correct the name")
        if isinstance(self.knowledge, dict) and list(self.knowledge) != names:
            raise InputError(f"{where}: dataset.knowledge describes {', '.join(map(str, self.knowledge))}, but "
                             f"dataset.classes has {', '.join(names)}; give both the same names in the same order, or "
                             "leave one of the two out")

    def load(self, data_root: str) -> Load:
        """A function from the name of a split to its samples, in the data set's order. It opens no image."""
        return partial(instantiate(self.loader, _partial_=True), Path(data_root))


@dataclass(frozen=True)
class Prompt(Settings):
    """A prompt, as conf/prompt/<name>.yaml describes it. task: None means the data set's own task.

    form, confidence: whether it asks for a thought, and in which order; whether it also asks how sure the policy is.
    pretext: a task of vrft_aug/data/pretext in place of the diagnosis; None: the diagnosis.
    shown: which images of a sample it shows, by their numbers from 1 on; None: all, and with a pretext the first.
    Their defaults are those of rows that an earlier version prepared.
    """

    name: str
    template: str
    task: str | None
    knowledge: bool
    attributes: str
    class_order: str
    aliases: bool
    form: str = FORMS[0]
    confidence: bool = False
    pretext: str | None = None
    shown: list[int] | None = field(default=None, hash=False)  # rendering.answer is cached by the prompt

    def __post_init__(self) -> None:
        for key in ("knowledge", "aliases", "confidence"):
            check_type(f"prompt.{key}", getattr(self, key), bool, "true or false")
        check_choice("prompt.attributes", self.attributes, ("description", "attributes", "both"))
        if self.attributes != "description" and not self.knowledge:
            raise InputError(f"prompt.attributes={self.attributes}: this prompt has no knowledge; use prompt=knowledge")
        check_choice("prompt.class_order", self.class_order, ("fixed", "shuffled"))
        check_choice("prompt.task", self.task, (None, *TASKS))
        check_choice("prompt.form", self.form, FORMS)
        check_choice("prompt.pretext", self.pretext, (None, *PRETEXTS))
        checks.check_shown(self.shown, self.pretext)
        if self.pretext:
            self._check_pretext(PRETEXTS[self.pretext].task)

    def _check_pretext(self, task: str) -> None:
        for key in ("knowledge", "aliases"):
            if getattr(self, key):
                raise InputError(f"prompt.{key}=true: it is about the classes of the data set, which "
                                 f"prompt.pretext={self.pretext} does not ask for; set prompt.{key}=false")
        if self.task != task:
            raise InputError(f"prompt.task={checks.written(self.task)}: prompt.pretext={self.pretext} is a task of "
                             f"{task}; set prompt.task={task}")

    def template_for(self, dataset: Dataset) -> str:
        """The template: a data set of questions has one of its own in place of `classify`, so each form fits it."""
        return "question" if dataset.task == QUESTION and self.template == "classify" else self.template

    def needs(self, dataset: Dataset) -> str:
        """What an image must come with to make a row: a "label", a "box", all its "boxes", or just the "image"."""
        if self.pretext:
            return "image"
        return {"localization": "box", "detection": "boxes"}.get(self.task or dataset.task, "label")


@dataclass(frozen=True)
class Policy(Settings):
    """The facts about a model, as conf/policy/<name>.yaml states them. Lengths are in tokens, sizes in pixels.

    path: a folder, a hub id or a run; None: `build` makes the policy. box_frame: `resized` (boxes are in pixels of the
    resized image) or `thousand` (from 0 to 1000). max_prompt_length: None skips the check of prompt lengths.
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
        check_choice("policy.box_frame", self.box_frame, ("resized", "thousand"))
        if not 0 < self.min_pixels <= self.max_pixels:
            raise InputError(f"policy.min_pixels={self.min_pixels}, policy.max_pixels={self.max_pixels}: the minimum "
                             "must be above 0 and at most the maximum")


@dataclass(frozen=True)
class PreparationRule(Settings):
    """Which images are drawn and how they are written. conf/prepare.yaml has the same keys and explains them.

    validation: largest number of validation images `per_class` and in `total`. limit: of rows per split.
    """

    protocol: str
    shots: int | None
    up_to: int
    seed: int
    test_seed: int
    validation: dict[str, int | None]
    limit: dict[str, int | None]
    leakage: str
    partial: bool
    allow_unverified: bool
    export: str | None
    shard_mb: int
    workers: int | None
    data_root: str
    out: str
    check: bool

    def __post_init__(self) -> None:
        check_choice("protocol", self.protocol, ("full", "paper"))
        check_choice("leakage", self.leakage, ("warn", "refuse", "drop"))
        check_choice("export", self.export, (None, "easyr1", "trl"))
        for key in ("partial", "allow_unverified", "check"):
            check_type(key, getattr(self, key), bool, "true or false")
        for key in ("data_root", "out"):
            check_type(key, getattr(self, key), str, "the path of a folder")
        for key, least in (("up_to", 1), ("shard_mb", 1), ("seed", 0), ("test_seed", 0)):
            check_number(key, getattr(self, key), least)
        for key, least in (("shots", 1), ("workers", 0)):
            check_number(key, getattr(self, key), least, optional=True)
        check_numbers("validation", self.validation, ("per_class", "total"))
        check_numbers("limit", self.limit, ("train", "val", "test"))
