"""Finds evaluations and training curves below run folders.

An evaluation is a folder that recipes/evaluate.py wrote:
    run.json             {"recipe": "evaluate", "name": label, "policy", "dataset", "prompt", "objective", "split": str,
                          "shuffled_images": bool, "state": "finished", "ended": ISO 8601 time}
    predictions.parquet  see vrft_aug.evaluation.metrics
    metrics.json         what `measure` returned
The policy's second evaluation, with the test images dealt to the wrong prompts, is a folder of the same form with
shuffled_images true and the same policy, dataset, prompt, objective and split. Optional: state, ended (orders runs).

A training is a folder with `metrics.jsonl`, verl's "file" logger: {"step": int, "data": {metric: number}} a line, and,
optional, a run.json with "name". Of two values for one step (a resumed run) the later line's counts.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from vrft_aug.errors import InputError
from vrft_aug.evaluation.intervals import IMAGE

IDENTITY = ("policy", "dataset", "prompt", "objective", "split")


@dataclass(frozen=True)
class Evaluation:
    folder: Path
    run: dict  # run.json
    metrics: dict[str, dict]  # "<data_source>/<task>" -> metrics

    @property
    def name(self) -> str:
        return self.run["name"]

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
        return pd.read_parquet(self.folder / "predictions.parquet", columns=[*IMAGE, "acc"])


@dataclass(frozen=True)
class Training:
    folder: Path
    name: str
    steps: pd.DataFrame  # index: step; a column a metric, NaN where a step did not log it


def find(paths: Iterable[str | Path]) -> tuple[list[Evaluation], list[Training]]:
    """All evaluations and trainings below the paths: in the paths' order, then by time finished, then by name.

    Raises:
        InputError: a path that is no folder, an incomplete evaluation, an unreadable file, or nothing to report.
    """
    evaluations: dict[Path, Evaluation] = {}
    trainings: dict[Path, Training] = {}
    for path in map(Path, paths):
        if not path.is_dir():
            raise InputError(f"{path}: no such run folder; runs= takes the folders that the recipes wrote (their out=)")
        found = [evaluation for file in sorted(path.rglob("run.json")) if (evaluation := _evaluation(file))]
        for evaluation in sorted(found, key=lambda one: one.run.get("ended", "")):
            evaluations.setdefault(evaluation.folder.resolve(), evaluation)
        for folder in sorted({file.parent for file in path.rglob("metrics.jsonl")}):
            trainings.setdefault(folder.resolve(), _training(folder))
    if not evaluations and not trainings:
        where = ", ".join(map(str, paths))
        raise InputError(f"nothing to report below {where}: no run.json of an evaluation and no metrics.jsonl")
    return list(evaluations.values()), list(trainings.values())


def _evaluation(file: Path) -> Evaluation | None:
    run = _json(file)
    if run.get("recipe") != "evaluate":
        return None
    if run.get("state", "finished") != "finished":
        raise InputError(f"{file.parent}: this evaluation is {run['state']}; let it finish, or leave the folder out")
    if missing := [key for key in ("name", "shuffled_images") if key not in run]:
        raise InputError(f"{file} lacks {', '.join(missing)}; evaluate again")
    for name in ("metrics.json", "predictions.parquet"):
        if not (file.parent / name).is_file():
            raise InputError(f"{file.parent} has a run.json but no {name}; evaluate again, or leave this folder out")
    return Evaluation(file.parent, run, _json(file.parent / "metrics.json"))


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
    return Training(folder, _json(described).get("name", folder.name) if described.is_file() else folder.name, table)


def _json(file: Path) -> dict:
    try:
        content = json.loads(file.read_text())
    except ValueError as error:
        raise InputError(f"{file} is not JSON ({error}); write it again with its recipe") from None
    if not isinstance(content, dict):
        raise InputError(f"{file} must hold a JSON object; write it again with its recipe")
    return content
