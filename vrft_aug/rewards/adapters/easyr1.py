"""These rewards in EasyR1, which loads a file and a function's name and passes keyword arguments:

    worker.reward.reward_function=<this file>:compute_score
    worker.reward.reward_function_kwargs='{objective: mfrs}'
    data.answer_key=answer

EasyR1 hands a reward the answer column and nothing else of the row: make that column with `answer`.
"""

import json
from collections.abc import Mapping

from vrft_aug import rewards
from vrft_aug.errors import InputError

REWARD_NAME = "vrft_aug"
REWARD_TYPE = "batch"


def answer(row: Mapping) -> str:
    """EasyR1's answer column: what scoring needs of a row of our parquet, as JSON."""
    scored = {key: row[key] for key in ("data_source", "extra_info")} | row["reward_model"]
    return json.dumps(scored, default=lambda array: array.tolist())  # parquet readers give lists as numpy arrays


def compute_score(reward_inputs: list[dict] | dict, objective: str | Mapping = "accuracy") -> list[dict] | dict:
    """Scores {"overall": float, part: float, ...} of EasyR1's inputs {"response", "response_length", "ground_truth"}.

    A list of inputs gives a list (reward_type batch), one input gives one score (sequential). EasyR1 averages each key
    over the samples that have it, so parts of other tasks and texts are left out.
    """
    if isinstance(reward_inputs, Mapping):
        return _score(reward_inputs, objective)
    return [_score(reward_input, objective) for reward_input in reward_inputs]


def _score(reward_input: Mapping, objective: str | Mapping) -> dict:
    try:
        row = json.loads(reward_input["ground_truth"])
        data_source, truth, extra_info = row["data_source"], row["ground_truth"], row["extra_info"]
    except (TypeError, ValueError, KeyError):
        found = reward_input["ground_truth"]
        writer = "vrft_aug.rewards.adapters.easyr1.answer(row)"
        raise InputError(f"answer column: {found!r} is not what {writer} writes") from None
    parts = rewards.compute_score(data_source, reward_input["response"], truth, extra_info, objective)
    return {"overall": parts.pop("score")} | {k: v for k, v in parts.items() if isinstance(v, float)}
