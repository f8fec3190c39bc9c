"""Turns a cell into its stages; each stage is one recipe with overrides: prepare, warm start, train, test.

    <root>/<policy>/<data set>-<shots>/rows/<prompt>         cells with the same setting share it
                                      /warm_start/<prompts>  likewise; only for a policy that needs a warm start
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
    """One recipe to run. out: its folder, which is also one of the overrides."""

    name: str
    recipe: str
    overrides: tuple[str, ...]
    out: Path

    @property
    def command(self) -> tuple[str, ...]:
        return (f"recipes/{self.recipe}.py", *self.overrides)


@dataclass(frozen=True)
class Plan:
    """What all cells have in common. root: folder of all outputs. shared: overrides of every stage, such as hardware.
    training: overrides of every training except the warm start. protocol: "full" or "paper", as in prepare.yaml."""

    root: Path
    compose: Compose
    shared: tuple[str, ...]
    training: tuple[str, ...]
    protocol: str

    def stages(self, cell: Cell) -> list[Stage]:
        """The cell's stages in order. Two cells that share a stage get equal stages.

        Raises Hydra's errors for an unknown experiment, data set or policy.
        """
        config = self.compose("grpo", [f"experiment={cell.experiment}", f"dataset={cell.dataset}",
                                       f"policy={cell.policy}", *self.shared])  # fmt: skip
        return _Stages(self, cell, config).all()


class _Stages:
    def __init__(self, plan: Plan, cell: Cell, config: DictConfig) -> None:
        self._plan, self._cell, self._config = plan, cell, config
        self._setting = plan.root / cell.setting
        self._found: list[Stage] = []

    def all(self) -> list[Stage]:
        method, cell = self._config.method, self._cell
        trained = self._config.hydra.runtime.choices.prompt
        tested = method.diagnose or trained
        objective = [f"objective={cell.objective}"] if cell.objective else []
        folder = self._plan.root / cell.folder
        start = self._warm_start(list(dict.fromkeys([trained, tested])))
        if method.train:
            start = self._train(method.train, cell.experiment, trained, start, folder / "train", *objective)
        if method.fine_tune:
            recipe = self._plan.compose("grpo", [f"experiment={method.fine_tune}"]).method.train
            start = self._train(recipe, method.fine_tune, tested, start, folder / "fine_tune")
        objective = ["objective=accuracy"] if tested != trained else objective
        overrides = [f"experiment={cell.experiment}", f"prompt={tested}", *objective, f"parquet={self._rows(tested)}"]
        self._add("test", "evaluate", folder / "test", [*overrides, *start])
        return self._found

    def _rows(self, prompt: str) -> Path:
        overrides = [f"prompt={prompt}", f"protocol={self._plan.protocol}"]
        return self._add("rows", "prepare", self._setting / "rows" / prompt, overrides)

    def _train(self, recipe: str, experiment: str, prompt: str, start: list[str], out: Path, *more: str) -> list[str]:
        overrides = [f"experiment={experiment}", *more, f"parquet={self._rows(prompt)}", *start, *self._plan.training]
        return [f"policy.path={self._add(out.name, recipe, out, overrides) / 'policy'}"]

    def _warm_start(self, prompts: list[str]) -> list[str]:
        """The override with the warm-started policy's path; nothing for a policy without a warm start."""
        preset = self._config.policy.warm_start
        if not preset:
            return []
        noisy = [self._add("warm_start rows", "prepare", self._setting / "rows" / f"{prompt}-{preset}",
                           [f"preset={preset}", f"prompt={prompt}"]) for prompt in prompts]  # fmt: skip
        files = {split: ",".join(f"{folder}/sft_{split}.parquet" for folder in noisy) for split in ("train", "val")}
        names = [f"data.{split}_files=[{paths}]" for split, paths in files.items()]
        out = self._add("warm_start", "sft", self._setting / "warm_start" / "+".join(prompts),
                        [f"preset={preset}", f"prompt={prompts[0]}", *names])  # fmt: skip
        return [f"policy.path={out / 'policy'}"]

    def _add(self, name: str, recipe: str, out: Path, overrides: list[str]) -> Path:
        cell = self._cell
        shots = "null" if cell.shots is None else cell.shots
        setting = [f"dataset={cell.dataset}", f"shots={shots}", f"policy={cell.policy}", *self._plan.shared]
        stage = Stage(name, recipe, (*overrides, *setting, f"out={out}"), out)
        if stage not in self._found:
            self._found.append(stage)
        return out
