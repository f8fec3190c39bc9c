"""Reads the numbers that the paper prints (tables.csv), by table and cell."""

import csv
from dataclasses import dataclass
from pathlib import Path

from vrft_aug.evaluation.metrics.intervals import Quantity, estimate, wilson
from vrft_aug.experiments.cells import Cell

NUMBERS = Path(__file__).with_name("tables.csv")
AVERAGE = "average"
Key = tuple[str, int | None, str]  # method, images per class, data set: a line of tables.csv
# Experiment (conf/experiment) -> its name in the paper.
METHODS = {
    "zero_shot": "0-shot",
    "v_sft": "V-SFT",
    "v_rft": "V-RFT",
    "v_sft_pa_p": "V-SFT + PA_P",
    "v_rft_pa_p": "V-RFT + PA_P",
    "v_rft_pa_p_recite_pos": "V-RFT + PA_P + δ⁺ R_recite",
    "v_rft_pa_p_recite_neg": "V-RFT + PA_P + δ⁻ R_recite",
    "v_rft_pa_p_mfrs": "V-RFT + PA_P + R_MFRS",
    "v_sft_pa_pi": "V-SFT + PA_π",
    "v_rft_pa_pi": "V-RFT + PA_π",
}


@dataclass(frozen=True)
class Printed:
    """An accuracy as the paper prints it, in per cent: k right answers on n test images; None if unknown."""

    accuracy: float
    k: int | None
    n: int | None
    note: str

    def interval(self) -> Quantity:
        """The share in [0, 1] with Wilson's 95 % interval; without limits if k is unknown."""
        if self.k is None or self.n is None:
            return estimate(self.accuracy / 100)
        return wilson(self.k, self.n)


def read(table: str) -> dict[Key, Printed]:
    """The printed numbers of a table of conf/table; empty if the paper has no such table."""
    with NUMBERS.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["table"] == table.removeprefix("table")]
    numbers = [Printed(float(row["accuracy"]), _count(row["k"]), _count(row["n"]), row["note"]) for row in rows]
    keys: list[Key] = [(row["method"], int(row["shots"]), row["dataset"]) for row in rows]
    return dict(zip(keys, numbers, strict=True))


def key(cell: Cell, larger: bool, dataset: str) -> Key:
    """The key of a cell's number. The paper's policy is a 3B model, and a 7B model in rows of the larger policy."""
    if cell.experiment == "zero_shot":
        return f"zero_shot_{'7b' if larger else '3b'}", 0, dataset
    return cell.experiment, cell.shots, dataset


def _count(text: str) -> int | None:
    return int(text) if text else None
