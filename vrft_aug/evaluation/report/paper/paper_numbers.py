"""The paper's printed numbers (tables.csv), by table and cell."""

import csv
from dataclasses import dataclass
from pathlib import Path

from vrft_aug.evaluation.metrics.intervals import wilson
from vrft_aug.experiments.cells import Cell

NUMBERS = Path(__file__).with_name("tables.csv")
AVERAGE = "average"
# Experiments (conf/experiment) by the names that the paper prints.
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
    """A number as the paper prints it, in per cent; k of n test images where that can be told."""

    accuracy: float
    k: int | None
    n: int | None
    note: str

    def interval(self) -> dict[str, float | None]:
        """Share with Wilson's 95 % interval; without limits where k is not known."""
        if self.k is None:
            return {"value": self.accuracy / 100, "low": None, "high": None}
        return wilson(self.k, self.n)


def read(table: str) -> dict[tuple[str, int, str], Printed]:
    """{(method, shots, data set): number} of a table of conf/table; nothing where it is none of the paper's."""
    with NUMBERS.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["table"] == table.removeprefix("table")]
    return {
        (row["method"], int(row["shots"]), row["dataset"]): Printed(
            float(row["accuracy"]), _count(row["k"]), _count(row["n"]), row["note"]
        )
        for row in rows
    }


def key(cell: Cell, larger: bool, dataset: str) -> tuple[str, int, str]:
    """Where `read` keeps a cell's number. The paper's policies are the 3B and, in rows of the larger, the 7B."""
    if cell.experiment == "zero_shot":
        return f"zero_shot_{'7b' if larger else '3b'}", 0, dataset
    return cell.experiment, cell.shots, dataset


def _count(text: str) -> int | None:
    return int(text) if text else None
