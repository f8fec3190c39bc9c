"""Turns a cell into its stages; each stage is one recipe with overrides: prepare, warm start, train, test.

    <root>/<policy>/<data set>-<shots>/rows/<prompt>         cells with the same setting share it
                                      /warm_start/<prompts>  likewise; only for a policy that needs a warm start
                                      /<experiment>/train, fine_tune, fine_tune_2, ..., test
A table with several seeds has the three below <data set>-<shots>/seed-<n>. A pipeline (`method.stages`) trains by
several experiments in order. Its first training is that experiment's own `train`: cells of both share it.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

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

    stages: experiments with one training each, which a pipeline runs in order; (): no pipeline. mixed: prompts whose
    rows the training reads beside those of `prompt`.
    """

    name: str
    train: str | None
    stages: tuple[str, ...]
    mixed: tuple[str, ...]
    diagnose: str | None
    prompt: str
    objective: str
    warm_start: str | None


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
        Raises InputError for an unknown experiment, data set or policy, for a wrong stage of a pipeline, and for a
        variant without GRPO.
        """
        whole = self._experiment(cell, cell.experiment)
        trainings = self._trainings(cell, whole)
        if cell.variant and not any(one.train == "grpo" for one in trainings):
            raise InputError(f"{cell.folder}: variant={cell.variant} is one of GRPO, and {cell.experiment} trains "
                             "without GRPO; leave out the row's variant")  # fmt: skip
        last = [whole, *trainings][-1]
        tested = whole.diagnose or last.diagnose or last.prompt
        objective = [f"objective={cell.objective}"] if cell.objective else []
        prompts = list(dict.fromkeys([*(prompt for one in trainings for prompt in (one.prompt, *one.mixed)), tested]))
        found = self._warm_start(cell, whole.warm_start, prompts)
        for place, one in enumerate(trainings):
            found += self._train(cell, place, one, objective if place == len(trainings) - 1 else [], found)
        if tested != last.prompt:
            objective = ["objective=accuracy"]
        elif whole.stages:
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
        return Experiment(name, method.train, tuple(method.stages), tuple(method.mixed), method.diagnose, chosen.prompt,
                          chosen.objective, config.policy.warm_start)  # fmt: skip

    def _trainings(self, cell: Cell, whole: Experiment) -> list[Experiment]:
        """The experiment's own training, or those of its pipeline. Raises InputError for what is not one training."""
        if not whole.stages:
            return [whole] if whole.train else []
        found = [self._experiment(cell, name) for name in whole.stages]
        where = f"conf/experiment/{whole.name}.yaml: method"
        if whole.train or whole.mixed:
            raise InputError(f"{where}.stages: a pipeline has no training of its own; leave out train and mixed")
        for one in found:
            if one.stages or not one.train:
                why = f"is itself a pipeline (stages={', '.join(one.stages)})" if one.stages else "trains nothing"
                raise InputError(f"{where}.stages: {one.name} {why}; name experiments with one training")
        return found

    def _warm_start(self, cell: Cell, preset: str | None, prompts: list[str]) -> list[Stage]:
        """Rows for each prompt and the training on them; nothing for a policy without a warm start."""
        if not preset:
            return []
        setting, chosen = self.root / cell.setting, f"preset={preset}"
        taught = [self._stage(cell, "warm_start rows", "prepare", setting / "rows" / f"{prompt}-{preset}",
                             [chosen, f"prompt={prompt}", *self.start]) for prompt in prompts]  # fmt: skip
        overrides = [chosen, f"prompt={prompts[0]}", *_files(taught, "sft_")]
        out = setting / "warm_start" / "+".join(prompts)
        return [*taught, self._stage(cell, "warm_start", "sft", out, [*overrides, *self.start], *taught)]

    def _train(self, cell: Cell, place: int, one: Experiment, own: list[str], done: list[Stage]) -> list[Stage]:
        """Rows and the training on them, from the last policy in `done`. own: overrides of this training alone."""
        name = f"fine_tune_{place}" if place > 1 else ("train", "fine_tune")[place]
        rows = [self._rows(cell, prompt) for prompt in (one.prompt, *one.mixed)]
        variant = cell.variant if one.train == "grpo" else None
        chosen = [*own, f"variant={variant}"] if variant else own
        read = [f"parquet={rows[0].out}"]
        if one.mixed:
            read += _files(rows, "sft_" if one.train == "sft" else "")
        overrides = [f"experiment={one.name}", *chosen, *read, *self._policy(done), *self.training]
        shared, objective = not place and one.name != cell.experiment, cell.objective if own else None
        home = replace(cell, experiment=one.name, objective=objective, variant=variant) if shared else cell
        return [*rows, self._stage(cell, name, str(one.train), self.root / home.folder / name, overrides, *rows)]

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


def _files(rows: list[Stage], start: str) -> list[str]:
    """Overrides that let a training read the rows of several prompts. start: of the files' names."""
    files = {split: ",".join(f"{one.out}/{start}{split}.parquet" for one in rows) for split in ("train", "val")}
    return [f"data.{split}_files=[{names}]" for split, names in files.items()]
