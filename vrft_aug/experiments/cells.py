"""Turns a table of conf/table into its cells: one experiment on one data set, with a number of images and a policy."""

from dataclasses import dataclass, field, fields
from typing import Any

from omegaconf import DictConfig, OmegaConf

from vrft_aug.errors import InputError


@dataclass(frozen=True)
class Cell:
    """One number of a table. objective: None where it is the experiment's own."""

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
        """The cell's folder, relative to the root folder of all cells."""
        return f"{self.setting}/{self.experiment}{f'-{self.objective}' if self.objective else ''}"


@dataclass(frozen=True)
class TableRow:
    """shots: None means each of the table's `shots`. policy: "larger" or a choice of conf/policy; None: the table's.
    objectives: data set -> objective, where it is not the experiment's own."""

    experiment: str
    shots: int | None = None
    policy: str | None = None
    objectives: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """The config group `table`; conf/table/table1.yaml explains its keys."""

    title: str
    protocol: str
    policy: str
    larger_policy: str | None
    datasets: list[str]
    shots: list[int | None]
    rows: list[TableRow]

    @staticmethod
    def of(config: DictConfig) -> "Table":
        """Raises InputError for an unknown key of the table or of a row, and for a table without rows or data sets."""
        spec: Any = OmegaConf.to_container(config, resolve=True)
        _check_keys(spec, Table, spec["title"])
        for row in spec["rows"]:
            _check_keys(row, TableRow, f"{spec['title']}: row {row}")
        if not spec["rows"] or not spec["datasets"]:
            raise InputError(f"{spec['title']}: a table needs rows and datasets")
        return Table(**(spec | {"rows": [TableRow(**row) for row in spec["rows"]]}))


def _check_keys(found: dict[str, Any], kind: type, where: str) -> None:
    known = [one.name for one in fields(kind)]
    if unknown := ", ".join(key for key in found if key not in known):
        raise InputError(f"{where}: no key {unknown}; known: {', '.join(known)}")


def cells(table: Table) -> list[Cell]:
    """All cells, data set by data set, in the order of the rows."""
    found = [cell for dataset in table.datasets for row in table.rows for cell in row_cells(table, row, dataset)]
    return list(dict.fromkeys(found))


def row_cells(table: Table, row: TableRow, dataset: str) -> list[Cell]:
    """One cell per number of images; none if the row needs the larger policy and `larger_policy` is None."""
    policy = table.larger_policy if row.policy == "larger" else row.policy or table.policy
    if policy is None:
        return []
    shots = table.shots if row.shots is None else [row.shots]
    return [Cell(row.experiment, dataset, count, policy, row.objectives.get(dataset)) for count in shots]
