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
        experiment, choices = f"experiment={cell.experiment}", [f"dataset={cell.dataset}", f"policy={cell.policy}"]
        config = self.compose("grpo", [experiment, *choices, *self.shared])
        method, trained = config.method, config.hydra.runtime.choices.prompt
        tested = method.diagnose or trained
        objective = [f"objective={cell.objective}"] if cell.objective else []
        found = self._warm_start(cell, config.policy.warm_start, list(dict.fromkeys([trained, tested])))
        if method.train:
            found += self._train(cell, "train", method.train, trained, [experiment, *objective], found)
        if method.fine_tune:
            second = f"experiment={method.fine_tune}"
            recipe = self.compose("grpo", [second]).method.train
            found += self._train(cell, "fine_tune", recipe, tested, [second], found)
        objective = ["objective=accuracy"] if tested != trained else objective
        rows = self._rows(cell, tested)
        overrides = [experiment, f"prompt={tested}", *objective, f"parquet={rows.out}", *_policy(found)]
        test = self._stage(cell, "test", "evaluate", self.root / cell.folder / "test", overrides)
        return list(dict.fromkeys([*found, rows, test]))

    def _warm_start(self, cell: Cell, preset: str | None, prompts: list[str]) -> list[Stage]:
        """Rows for each prompt and the training on them; nothing for a policy without a warm start."""
        if not preset:
            return []
        setting, chosen = self.root / cell.setting, f"preset={preset}"
        noisy = [self._stage(cell, "warm_start rows", "prepare", setting / "rows" / f"{prompt}-{preset}",
                             [chosen, f"prompt={prompt}"]) for prompt in prompts]  # fmt: skip
        files = {split: ",".join(f"{rows.out}/sft_{split}.parquet" for rows in noisy) for split in ("train", "val")}
        overrides = [chosen, f"prompt={prompts[0]}", *(f"data.{key}_files=[{names}]" for key, names in files.items())]
        return [*noisy, self._stage(cell, "warm_start", "sft", setting / "warm_start" / "+".join(prompts), overrides)]

    def _train(self, cell: Cell, name: str, recipe: str, prompt: str, own: list[str], done: list[Stage]) -> list[Stage]:
        """Rows and the training on them, from the last policy in `done`. own: overrides of this training alone."""
        rows = self._rows(cell, prompt)
        overrides = [*own, f"parquet={rows.out}", *_policy(done), *self.training]
        return [rows, self._stage(cell, name, recipe, self.root / cell.folder / name, overrides)]

    def _rows(self, cell: Cell, prompt: str) -> Stage:
        overrides = [f"prompt={prompt}", f"protocol={self.protocol}"]
        return self._stage(cell, "rows", "prepare", self.root / cell.setting / "rows" / prompt, overrides)

    def _stage(self, cell: Cell, name: str, recipe: str, out: Path, overrides: list[str]) -> Stage:
        shots = "null" if cell.shots is None else cell.shots
        setting = [f"dataset={cell.dataset}", f"shots={shots}", f"policy={cell.policy}", *self.shared]
        return Stage(name, recipe, (*overrides, *setting, f"out={out}"), out)


def _policy(done: list[Stage]) -> list[str]:
    """The override with the policy of the last stage, which is a training; nothing without one."""
    return [f"policy.path={done[-1].out / 'policy'}"] if done else []
