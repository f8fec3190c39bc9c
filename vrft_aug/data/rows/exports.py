"""Converts verl's row into the rows that EasyR1 and TRL read."""

from typing import Any

from vrft_aug.data.rows.schema import EASYR1, TRL, Row
from vrft_aug.rewards.adapters.easyr1 import answer


def easyr1(row: Row) -> dict[str, Any]:
    """EasyR1's row: `problem` with the image mark, `images`, and `answer`, from which our rewards read everything."""
    return {
        "problem": row["prompt"][0]["content"],
        "answer": answer(row),
        "images": row["images"],
        "extra_info": row["extra_info"],
    }


def trl(row: Row) -> dict[str, Any]:
    """TRL's row: a chat `prompt` without the image mark (TRL inserts it), `images`, and the ground truth."""
    return {
        "prompt": [{"role": "user", "content": row["extra_info"]["prompt"]}],
        "images": row["images"],
        "solution": row["reward_model"]["ground_truth"],
        "extra_info": row["extra_info"],
    }


EXPORTS = {"easyr1": (EASYR1, easyr1), "trl": (TRL, trl)}
