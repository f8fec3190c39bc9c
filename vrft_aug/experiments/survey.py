"""Looks at every stage of a table before the first one runs: what it costs, and why it could not run."""

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from vrft_aug.engine.run import preflight
from vrft_aug.engine.training.start_checks import check_freeze
from vrft_aug.errors import InputError
from vrft_aug.experiments import cost
from vrft_aug.experiments.cell_images import CellImages, Images
from vrft_aug.experiments.cells import Cell
from vrft_aug.experiments.compositions import Compositions
from vrft_aug.experiments.cost import Cost
from vrft_aug.experiments.footprint import Footprint, Footprints
from vrft_aug.experiments.stages import Stage

TRAININGS = ("sft", "grpo")
FILES = ("parquet", "data.train_files", "data.val_files")
# Without effect on the batches and on the cost.
APART = ("dataset", "shots", "seed", "out", "policy.path", "prompt", *FILES)


class Survey:
    """unread: data set -> why its labels were not read. They are the source of the numbers of images."""

    def __init__(self, configs: Compositions) -> None:
        self._configs, self._images = configs, CellImages(configs)
        self._footprints: dict[int, Footprint] = {}  # by the identity of a config that `configs` keeps
        self.unread = self._images.unread

    def refusal(self, cell: Cell, stages: Sequence[Stage]) -> str | None:
        """Why the cell cannot run; None: nothing is known against it. Raises Hydra's errors for an unknown key."""
        try:
            self._rows(cell, stages)
            for stage in stages:
                if stage.recipe in TRAININGS:
                    preflight.check_batches(self._config(stage))
                    check_freeze(self._config(stage))
                elif stage.recipe == "evaluate":
                    self._config(stage)
        except InputError as error:
            return str(error)
        return None

    def costs(self, cell: Cell, stages: Sequence[Stage], footprints: Footprints) -> dict[Stage, Cost]:
        """The cost of each of the cell's trainings and of its test. Raises InputError for rows that cannot be drawn."""
        rows, found = self._rows(cell, stages), {}
        for stage in stages:
            if stage.recipe in TRAININGS:
                found[stage] = cost.of_training(self._config(stage), stage, _images_of(stage, rows),
                                                self.footprint(stage, footprints))  # fmt: skip
            elif stage.recipe == "evaluate":
                found[stage] = cost.of_test(self._config(stage), _images_of(stage, rows))
        return found

    def visual_tokens(self, stages: Sequence[Stage]) -> str:
        """Tokens of an image of the cell's data set, for the cell's policy."""
        rows = next(stage for stage in stages if stage.recipe == "prepare")
        return cost.visual_tokens(self._config(stages[-1]), self._images.dataset(rows))

    def footprint(self, stage: Stage, footprints: Footprints) -> Footprint:
        """Parameters and memory of a training."""
        config = self._config(stage)
        if id(config) not in self._footprints:
            self._footprints[id(config)] = footprints.of(config)
        return self._footprints[id(config)]

    def _config(self, stage: Stage) -> DictConfig:
        apart = APART if stage.recipe == "evaluate" else (*APART, "objective")  # the test names an unknown objective
        return self._configs.get(stage.recipe, stage.overrides, apart)

    def _rows(self, cell: Cell, stages: Sequence[Stage]) -> dict[Path, Images]:
        return {stage.out: self._images.of(cell, stage) for stage in stages if stage.recipe == "prepare"}


def _images_of(stage: Stage, rows: dict[Path, Images]) -> Images:
    """The images in the rows that a stage reads; a warm start reads the rows of several prompts."""
    splits = zip(*(rows[folder] for folder in stage.reads), strict=True)
    return Images(*(None if None in split else sum(number or 0 for number in split) for split in splits))
