"""Finds evaluations and trainings below run folders.

An evaluation is a folder that recipes/evaluate.py wrote:
    run.json             {"recipe": "evaluate", "state": "finished", ...}: see `Facts`
    predictions.parquet  see vrft_aug.evaluation.metrics.measure
    metrics.json         what `measure` returned
What it is compared with lies in folders of the same form inside its folder, such as `shuffled` (the images dealt to the
wrong prompts) and `pixels` (logistic regression). Their run.json has the folder's name as `beside`.

A training is a folder with metrics.jsonl (vrft_aug.engine.run.metrics_file). Its run.json may be missing.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow.parquet as pq

from vrft_aug.engine.run.metrics_file import read_steps
from vrft_aug.errors import InputError
from vrft_aug.evaluation.answers.voting import votes
from vrft_aug.evaluation.metrics.intervals import IMAGE, Metrics
from vrft_aug.rewards.diagnostics import BOUNDS, NO_BOUND, Bound

EARLIER = {"shuffled_images": "shuffled", "pixels": "pixels"}  # keys of run.json before `beside`, and its value
FURTHER = re.compile(r"fine_tune(_\d+)?")  # folders of the second and later trainings of a table's cell (experiments/)
STAGES = ("train", "test")  # the others; such a name does not name the cell


@dataclass(frozen=True)
class Facts:
    """What run.json says about a run; None or "": not recorded. ended: ISO 8601 time. parquet: the rows' folder.

    experiment, dataset, shots, policy_name and seed (of draw and training) say which cell of a table the run fills.
    variant: of GRPO (conf/variant); of an evaluation, that of the last training by GRPO; None: none, or an older run.
    freeze: what the training held frozen (engine/run/freezing.py); of an evaluation, the policy's last training.
    labels: images with a label that the training used, {"train": n, "val": n}; of an evaluation, those of the training
    that made the policy. image_tokens: visual tokens of the rows' images, {"least": n, "most": n}.
    trained_on: data sets of the policy's trainings; external: whether this data set is none of them.
    beside: of an evaluation that another one is compared with, and in whose folder it lies: its folder's name.
    without: why an evaluation has none of this name beside it, {"pixels": reason}.
    warn: of a training, its own bounds of the signs of vrft_aug/rewards/diagnostics.py, {measure: [lowest, highest]}.
    knowledge: of the prompt's knowledge, {"unreviewed": n, "entries": m}, where n is None for knowledge in the data
    set's config, which has no reviews; None: the prompt has none.
    """

    name: str = ""
    recipe: str | None = None
    state: str = "finished"
    ended: str = ""
    experiment: str | None = None
    dataset: str = ""
    shots: int | None = None
    seed: int | None = None
    policy_name: str | None = None
    policy: str | None = None
    prompt: str | None = None
    objective: str | None = None
    variant: str | None = None
    freeze: str | None = None
    protocol: str | None = None
    parquet: str | None = None
    split: str = ""
    sampling: dict[str, Any] | None = None
    beside: str = ""
    without: dict[str, str] = field(default_factory=dict)
    labels: dict[str, int] | None = None
    trained_on: list[str] | None = None
    external: bool | None = None
    image_tokens: dict[str, int] | None = None
    knowledge: dict[str, int | None] | None = None
    warn: dict[str, Bound] | None = None


@dataclass(frozen=True)
class Evaluation:
    folder: Path
    facts: Facts
    metrics: dict[str, Metrics]  # "<data_source>/<task>" -> metrics

    @property
    def name(self) -> str:
        return self.facts.name

    def answers_on(self, dataset: str) -> pd.DataFrame:
        """Which images of "<data_source>/<task>" were answered right: the columns that McNemar's test needs."""
        return _of(dataset, self._answers)

    def rows_on(self, dataset: str, columns: Sequence[str]) -> pd.DataFrame:
        """Columns of the answers on "<data_source>/<task>", one row per image; `columns` that the file lacks are not in
        it."""
        return _of(dataset, self._read([*IMAGE, *columns]))

    @cached_property
    def _answers(self) -> pd.DataFrame:
        return self._read([*IMAGE, "acc"])

    def _read(self, columns: Sequence[str]) -> pd.DataFrame:
        file = self.folder / "predictions.parquet"
        known = pq.read_schema(file).names
        return votes(pd.read_parquet(file, columns=[name for name in (*columns, "vote") if name in known]))


@dataclass(frozen=True)
class Training:
    folder: Path
    name: str
    steps: pd.DataFrame  # index: step; one column per metric, NaN if a step did not log it
    facts: Facts = field(default_factory=Facts)

    @property
    def bounds(self) -> dict[str, Bound]:
        """Measure of vrft_aug/rewards/diagnostics.py -> its bound in this training."""
        return BOUNDS | {measure: (low, high) for measure, (low, high) in (self.facts.warn or {}).items()}

    def bound(self, metric: str) -> Bound:
        """The lowest and the highest value of a metric that is not a sign of reward hacking; None: no bound."""
        measure = metric.rpartition("/")[2]
        return self.bounds.get(measure, NO_BOUND) if metric.startswith("reward/") else NO_BOUND

    def values(self, metric: str) -> "pd.Series[float]":
        """The logged values of a metric; index: step."""
        return self.steps.get(metric, pd.Series(dtype=float)).dropna()


class Found(NamedTuple):
    evaluations: list[Evaluation]
    trainings: list[Training]
    unfinished: list[str]  # one line for each evaluation that is left out because it did not finish


def _of(dataset: str, rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["data_source"] + "/" + rows["task"] == dataset]


def find(paths: Iterable[str | Path]) -> Found:
    """All evaluations and trainings below the paths: in the order of the paths, then by end time, then by name.

    Raises InputError if a path is no folder, an evaluation is incomplete, a file is unreadable, or nothing was found.
    """
    evaluations: dict[Path, Evaluation] = {}
    trainings: dict[Path, Training] = {}
    unfinished: dict[Path, str] = {}
    for path in map(Path, paths):
        if not path.is_dir():
            raise InputError(f"{path}: no such run folder; runs= takes the folders that the recipes wrote (their out=)")
        runs = [(file.parent, facts_of(file.parent)) for file in sorted(path.rglob("run.json"))]
        for folder, facts in sorted(runs, key=lambda run: run[1].ended):
            if facts.recipe == "evaluate" and facts.state == "finished":
                evaluations.setdefault(folder.resolve(), _evaluation(folder, facts))
            elif facts.recipe == "evaluate":
                unfinished.setdefault(folder.resolve(), f"{folder}: this evaluation is {facts.state}; left out")
        for folder in sorted({file.parent for file in path.rglob("metrics.jsonl")}):
            trainings.setdefault(folder.resolve(), training_of(folder))
    if not evaluations and not trainings:
        lines = ["no run.json of an evaluation and no metrics.jsonl", *unfinished.values()]
        raise InputError(f"nothing to report below {', '.join(map(str, paths))}: {'; '.join(lines)}")
    return Found(list(evaluations.values()), _with_distinct_names(trainings.values()), list(unfinished.values()))


def distinct_name(name: str, folder: Path, namesakes: Sequence[Path]) -> str:
    """The name; if the runs of several folders have it, with the part of the path that only this folder has."""
    if len(namesakes) == 1:
        return name
    apart = [part for part in folder.parts if not all(part in other.parts for other in namesakes)]
    return f"{name} ({'/'.join(apart) or folder.name})"


def _with_distinct_names(trainings: Iterable[Training]) -> list[Training]:
    named = [((one.name, one.facts.dataset), one) for one in trainings]
    namesakes = {name: [one.folder for other, one in named if other == name] for name, _ in named}
    return [replace(one, name=distinct_name(one.name, one.folder, namesakes[name])) for name, one in named]


def _evaluation(folder: Path, facts: Facts) -> Evaluation:
    for name in ("metrics.json", "predictions.parquet"):
        if not (folder / name).is_file():
            raise InputError(f"{folder} has a run.json but no {name}; evaluate again, or leave this folder out")
    return Evaluation(folder, facts, _json(folder / "metrics.json"))


def training_of(folder: Path) -> Training:
    """The training of a folder; without metrics.jsonl it has no steps. Raises InputError for a malformed file."""
    steps = pd.DataFrame.from_dict(read_steps(folder / "metrics.jsonl"), orient="index")
    facts = facts_of(folder)
    return Training(folder, facts.name, steps.sort_index().apply(pd.to_numeric, errors="coerce"), facts)


def facts_of(folder: Path) -> Facts:
    """The facts of run.json. Without a name it is the folder's; a stage of a table's cell has the cell's name."""
    record = record_of(folder)
    name = record.get("name", folder.name)
    if record.get("experiment") and name == folder.name and (name in STAGES or FURTHER.fullmatch(name)):
        name = folder.parent.name if name in STAGES else f"{folder.parent.name}/{name}"
    known = {one.name: record[one.name] for one in fields(Facts) if one.name in record}
    beside = record.get("beside") or next((name for key, name in EARLIER.items() if record.get(key)), "")
    return Facts(**known | {"name": name, "beside": beside})


def record_of(folder: Path) -> dict[str, Any]:
    """run.json of a folder; {} without one. Raises InputError for a malformed file."""
    file = folder / "run.json"
    return _json(file) if file.is_file() else {}


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text())
    except ValueError as error:
        raise InputError(f"{file} is not JSON ({error}); write it again with its recipe") from None
    if not isinstance(content, dict):
        raise InputError(f"{file} must hold a JSON object; write it again with its recipe")
    return content
