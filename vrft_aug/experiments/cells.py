"""A table of conf/table -> its cells: which experiment on which data set, with how many images, of which policy."""

from dataclasses import dataclass

from omegaconf import DictConfig, OmegaConf

from vrft_aug.errors import InputError

ROW = {"experiment", "shots", "policy", "objectives"}


@dataclass(frozen=True)
class Cell:
    """One number of a table. objective: where it differs from the experiment's own, else None."""

    experiment: str
    dataset: str
    shots: int | None
    policy: str
    objective: str | None = None

    @property
    def setting(self) -> str:
        """What cells with the same prepared rows share: "<policy>/<data set>-<shots>"."""
        return f"{self.policy}/{self.dataset}-{'all' if self.shots is None else self.shots}"

    @property
    def folder(self) -> str:
        """Below the root folder of all cells."""
        return f"{self.setting}/{self.experiment}{f'-{self.objective}' if self.objective else ''}"


def cells(table: DictConfig) -> list[Cell]:
    """Every cell of the config group `table`, data set by data set, in the order of its rows.

    A row of the larger policy has no cells where `larger_policy` is null.
    Raises InputError for a row with an unknown key, or a table without rows or data sets.
    """
    spec = OmegaConf.to_container(table, resolve=True)
    if not spec["rows"] or not spec["datasets"]:
        raise InputError(f"{spec['title']}: a table needs rows and datasets")
    found = [cell for dataset in spec["datasets"] for row in spec["rows"] for cell in row_cells(spec, row, dataset)]
    return list(dict.fromkeys(found))


def row_cells(spec: dict, row: dict, dataset: str) -> list[Cell]:
    """The cells of one row on one data set: one for each number of images."""
    if unknown := set(row) - ROW:
        raise InputError(f"{spec['title']}: row {row}: no key {', '.join(sorted(unknown))}; known: {', '.join(ROW)}")
    policy = spec["larger_policy"] if row.get("policy") == "larger" else row.get("policy") or spec["policy"]
    if policy is None:
        return []
    shots = spec["shots"] if row.get("shots") is None else [row["shots"]]
    objective = (row.get("objectives") or {}).get(dataset)
    return [Cell(row["experiment"], dataset, count, policy, objective) for count in shots]
