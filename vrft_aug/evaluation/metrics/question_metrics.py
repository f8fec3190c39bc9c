"""Computes the metrics of closed questions, each of which has options of its own: what is chosen, and by chance.

What needs classes that rows have in common (recall, confusion, F1, kappa, AUROC) is not defined for them.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics.intervals import Statistic, weighted_means
from vrft_aug.rewards.answer_text import normalise


def chosen_options(rows: pd.DataFrame) -> pd.Series:
    """The option that each row's answer names, as the row writes it; "" if the answer is rejected.

    Raises InputError for a ground truth that is none of the row's options, and for `acc` that contradicts the answer.
    """
    if "classes" not in rows:
        raise InputError("predictions lack the column classes; write them with recipes/evaluate.py")
    return pd.Series([_chosen(row) for row in rows.to_dict("records")], rows.index, dtype=object)


def _chosen(row: dict[Any, Any]) -> str:
    named = {normalise(str(option)): str(option) for option in row["classes"]}
    truth = normalise(row["ground_truth"])
    if truth not in named:
        raise InputError(f"question {row['source_id']}: ground truth {row['ground_truth']!r} is none of its options "
                         f"{list(row['classes'])}; evaluate again")  # fmt: skip
    answer = "" if row["rejected"] else named.get(normalise(row["prediction"]), "")
    if (answer == named[truth]) != (row["acc"] == 1):
        raise InputError(f"question {row['source_id']}: the prediction is {row['prediction']!r}, but acc is "
                         f"{row['acc']:g}; evaluate again")  # fmt: skip
    return answer


def option_chances(rows: pd.DataFrame) -> NDArray[np.float64]:
    """The chance to draw the right option of each question, 1 / options, (n,)."""
    return np.array([1 / len(options) for options in rows["classes"]])


def option_statistic(rows: pd.DataFrame) -> Statistic:
    """option_chance: the accuracy of one who draws an option of each question at random."""
    return weighted_means({"option_chance": option_chances(rows)})
