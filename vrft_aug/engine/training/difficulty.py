"""Chooses the training prompts of middle difficulty by a finished probe of the same rows (recipes/probe.py).

A prompt that the policy always or never solves gives groups of equal scores, and these teach nothing.
The chosen rows are written into the run's folder before verl starts, and again, the same, when a training resumes.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from omegaconf import DictConfig, OmegaConf

from vrft_aug.data.rows.parquet_files import sha256
from vrft_aug.data.setting_checks import written
from vrft_aug.data.settings import Settings
from vrft_aug.engine.run import facts
from vrft_aug.errors import InputError
from vrft_aug.files import replacing

TABLE = "difficulty.parquet"  # columns source_id and solved: see vrft_aug/evaluation/metrics/headroom.py


@dataclass(frozen=True)
class DifficultyRule(Settings):
    """The group `difficulty` of conf/grpo.yaml."""

    probe: str | None
    least: float
    most: float

    def __post_init__(self) -> None:
        for key in ("least", "most"):
            value = getattr(self, key)
            if type(value) not in (int, float) or not 0 <= value <= 1:
                raise InputError(f"difficulty.{key}={written(value)}: must be a share from 0 to 1")
        if self.least > self.most:
            raise InputError(f"difficulty.least={self.least} is above difficulty.most={self.most}: exchange them")


@dataclass(frozen=True)
class Selection:
    """The chosen rows of some parquet files. keep: whether each row is chosen, (rows,) over all files.

    facts: for run.json: the rule, how many prompts are chosen, too hard, too easy or not in the probe, and a checksum.
    """

    files: list[str]
    keep: "np.ndarray[Any, np.dtype[np.bool_]]"
    facts: dict[str, Any]

    @property
    def rows(self) -> int:
        """The number of chosen rows."""
        return int(self.facts["chosen"])

    @property
    def text(self) -> str:
        """What was chosen, for the terminal."""
        left = {"too_hard": f"solved in less than {100 * self.facts['least']:g} %",
                "too_easy": f"in more than {100 * self.facts['most']:g} %", "not_probed": "not probed"}  # fmt: skip
        out = ", ".join(f"{self.facts[key]} {text}" for key, text in left.items())
        return f"difficulty: trains on {self.rows} of {len(self.keep)} prompts; left out: {out}"

    def check_same(self, earlier: Mapping[str, Any]) -> None:
        """Raise InputError if the training to resume chose its prompts by another probe. earlier: its run.json."""
        then = earlier.get("difficulty", self.facts)  # missing: the last start ended before it wrote it
        if then["sha256"] != self.facts["sha256"]:
            raise InputError(f"difficulty.probe={self.facts['probe']}: this probe is not the one by which the training "
                             "began; choose another out, or restore that probe")  # fmt: skip

    def write(self, folder: Path) -> Path:
        """Write the chosen rows to `<folder>/train.parquet`, row group by row group, in their order."""
        folder.mkdir(exist_ok=True)
        target, done = folder / "train.parquet", 0
        with replacing(target) as part, pq.ParquetWriter(part, pq.read_schema(self.files[0])) as writer:
            for file in map(pq.ParquetFile, self.files):
                for number in range(file.num_row_groups):
                    group = file.read_row_group(number)
                    writer.write_table(group.filter(self.keep[done : done + len(group)]))
                    done += len(group)
        return target


def select(config: DictConfig, files: list[str], say: Callable[[str], None] = print) -> Selection | None:
    """The training rows in `files` that `config.difficulty` chooses; None where it names no probe.

    Raises InputError for a probe that is unfinished or of other rows, another prompt or another objective, and if fewer
    rows remain than a batch has.
    """
    rule = DifficultyRule.of(config.difficulty)
    if rule.probe is None:
        return None
    folder = Path(rule.probe).expanduser().resolve()
    check_probe(config, folder, files, say)
    solved = pd.read_parquet(folder / TABLE, columns=["source_id", "solved"]).set_index("source_id")["solved"]
    found = solved.reindex(_source_ids(files)).to_numpy()
    hard, easy, unknown = found < rule.least, found > rule.most, np.isnan(found)
    counts = {"too_hard": hard, "too_easy": easy, "not_probed": unknown}
    about = {"probe": str(folder), "least": rule.least, "most": rule.most, "sha256": sha256(folder / TABLE)}
    keep = ~(hard | easy | unknown)
    numbers = {name: int(rows.sum()) for name, rows in ({"chosen": keep} | counts).items()}
    chosen = Selection(files, keep, about | numbers)
    if chosen.rows < (batch := config.data.train_batch_size):
        raise InputError(f"{chosen.text}; a batch has {batch}: probe all rows (images=null), widen difficulty.least "
                         "and difficulty.most, or lower schedule.batch_size and schedule.mini_batch_size")  # fmt: skip
    return chosen


def check_probe(config: DictConfig, folder: Path, files: list[str], say: Callable[[str], None]) -> None:
    """Raise InputError unless `folder` has a finished probe of these files, with this config's prompt and objective.

    Says if another policy was asked.
    """
    where, again = f"difficulty.probe={folder}", "probe again with the settings of this training"
    record, then = _read(folder, where)
    if record["split"] != "train":
        raise InputError(f"{where}: the probe asked the {record['split']} split; probe with split=train")
    for name, now in (("prompt", config.prompt.name), ("objective", config.objective_name)):
        if record[name] != now:
            raise InputError(f"{where}: the probe has {name}={record[name]}, and this training {name}={now}; {again}")
    if OmegaConf.to_container(then.objective) != OmegaConf.to_container(config.objective, resolve=True):
        raise InputError(f"{where}: the probe's objective={record['objective']} has other settings; {again}")
    if not _are_of(files, record["sha256"]):
        raise InputError(f"{where}: the probe asked other rows ({record['parquet']}); {again}, or name its rows with "
                         "parquet=<folder>")  # fmt: skip
    if (old := then.policy.path or then.policy.name) != (new := config.policy.path or config.policy.name):
        say(f"difficulty: the probe asked policy {old}, and this training starts with {new}, which may solve others")


def _read(folder: Path, where: str) -> tuple[dict[str, Any], DictConfig]:
    """run.json and config.yaml of a finished probe."""
    try:
        record = json.loads((folder / "run.json").read_text())
        if (record["recipe"], record["state"]) == ("probe", "finished") and (folder / TABLE).is_file():
            return record, DictConfig(OmegaConf.load(folder / "config.yaml"))
    except (OSError, ValueError, KeyError):
        pass
    raise InputError(f"{where}: no finished run of recipes/probe.py is there; name the folder that it wrote")


def _are_of(files: list[str], checksums: Mapping[str, str]) -> bool:
    """Whether these are the training files of one folder, with these checksums in its manifest."""
    folders = {Path(file).parent for file in files}
    return len(folders) == 1 and facts.checksums(folders.pop(), "train") == checksums and (
        {Path(file).name for file in files} == set(checksums)
    )  # fmt: skip


def _source_ids(files: list[str]) -> list[str]:
    """The source id of every row, in the order of the files."""
    tables = [pq.ParquetFile(file).read(columns=["extra_info.source_id"]) for file in files]
    return [row["source_id"] for table in tables for row in table["extra_info"].to_pylist()]
