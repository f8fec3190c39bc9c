"""A cell -> its stages, each one recipe with overrides: prepare, warm start, train, test.

    <root>/<policy>/<data set>-<shots>/rows/<prompt>         shared by the cells of a setting
                                      /warm_start/<prompts>  likewise; only where the policy needs one
                                      /<experiment>/train, fine_tune, test
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from vrft_aug.experiments.cells import Cell

Compose = Callable[[str, list[str]], DictConfig]  # (root file, overrides) -> config, with `hydra` in it


@dataclass(frozen=True)
class Stage:
    """One recipe to run; `out` is its folder and one of the overrides."""

    name: str
    recipe: str
    overrides: tuple[str, ...]
    out: Path

    @property
    def command(self) -> tuple[str, ...]:
        return (f"recipes/{self.recipe}.py", *self.overrides)


@dataclass(frozen=True)
class Plan:
    """What all cells have in common.

    root: folder of all outputs. shared: overrides of every stage, as hardware and data_root. training: overrides of
    every training but the warm start. protocol: of prepare.py.
    """

    root: Path
    compose: Compose
    shared: tuple[str, ...]
    training: tuple[str, ...]
    protocol: str

    def stages(self, cell: Cell) -> list[Stage]:
        """The cell's stages in order; what two cells share is equal.

        Raises hydra's errors for an experiment, data set or policy that does not compose.
        """
        config = self.compose("grpo", [f"experiment={cell.experiment}", f"dataset={cell.dataset}",
                                       f"policy={cell.policy}", *self.shared])  # fmt: skip
        return _Stages(self, cell, config).all()


class _Stages:
    def __init__(self, plan: Plan, cell: Cell, config: DictConfig):
        self._plan, self._cell, self._config = plan, cell, config
        self._setting = plan.root / cell.setting
        self._found: list[Stage] = []

    def all(self) -> list[Stage]:
        method, cell = self._config.method, self._cell
        learnt = self._config.hydra.runtime.choices.prompt
        asked = method.diagnose or learnt
        objective = [f"objective={cell.objective}"] if cell.objective else []
        folder = self._plan.root / cell.folder
        start = self._warm_start([learnt, asked])
        if method.train:
            start = self._train(method.train, cell.experiment, learnt, start, folder / "train", objective)
        if method.fine_tune:
            recipe = self._plan.compose("grpo", [f"experiment={method.fine_tune}"]).method.train
            start = self._train(recipe, method.fine_tune, asked, start, folder / "fine_tune", [])
        objective = ["objective=accuracy"] if asked != learnt else objective
        overrides = [f"experiment={cell.experiment}", f"prompt={asked}", *objective, f"parquet={self._rows(asked)}"]
        self._add("test", "evaluate", folder / "test", [*overrides, *start])
        return self._found

    def _rows(self, prompt: str) -> Path:
        overrides = [f"prompt={prompt}", f"protocol={self._plan.protocol}"]
        return self._add("rows", "prepare", self._setting / "rows" / prompt, overrides)

    def _train(self, recipe: str, experiment: str, prompt: str, start: list[str], out: Path, more: list) -> list[str]:
        overrides = [f"experiment={experiment}", *more, f"parquet={self._rows(prompt)}", *start, *self._plan.training]
        return [f"policy.path={self._add(out.name, recipe, out, overrides) / 'policy'}"]

    def _warm_start(self, prompts: list[str]) -> list[str]:
        """The override that names the policy to start from: none, or a warm-started one."""
        experiment = self._config.policy.warm_start
        if not experiment:
            return []
        prompts = list(dict.fromkeys(prompts))
        noisy = [self._add("warm_start rows", "prepare", self._setting / "rows" / f"{prompt}-{experiment}",
                           [f"experiment={experiment}", f"prompt={prompt}"]) for prompt in prompts]  # fmt: skip
        files = {split: ",".join(f"{folder}/sft_{split}.parquet" for folder in noisy) for split in ("train", "val")}
        overrides = [f"experiment={experiment}", f"prompt={prompts[0]}"]
        overrides += [f"data.{split}_files=[{names}]" for split, names in files.items()]
        out = self._add("warm_start", "sft", self._setting / "warm_start" / "+".join(prompts), overrides)
        return [f"policy.path={out / 'policy'}"]

    def _add(self, name: str, recipe: str, out: Path, overrides: list[str]) -> Path:
        cell = self._cell
        shots = "null" if cell.shots is None else cell.shots
        setting = [f"dataset={cell.dataset}", f"shots={shots}", f"policy={cell.policy}", *self._plan.shared]
        stage = Stage(name, recipe, (*overrides, *setting, f"out={out}"), out)
        if stage not in self._found:
            self._found.append(stage)
        return out
