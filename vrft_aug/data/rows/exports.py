"""Converts verl's row into the rows that EasyR1 and TRL read."""

from collections.abc import Mapping
from typing import Any

from vrft_aug.data.rows.schema import EASYR1, TRL
from vrft_aug.rewards.adapters.easyr1 import answer


def easyr1(row: Mapping[str, Any]) -> dict[str, Any]:
    """EasyR1's row: `problem` with the image mark, `images`, and `answer` with all that our rewards read there."""
    return {
        "problem": row["prompt"][0]["content"],
        "answer": answer(row),
        "images": row["images"],
        "extra_info": row["extra_info"],
    }


def trl(row: Mapping[str, Any]) -> dict[str, Any]:
    """TRL's row: a conversational `prompt` (TRL inserts the image mark), `images`, and `solution` for rewards."""
    return {
        "prompt": [{"role": "user", "content": row["extra_info"]["prompt"]}],
        "images": row["images"],
        "solution": row["reward_model"]["ground_truth"],
        "extra_info": row["extra_info"],
    }


EXPORTS = {"easyr1": (EASYR1, easyr1), "trl": (TRL, trl)}
