"""Counts the images of a cell's rows from labels alone, and refuses a draw that the data set does not allow."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig

from vrft_aug.data.datasets.sample import SPLITS
from vrft_aug.data.knowledge import reading
from vrft_aug.data.preparation.selection import PAPER_CAP, Index, read_index, select
from vrft_aug.data.settings import Dataset, PreparationRule, Prompt
from vrft_aug.errors import InputError
from vrft_aug.experiments.cells import Cell
from vrft_aug.experiments.compositions import Compositions
from vrft_aug.experiments.stages import Stage


class Images(NamedTuple):
    """Images per split; None: not known."""

    train: int | None
    val: int | None
    test: int | None


class CellImages:
    """Reads the labels of each data set once. unread: data set -> why its labels were not read."""

    def __init__(self, configs: Compositions) -> None:
        self.unread: dict[str, str] = {}
        self._configs = configs
        self._banks: set[str] = set()  # data sets whose knowledge is sound
        self._indexes: dict[tuple[str, str], Mapping[str, Index] | InputError | None] = {}

    def of(self, cell: Cell, stage: Stage) -> Images:
        """The images that a stage of recipes/prepare.py will draw; without the data, what `shots` allows at most.

        Raises InputError for settings that prepare.py would refuse: a prompt with knowledge of a data set without a
        bank, more shots than a class has images, no boxes, malformed data.
        """
        config = self._config(stage, "dataset")
        config.shots = cell.shots  # other keys refer to it
        dataset, prompt, rule = self.dataset(stage), Prompt.of(config.prompt), PreparationRule.of(config)
        if prompt.knowledge and dataset.name not in self._banks:
            reading.read_for(dataset)
            self._banks.add(dataset.name)
        needs = prompt.needs(dataset)
        if (indexes := self._read(dataset, needs, config.data_root)) is None:
            return Images(None, None, None) if needs == "image" else _bounds(rule, dataset)
        chosen = select(rule, dataset, needs, indexes)
        return Images(*(len(chosen[split]) for split in SPLITS))

    def dataset(self, stage: Stage) -> Dataset:
        """The data set of a stage of prepare.py."""
        return Dataset.of(self._config(stage, "prompt").dataset)

    def _config(self, stage: Stage, other: str) -> DictConfig:
        """The stage's config, which may have other shots, another seed (as many images), another policy, and another
        choice of the group `other`."""
        apart = ["shots", "seed", "out", "policy", "policy.path", other]
        return self._configs.get("prepare", stage.overrides, apart)

    def _read(self, dataset: Dataset, needs: str, data_root: str) -> Mapping[str, Index] | None:
        key = (dataset.name, needs)
        if key not in self._indexes:
            try:
                self._indexes[key] = _read_splits(dataset, needs, data_root)
            except InputError as error:
                absent = _absent(dataset, data_root, str(error))
                self._indexes[key] = None if absent else error
                if absent:
                    self.unread[dataset.name] = f"no data under {data_root}"
        found = self._indexes[key]
        if isinstance(found, InputError):
            raise found
        return found


def _absent(dataset: Dataset, data_root: str, error: str) -> bool:
    """Whether a data set could not be read because it is not there: its folder has its name or its loader's."""
    names = (dataset.name, dataset.loader["_target_"].split(".")[-2])
    return not any((Path(data_root) / name).exists() for name in names) or "no such file" in error


def _read_splits(dataset: Dataset, needs: str, data_root: str) -> Mapping[str, Index]:
    load = dataset.load(data_root)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # preparation says them
        return {split: read_index(load(split), dataset, needs) for split in SPLITS}


def _bounds(rule: PreparationRule, dataset: Dataset) -> Images:
    """The most images that a rule draws from any data."""
    classes, bound = len(dataset.classes), rule.validation
    whole = rule.shots is None or (rule.protocol == "paper" and dataset.paper_train == "whole")
    train = None if whole or rule.shots is None else rule.shots * classes
    per_class = None if bound["per_class"] is None else bound["per_class"] * classes
    known = [number for number in (bound["total"], per_class) if number is not None]
    quarter = rule.protocol == "paper" and dataset.paper_test == "quarter"
    return Images(train, min(known, default=None), PAPER_CAP // 4 * classes if quarter else None)
