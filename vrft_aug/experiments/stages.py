"""Turns a cell into its stages; each stage is one recipe with overrides: prepare, warm start, train, test.

    <root>/<policy>/<data set>-<shots>/rows/<prompt>         cells with the same setting share it
                                      /warm_start/<prompts>  likewise; only for a policy that needs a warm start
                                      /<experiment>/train, fine_tune, test
A table with several seeds has the three below <data set>-<shots>/seed-<n>. Experiments whose first training is that of
another experiment (`method.first`) share its `train`.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig

from vrft_aug.errors import InputError
from vrft_aug.experiments.cells import Cell
from vrft_aug.experiments.compositions import Compositions


@dataclass(frozen=True)
class Stage:
    """One recipe to run. out: its folder, which is also one of the overrides; reads: folders of the rows it reads."""

    name: str
    recipe: str
    overrides: tuple[str, ...]
    out: Path
    reads: tuple[Path, ...] = ()

    @property
    def command(self) -> tuple[str, ...]:
        return (f"recipes/{self.recipe}.py", *self.overrides)


class Experiment(NamedTuple):
    """What a file of conf/experiment says about the stages. train: sft, grpo or None; warm_start: the policy's.

    first: the experiment whose training is this one's first training; None: its own. schedule: the config group.
    """

    name: str
    train: str | None
    first: str | None
    fine_tune: str | None
    diagnose: str | None
    prompt: str
    objective: str
    warm_start: str | None
    schedule: DictConfig


@dataclass(frozen=True)
class Plan:
    """What all cells have in common. root: folder of all outputs. protocol: "full" or "paper", as in prepare.yaml.

    Overrides: `shared` of every stage, such as hardware; `training` of every training except the warm start; `start` of
    the stages before a training has made another policy; `sft` of every supervised training, after the shared ones;
    `tests` of every test.
    """

    root: Path
    configs: Compositions
    shared: tuple[str, ...]
    training: tuple[str, ...]
    protocol: str
    start: tuple[str, ...] = ()
    sft: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()

    def stages(self, cell: Cell) -> list[Stage]:
        """The cell's stages in order. Two cells that share a stage get equal stages.

        The test has the prompt and the objective of the last training, unless a diagnosis with another prompt follows.
        Raises InputError for an unknown experiment, data set or policy, for a wrong `fine_tune` or `first`, and for a
        variant without GRPO.
        """
        whole = self._experiment(cell, cell.experiment)
        trainings = [self._first(cell, whole)] if whole.train else []
        if whole.fine_tune:
            trainings.append(self._second(cell, whole))
        if cell.variant and not any(one.train == "grpo" for one in trainings):
            raise InputError(f"{cell.folder}: variant={cell.variant} is one of GRPO, and {cell.experiment} trains "
                             "without GRPO; leave out the row's variant")  # fmt: skip
        last = [whole, *trainings][-1]
        tested = whole.diagnose or last.diagnose or last.prompt
        objective = [f"objective={cell.objective}"] if cell.objective else []
        prompts = list(dict.fromkeys([*(one.prompt for one in trainings), tested]))
        found = self._warm_start(cell, whole.warm_start, prompts)
        for name, one in zip(("train", "fine_tune"), trainings, strict=False):
            found += self._train(cell, name, one, objective if one is last else [], found)
        if tested != last.prompt:
            objective = ["objective=accuracy"]
        elif whole.fine_tune:
            objective = objective or [f"objective={last.objective}"]
        rows = self._rows(cell, tested)
        overrides = [f"experiment={cell.experiment}", f"prompt={tested}", *objective, f"parquet={rows.out}"]
        out = self.root / cell.folder / "test"
        test = self._stage(cell, "test", "evaluate", out, [*overrides, *self._policy(found), *self.tests], rows)
        return list(dict.fromkeys([*found, rows, test]))

    def _experiment(self, cell: Cell, name: str) -> Experiment:
        choices = [f"experiment={name}", f"policy={cell.policy}", f"dataset={cell.dataset}"]
        config = self.configs.get("prepare", [*choices, *self.shared], apart=["dataset"])
        chosen, method = config.hydra.runtime.choices, config.method
        return Experiment(name, method.train, method.first, method.fine_tune, method.diagnose, chosen.prompt,
                          chosen.objective, config.policy.warm_start, config.schedule)  # fmt: skip

    def _first(self, cell: Cell, whole: Experiment) -> Experiment:
        """The experiment whose training comes first. Raises InputError unless it has the same training and no other."""
        if not whole.first:
            return whole
        first = self._experiment(cell, whole.first)
        same = ("train", "prompt", "objective", "schedule")
        alike = all(getattr(first, key) == getattr(whole, key) for key in same)
        if not alike or first.first or first.fine_tune:
            raise InputError(f"conf/experiment/{whole.name}.yaml: method.first={first.name} must be an experiment with "
                             f"one training, of the same {', '.join(same)} as {whole.name}'s")  # fmt: skip
        return first

    def _second(self, cell: Cell, first: Experiment) -> Experiment:
        """The experiment that trains further. Raises InputError unless both have one training."""
        second = self._experiment(cell, str(first.fine_tune))
        if not first.train or not second.train or second.fine_tune:
            wrong = second if first.train else first
            why = f"trains twice (fine_tune={wrong.fine_tune})" if wrong.train else "trains nothing"
            raise InputError(f"conf/experiment/{first.name}.yaml: method.fine_tune={second.name}, but {wrong.name} "
                             f"{why}; both must be experiments with one training")  # fmt: skip
        return second

    def _warm_start(self, cell: Cell, preset: str | None, prompts: list[str]) -> list[Stage]:
        """Rows for each prompt and the training on them; nothing for a policy without a warm start."""
        if not preset:
            return []
        setting, chosen = self.root / cell.setting, f"preset={preset}"
        taught = [self._stage(cell, "warm_start rows", "prepare", setting / "rows" / f"{prompt}-{preset}",
                             [chosen, f"prompt={prompt}", *self.start]) for prompt in prompts]  # fmt: skip
        files = {split: ",".join(f"{rows.out}/sft_{split}.parquet" for rows in taught) for split in ("train", "val")}
        overrides = [chosen, f"prompt={prompts[0]}", *(f"data.{key}_files=[{names}]" for key, names in files.items())]
        out = setting / "warm_start" / "+".join(prompts)
        return [*taught, self._stage(cell, "warm_start", "sft", out, [*overrides, *self.start], *taught)]

    def _train(self, cell: Cell, name: str, one: Experiment, own: list[str], done: list[Stage]) -> list[Stage]:
        """Rows and the training on them, from the last policy in `done`. own: overrides of this training alone."""
        rows, variant = self._rows(cell, one.prompt), cell.variant if one.train == "grpo" else None
        chosen = [*own, f"variant={variant}"] if variant else own
        overrides = [f"experiment={one.name}", *chosen, f"parquet={rows.out}", *self._policy(done), *self.training]
        shared, objective = name == "train" and one.name != cell.experiment, cell.objective if own else None
        home = replace(cell, experiment=one.name, objective=objective, variant=variant) if shared else cell
        return [rows, self._stage(cell, name, str(one.train), self.root / home.folder / name, overrides, rows)]

    def _rows(self, cell: Cell, prompt: str) -> Stage:
        overrides = [f"prompt={prompt}", f"protocol={self.protocol}", *self.start]
        return self._stage(cell, "rows", "prepare", self.root / cell.setting / "rows" / prompt, overrides)

    def _policy(self, done: list[Stage]) -> list[str]:
        """The override with the policy of the last stage, which is a training; without one, the given start."""
        return [f"policy.path={done[-1].out / 'policy'}"] if done else list(self.start)

    def _stage(self, cell: Cell, name: str, recipe: str, out: Path, overrides: list[str], *rows: Stage) -> Stage:
        shots = "null" if cell.shots is None else cell.shots
        setting = [f"dataset={cell.dataset}", f"shots={shots}", f"policy={cell.policy}", *self._shared(cell)]
        only = self.sft if recipe == "sft" else ()
        reads = tuple(stage.out for stage in rows)
        return Stage(name, recipe, (*overrides, *setting, *only, f"out={out}"), out, reads)

    def _shared(self, cell: Cell) -> tuple[str, ...]:
        """The overrides of every stage, with the cell's seed: of the draw, the training and the answers."""
        if cell.seed is None:
            return self.shared
        return (*(item for item in self.shared if not item.startswith("seed=")), f"seed={cell.seed}")
