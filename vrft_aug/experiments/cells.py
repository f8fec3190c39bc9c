"""Turns a table of conf/table into its cells: one experiment on one data set, with a number of images and a policy."""

from dataclasses import dataclass, field, fields, replace
from typing import Any

from omegaconf import DictConfig, OmegaConf

from vrft_aug.errors import InputError
from vrft_aug.experiments.claims import Claim

PAPERS = "grpo"  # the paper's variant of GRPO (conf/variant)


@dataclass(frozen=True)
class Cell:
    """One number of a table. objective: None where it is the experiment's own; variant: of GRPO, None where it is the
    paper's. seed: None where the table has one."""

    experiment: str
    dataset: str
    shots: int | None
    policy: str
    objective: str | None = None
    seed: int | None = None
    variant: str | None = None

    @property
    def setting(self) -> str:
        """What cells with the same prepared rows share: "<policy>/<data set>-<shots>", of several seeds "/seed-<n>"."""
        setting = f"{self.policy}/{self.dataset}-{'all' if self.shots is None else self.shots}"
        return setting if self.seed is None else f"{setting}/seed-{self.seed}"

    @property
    def folder(self) -> str:
        """The cell's folder, relative to the root folder of all cells."""
        return "/".join((self.setting, "-".join(filter(None, (self.experiment, self.objective, self.variant)))))


@dataclass(frozen=True)
class TableRow:
    """shots: None means each of the table's `shots`. policy: "larger" or a choice of conf/policy; None: the table's.
    objectives: data set -> objective, where it is not the experiment's own. datasets: those of the table's that have a
    cell in this row; None: all. variant: of GRPO (conf/variant); None: the paper's."""

    experiment: str
    shots: int | None = None
    policy: str | None = None
    objectives: dict[str, str] = field(default_factory=dict)
    datasets: list[str] | None = None
    variant: str | None = None

    def has(self, dataset: str) -> bool:
        return self.datasets is None or dataset in self.datasets


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
    seeds: list[int] | None = None
    claims: list[Claim] = field(default_factory=list)
    also: list[str] = field(default_factory=list)

    @staticmethod
    def of(config: DictConfig) -> "Table":
        """Raises InputError for an unknown key of the table, of a row or of a claim, for a table without rows or data
        sets, and for seeds that are no different whole numbers."""
        spec: Any = OmegaConf.to_container(config, resolve=True)
        title = spec["title"]
        _check_keys(spec, Table, title)
        for row in spec["rows"]:
            _check_keys(row, TableRow, f"{title}: row {row}")
        if not spec["rows"] or not spec["datasets"]:
            raise InputError(f"{title}: a table needs rows and datasets")
        _check_seeds(spec.get("seeds"), title)
        also = spec.get("also") or []
        if not isinstance(also, list) or not all(isinstance(name, str) for name in also):
            raise InputError(f"{title}: also={also!r} must be a list of metrics, as [auroc, calibration_error]")
        rows, claims = [TableRow(**row) for row in spec["rows"]], _claims(spec.get("claims"), title)
        return Table(**(spec | {"rows": rows, "claims": claims, "also": also}))

    @property
    def cell_seeds(self) -> list[int | None]:
        """The seeds of its cells: None alone for one seed, whose cells have no folder of a seed."""
        return [*self.seeds] if self.seeds and len(self.seeds) > 1 else [None]

    @property
    def several(self) -> bool:
        """Whether it has several seeds."""
        return len(self.cell_seeds) > 1


def _claims(entries: Any, title: str) -> list[Claim]:
    if not isinstance(entries, list | None):
        raise InputError(f"{title}: claims={entries!r} must be a list of claims")
    for entry in entries or []:
        lacking = [key for key in ("text", "better", "worse") if not isinstance(entry, dict) or key not in entry]
        if lacking:
            raise InputError(f"{title}: the claim {entry!r} lacks {', '.join(lacking)}")
        _check_keys(entry, Claim, f"{title}: claim {entry['text']!r}")
    return [Claim(**entry) for entry in entries or []]


def _check_seeds(seeds: Any, title: str) -> None:
    whole = isinstance(seeds, list) and all(type(seed) is int and seed >= 0 for seed in seeds)
    if seeds is not None and not (whole and seeds and len(set(seeds)) == len(seeds)):
        raise InputError(f"{title}: seeds={seeds!r} must be a list of different whole numbers from 0, or null: the "
                         "command line's seed")  # fmt: skip


def _check_keys(found: dict[str, Any], kind: type, where: str) -> None:
    known = [one.name for one in fields(kind)]
    if unknown := ", ".join(key for key in found if key not in known):
        raise InputError(f"{where}: no key {unknown}; known: {', '.join(known)}")


def cells(table: Table) -> list[Cell]:
    """All cells: seed by seed, so that the first seed's table is complete early; then data set by data set, in the
    order of the rows."""
    found = [cell for dataset in table.datasets for row in table.rows if row.has(dataset)
             for cell in row_cells(table, row, dataset)]  # fmt: skip
    return [replace(cell, seed=seed) for seed in table.cell_seeds for cell in dict.fromkeys(found)]


def row_cells(table: Table, row: TableRow, dataset: str) -> list[Cell]:
    """One cell per number of images, without a seed; none if the row needs the larger policy and there is none."""
    policy = table.larger_policy if row.policy == "larger" else row.policy or table.policy
    if policy is None:
        return []
    shots = table.shots if row.shots is None else [row.shots]
    objective, variant = row.objectives.get(dataset), None if row.variant == PAPERS else row.variant
    return [Cell(row.experiment, dataset, count, policy, objective, variant=variant) for count in shots]
