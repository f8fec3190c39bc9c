"""Reads what is known of the paper: its printed numbers (tables.csv), by table and cell, and its test sets."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from vrft_aug.evaluation.metrics.intervals import Quantity, estimate, wilson
from vrft_aug.experiments.cells import Cell

NUMBERS = Path(__file__).with_name("tables.csv")
TEST_SETS = Path(__file__).with_name("test_sets.csv")
AVERAGE = "average"
Key = tuple[str, int | None, str]  # method, images per class, data set: a line of tables.csv
# Experiment (conf/experiment) -> its name in the paper; those from V-SFT + PA_π + PA_P on are not in it.
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
    "v_sft_pa_pi_knowledge": "V-SFT + PA_π + PA_P",
    "v_rft_pa_pi_knowledge": "V-RFT + PA_π + PA_P",
    "v_rft_pa_pi_v_rft": "V-RFT + PA_π, then V-RFT",
    "v_rft_pa_pi_pa_p_mfrs": "V-RFT + PA_π, then V-RFT + PA_P + R_MFRS",
    "v_rft_pa_pi_pa_p_recite_neg": "V-RFT + PA_π, then V-RFT + PA_P + δ⁻ R_recite",
    "zero_shot_pa_p": "0-shot + PA_P",
    "v_sft_start": "V-SFT, 320 steps",
    "v_sft_v_rft": "V-SFT, 320 steps, then V-RFT",
    "v_rft_mfrs": "V-RFT + R_MFRS",
    "v_rft_four_updates": "V-RFT, four updates per step",
    "v_rft_pretext": "V-RFT on blur and speckle",
    "v_rft_find_sharp": "V-RFT on the sharp part",
    "v_rft_rotation": "V-RFT on rotations",
    "v_rft_jigsaw": "V-RFT on quarters in disorder",
    "v_rft_pretexts": "V-RFT on blur, speckle and the sharp part",
    "v_rft_pretext_v_rft": "V-RFT on blur and speckle, then V-RFT",
    "v_rft_pretexts_v_rft": "V-RFT on blur and speckle, on the sharp part, then V-RFT",
}


@dataclass(frozen=True)
class Printed:
    """An accuracy as the paper prints it, in per cent: k right answers on n test images; None if unknown.

    delta: the gain over V-RFT in points, None where the paper prints none. per_class: test images of each class, in
    any order; empty if unknown.
    """

    accuracy: float
    k: int | None
    n: int | None
    note: str
    delta: float | None = None
    per_class: tuple[int, ...] = ()

    def interval(self) -> Quantity:
        """The share in [0, 1] with Wilson's 95 % interval; without limits if k is unknown."""
        if self.k is None or self.n is None:
            return estimate(self.accuracy / 100)
        return wilson(self.k, self.n)


def read(table: str) -> dict[Key, Printed]:
    """The printed numbers of a table of conf/table; empty if the paper has no such table."""
    with NUMBERS.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["table"] == table.removeprefix("table")]
    sets = class_counts()
    return {(row["method"], int(row["shots"]), row["dataset"]): _printed(row, sets) for row in rows}


def class_counts() -> dict[str, tuple[int, ...]]:
    """{data set: the paper's test images of each class}, for the data sets where they are known."""
    with TEST_SETS.open(newline="") as file:
        return {row["dataset"]: tuple(map(int, row["per_class"].split())) for row in csv.DictReader(file)}


def key(cell: Cell, larger: bool, dataset: str) -> Key:
    """The key of a cell's number. The paper's policy is a 3B model, and a 7B model in rows of the larger policy."""
    if cell.experiment == "zero_shot":
        return f"zero_shot_{'7b' if larger else '3b'}", 0, dataset
    return (f"{cell.experiment}-{cell.variant}" if cell.variant else cell.experiment), cell.shots, dataset


def method(cell: Cell) -> str:
    """The paper's name of the cell's experiment, and the variant of GRPO if it is not the paper's."""
    name = METHODS.get(cell.experiment, cell.experiment)
    return f"{name}, {cell.variant}" if cell.variant else name


def _printed(row: Mapping[str, str], sets: Mapping[str, tuple[int, ...]]) -> Printed:
    delta = float(row["delta"]) if row["delta"] else None
    number = Printed(float(row["accuracy"]), _count(row["k"]), _count(row["n"]), row["note"], delta)
    return replace(number, per_class=sets.get(row["dataset"], ()))


def _count(text: str) -> int | None:
    return int(text) if text else None
