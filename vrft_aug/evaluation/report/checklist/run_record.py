"""Finds what a reporting checklist can be filled from: an evaluation, those beside it, its trainings, its rows."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics.intervals import Metrics

TRAININGS = ("grpo", "sft")
BY_SET = Mapping[str, Metrics]  # "<data_source>/<task>" -> metrics
PLACES = "name the out= of evaluate.py, or the folder of a table's cell (<policy>/<data set>-<shots>/<experiment>)"


@dataclass(frozen=True)
class Stage:
    """One run of a recipe: its run.json, and its config.yaml, which may be missing ({})."""

    run: Mapping[str, Any]
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunRecord:
    """What was found of one evaluation.

    beside: name of a sub-folder -> metrics of the evaluation in it (shuffled, validation, pixels, ...).
    trainings: those that made the policy, the first one first. manifest: of the prepared rows; {} if they are gone.
    seeds: metrics of the same cell for each seed of a table with several, this one included.
    """

    name: str
    test: Stage
    metrics: BY_SET
    beside: Mapping[str, BY_SET] = field(default_factory=dict)
    trainings: tuple[Stage, ...] = ()
    manifest: Mapping[str, Any] = field(default_factory=dict)
    seeds: Mapping[int, BY_SET] = field(default_factory=dict)

    @property
    def was_trained(self) -> bool:
        """Whether a training of ours made the policy, also where the folder of the training is not found."""
        return bool(self.trainings or self.test.run.get("labels"))

    @property
    def dataset(self) -> Mapping[str, Any]:
        """The data set, as the manifest or else the config describes it."""
        return self.manifest.get("dataset") or self.test.config.get("dataset") or {}


def at(tree: Any, keys: str) -> Any:
    """The value at dotted keys, as "rule.shots"; None where a mapping or a key is missing."""
    for key in keys.split("."):
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree


def read_run(folder: Path) -> RunRecord:
    """Everything that is recorded about the evaluation in `folder`, or in its folder `test` (a table's cell).

    Raises InputError for a folder without a finished evaluation, and for a file that cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"run={folder}: no such folder; {PLACES}")
    home = next((one for one in (folder, folder / "test") if (one / "run.json").is_file()), None)
    if home is None:
        raise InputError(f"run={folder}: neither run.json nor test/run.json is there; {PLACES}")
    test = _stage(home)
    _check_evaluation(home, test.run)
    cell = home.resolve().parent
    return RunRecord(cell.name if home.name == "test" else home.resolve().name, test, _metrics(home), _beside(home),
                     _trainings(test, cell), _manifest(test.run, cell), _seeds(home))  # fmt: skip


def _check_evaluation(home: Path, run: Mapping[str, Any]) -> None:
    if run.get("recipe") != "evaluate":
        raise InputError(f"run={home}: a run of {run.get('recipe')}, not an evaluation; evaluate its policy "
                         f"(evaluate.py policy.path={home}) and name that folder")  # fmt: skip
    if beside := run.get("beside") or (run.get("shuffled_images") and "shuffled") or (run.get("pixels") and "pixels"):
        raise InputError(f"run={home}: this is what an evaluation is compared with ({beside}); name the folder above")
    if (state := run.get("state", "finished")) != "finished":
        raise InputError(f"run={home}: this evaluation is {state}; run evaluate.py with this out= again")
    if not (home / "metrics.json").is_file():
        raise InputError(f"run={home}: run.json but no metrics.json; run evaluate.py with this out= again")


def _stage(folder: Path) -> Stage:
    file = folder / "config.yaml"
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is not YAML ({error}); write it again with its recipe") from None
    return Stage(_json(folder / "run.json"), config if isinstance(config, dict) else {})


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{file} is not JSON ({error}); write it again with its recipe") from None
    if not isinstance(content, dict):
        raise InputError(f"{file} must hold a JSON object; write it again with its recipe")
    return content


def _metrics(folder: Path) -> BY_SET:
    found = _json(folder / "metrics.json")
    if not found or not all(isinstance(one, dict) and one.get("n") for one in found.values()):
        raise InputError(f"{folder / 'metrics.json'} has no metrics of a data set; run evaluate.py again with its out=")
    return found


def _beside(home: Path) -> dict[str, BY_SET]:
    files = [file for file in sorted(home.glob("*/metrics.json")) if (file.parent / "run.json").is_file()]
    return {file.parent.name: _metrics(file.parent) for file in files}


def _trainings(test: Stage, cell: Path) -> tuple[Stage, ...]:
    """By the policy that each stage started from; where those folders have moved, the cell's own trainings."""
    found: dict[Path, Stage] = {}
    last = test
    while folder := next((one for one in _folders(last) if one not in found), None):
        last = found[folder] = _stage(folder)
    if found:
        return tuple(reversed(found.values()))
    near = [cell / "train", *sorted(cell.glob("fine_tune*"))] if (cell / "test").is_dir() else []
    return tuple(_stage(folder) for folder in near if _is_training(folder))


def _folders(stage: Stage) -> Iterator[Path]:
    """The folder of the training whose policy or checkpoint a stage started from."""
    for path in (stage.run.get("policy"), at(stage.config, "policy.path")):
        if path and (start := Path(str(path)).expanduser()).exists():
            start = start.resolve()
            yield from (one for one in (start, *start.parents[:2]) if _is_training(one))


def _is_training(folder: Path) -> bool:
    return (folder / "run.json").is_file() and _json(folder / "run.json").get("recipe") in TRAININGS


def _manifest(run: Mapping[str, Any], cell: Path) -> dict[str, Any]:
    places = [Path(str(run.get("parquet"))), cell.parent / "rows" / str(run.get("prompt"))]
    file = next((one / "manifest.json" for one in places if (one / "manifest.json").is_file()), None)
    return _json(file) if file else {}


def _seeds(home: Path) -> dict[int, BY_SET]:
    """The cell's evaluations for all seeds of its table, <data set>-<shots>/seed-<n>/<experiment>/test."""
    own = home.resolve()
    if own.name != "test" or not re.fullmatch(r"seed-\d+", own.parents[1].name):
        return {}
    files = own.parents[2].glob(f"seed-*/{own.parent.name}/test/metrics.json")
    numbered = {file.parents[2].name.removeprefix("seed-"): file.parent for file in files}
    return {int(seed): _metrics(numbered[seed]) for seed in sorted(filter(str.isdecimal, numbered), key=int)}
