"""Gives EasyR1 these rewards. EasyR1 loads a function from a file and passes it keyword arguments:

    worker.reward.reward_function=<this file>:compute_score
    worker.reward.reward_function_kwargs='{objective: mfrs}'
    data.answer_key=answer

EasyR1 passes a reward the answer column and nothing else of the row. Make that column with `answer`.
"""

import json
from collections.abc import Mapping
from typing import Any

from vrft_aug import rewards
from vrft_aug.errors import InputError

REWARD_NAME = "vrft_aug"
REWARD_TYPE = "batch"
Inputs = Mapping[str, Any]  # response: str; response_length: int, in tokens; ground_truth: str, the answer column


def answer(row: Mapping[str, Any]) -> str:
    """EasyR1's answer column: what scoring needs of a row of our parquet, as JSON."""
    scored = {key: row[key] for key in ("data_source", "extra_info")} | row["reward_model"]
    return json.dumps(scored, default=lambda array: array.tolist())  # parquet readers give lists as numpy arrays


def compute_score(
    reward_inputs: list[Inputs] | Inputs, objective: str | Mapping | rewards.Objective = "accuracy"
) -> list[dict[str, float]] | dict[str, float]:
    """{"overall": the score, part: its value, ...} of each of EasyR1's inputs.

    A list of inputs gives a list (reward_type batch); one input gives one score (sequential). EasyR1 averages each key
    over the samples that have it, so a sample has only the parts of its own task, and no texts. Raises InputError for
    an objective that changes during a training: EasyR1 does not tell a reward the step.
    """
    if rewards.compose(objective).scheduled:
        raise InputError("objective: EasyR1 does not tell a reward the step: choose an objective without a schedule")
    if isinstance(reward_inputs, Mapping):
        return _score(reward_inputs, objective)
    return [_score(reward_input, objective) for reward_input in reward_inputs]


def _score(reward_input: Inputs, objective: str | Mapping | rewards.Objective) -> dict[str, float]:
    found = reward_input["ground_truth"]
    try:
        row = json.loads(found)
        data_source, truth, extra_info = row["data_source"], row["ground_truth"], row["extra_info"]
    except (TypeError, ValueError, KeyError):
        writer = "vrft_aug.rewards.adapters.easyr1.answer(row)"
        raise InputError(f"answer column: {found!r} is not what {writer} writes") from None
    parts = rewards.compute_score(data_source, reward_input["response"], truth, extra_info, objective,
                                  tokens=reward_input.get("response_length"))  # fmt: skip
    return {"overall": parts.pop("score")} | {k: v for k, v in parts.items() if isinstance(v, float)}
