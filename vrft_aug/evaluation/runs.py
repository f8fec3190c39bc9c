"""Finds evaluations and training curves below run folders.

An evaluation is a folder that recipes/evaluate.py wrote:
    run.json             {"recipe": "evaluate", "name": label, "policy", "dataset", "prompt", "objective", "split": str,
                          "shuffled_images": bool, "state": "finished", "ended": ISO 8601 time}
    predictions.parquet  see vrft_aug.evaluation.metrics.measure
    metrics.json         what `measure` returned
The policy's second evaluation, with the test images dealt to the wrong prompts, is a folder of the same form with
shuffled_images true and the same policy, dataset, prompt, objective and split. Optional: state, ended (orders runs),
what says which cell of a table it fills (experiment, shots, policy_name, protocol), and parquet (the rows' folder).

A training is a folder with `metrics.jsonl`, verl's "file" logger: {"step": int, "data": {metric: number}} a line, and,
optional, a run.json with "name" and the same facts. Of two values for one step (a resumed run) the later line's counts.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow.parquet as pq

from vrft_aug.errors import InputError
from vrft_aug.evaluation.answers.voting import votes
from vrft_aug.evaluation.metrics.intervals import IMAGE

IDENTITY = ("policy", "dataset", "prompt", "objective", "split", "sampling")
STAGES = ("train", "fine_tune", "test")  # folders of a table's cell, which say nothing of the cell (experiments/)


@dataclass(frozen=True)
class Evaluation:
    folder: Path
    run: dict  # run.json
    metrics: dict[str, dict]  # "<data_source>/<task>" -> metrics

    @property
    def name(self) -> str:
        return _name(self.run, self.folder)

    @property
    def shuffled(self) -> bool:
        return self.run["shuffled_images"]

    @property
    def identity(self) -> str:
        """What a shuffled evaluation has in common with its straight twin."""
        return json.dumps([self.run.get(key) for key in IDENTITY])

    def answers_on(self, dataset: str) -> pd.DataFrame:
        """Which images of "<data_source>/<task>" were answered right: the columns that McNemar's test needs."""
        rows = self._answers
        return rows[rows["data_source"] + "/" + rows["task"] == dataset]

    @cached_property
    def _answers(self) -> pd.DataFrame:
        file = self.folder / "predictions.parquet"
        columns = [name for name in (*IMAGE, "acc", "vote") if name in pq.read_schema(file).names]
        return votes(pd.read_parquet(file, columns=columns))


@dataclass(frozen=True)
class Training:
    folder: Path
    name: str
    steps: pd.DataFrame  # index: step; a column a metric, NaN where a step did not log it
    run: dict = field(default_factory=dict)  # run.json

    @property
    def dataset(self) -> str:
        """Its data set's name; "" where it was not recorded."""
        return self.run.get("dataset") or ""


class Found(NamedTuple):
    evaluations: list[Evaluation]
    trainings: list[Training]
    unfinished: list[str]  # a line for each evaluation that is left out because it has not ended well


def find(paths: Iterable[str | Path]) -> Found:
    """All evaluations and trainings below the paths: in the paths' order, then by time finished, then by name.

    Raises:
        InputError: a path that is no folder, an incomplete evaluation, an unreadable file, or nothing to report.
    """
    evaluations: dict[Path, Evaluation] = {}
    trainings: dict[Path, Training] = {}
    unfinished: dict[Path, str] = {}
    for path in map(Path, paths):
        if not path.is_dir():
            raise InputError(f"{path}: no such run folder; runs= takes the folders that the recipes wrote (their out=)")
        runs = [(file.parent, _json(file)) for file in sorted(path.rglob("run.json"))]
        runs = [(folder, run) for folder, run in runs if run.get("recipe") == "evaluate"]
        for folder, run in sorted(runs, key=lambda one: one[1].get("ended", "")):
            if (state := run.get("state", "finished")) == "finished":
                evaluations.setdefault(folder.resolve(), _evaluation(folder, run))
            else:
                unfinished.setdefault(folder.resolve(), f"{folder}: this evaluation is {state}; left out")
        for folder in sorted({file.parent for file in path.rglob("metrics.jsonl")}):
            trainings.setdefault(folder.resolve(), _training(folder))
    if not evaluations and not trainings:
        where = ", ".join(map(str, paths))
        lines = "".join(f"; {line}" for line in unfinished.values())
        raise InputError(f"nothing to report below {where}: no run.json of an evaluation and no metrics.jsonl{lines}")
    return Found(list(evaluations.values()), _with_distinct_names(trainings.values()), list(unfinished.values()))


def distinct_name(name: str, folder: Path, namesakes: Sequence[Path]) -> str:
    """The name, with what sets this folder's path apart where several folders' runs have the name."""
    if len(namesakes) == 1:
        return name
    apart = [part for part in folder.parts if not all(part in other.parts for other in namesakes)]
    return f"{name} ({'/'.join(apart) or folder.name})"


def _with_distinct_names(trainings: Iterable[Training]) -> list[Training]:
    folders: dict[tuple[str, str], list[Path]] = {}
    for one in trainings:
        folders.setdefault((one.name, one.dataset), []).append(one.folder)
    return [replace(one, name=distinct_name(one.name, one.folder, folders[one.name, one.dataset])) for one in trainings]


def _name(run: dict, folder: Path) -> str:
    """The folder's name as recorded; of a stage in a table's cell, the cell's."""
    name = run.get("name", folder.name)
    if not (run.get("experiment") and name == folder.name and name in STAGES):
        return name
    return f"{folder.parent.name}/{name}" if name == "fine_tune" else folder.parent.name


def _evaluation(folder: Path, run: dict) -> Evaluation:
    if missing := [key for key in ("name", "shuffled_images") if key not in run]:
        raise InputError(f"{folder / 'run.json'} lacks {', '.join(missing)}; evaluate again")
    for name in ("metrics.json", "predictions.parquet"):
        if not (folder / name).is_file():
            raise InputError(f"{folder} has a run.json but no {name}; evaluate again, or leave this folder out")
    return Evaluation(folder, run, _json(folder / "metrics.json"))


def _training(folder: Path) -> Training:
    file = folder / "metrics.jsonl"
    steps: dict[int, dict] = {}
    lines = file.read_text().splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            steps.setdefault(record["step"], {}).update(record["data"])
        except (ValueError, KeyError, TypeError):
            if number < len(lines):  # a killed run may leave its last line unfinished
                raise InputError(f"{file}, line {number}: not verl's record of a step; delete the line") from None
    table = pd.DataFrame.from_dict(steps, orient="index").sort_index().apply(pd.to_numeric, errors="coerce")
    described = folder / "run.json"
    run = _json(described) if described.is_file() else {}
    return Training(folder, _name(run, folder), table, run)


def _json(file: Path) -> dict:
    try:
        content = json.loads(file.read_text())
    except ValueError as error:
        raise InputError(f"{file} is not JSON ({error}); write it again with its recipe") from None
    if not isinstance(content, dict):
        raise InputError(f"{file} must hold a JSON object; write it again with its recipe")
    return content
