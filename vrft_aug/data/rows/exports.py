"""Converts verl's row into the rows that EasyR1 and TRL read, and writes the script that starts their training."""

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import pyarrow as pa

from vrft_aug.data.prompts.rendering import IMAGE_MARK, divided
from vrft_aug.data.rows.schema import EASYR1, TRL, Row
from vrft_aug.data.settings import Dataset, Policy
from vrft_aug.rewards.adapters.easyr1 import answer

TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
)
TEMPLATES.filters |= {"python": repr, "json": json.dumps, "shell": lambda value: shlex.quote(str(value))}


def easyr1(row: Row) -> dict[str, Any]:
    """EasyR1's row: `problem` with a mark per image, `images`, and `answer`, from which our rewards read everything."""
    return {
        "problem": row["prompt"][0]["content"],
        "answer": answer(row),
        "images": row["images"],
        "extra_info": row["extra_info"],
    }


def trl(row: Row) -> dict[str, Any]:
    """TRL's row: a chat `prompt` without the image marks, `images`, and the ground truth.

    TRL inserts all marks before the text, so named views are listed in their order.
    """
    marks, text = divided(row["prompt"][0]["content"])
    views = [line.removesuffix(f": {IMAGE_MARK}") for line in marks.splitlines() if not line.startswith(IMAGE_MARK)]
    named = f"The images are, in this order: {', '.join(views)}.\n" if views else ""
    return {
        "prompt": [{"role": "user", "content": named + text}],
        "images": row["images"],
        "solution": row["reward_model"]["ground_truth"],
        "extra_info": row["extra_info"],
    }


class Export(NamedTuple):
    """The rows of another trainer. script: the name of the file that starts it; its template lies in this folder."""

    schema: pa.Schema
    convert: Callable[[Row], dict[str, Any]]
    script: str


EXPORTS = {"easyr1": Export(EASYR1, easyr1, "easyr1.sh"), "trl": Export(TRL, trl, "trl_grpo.py")}


def write_script(name: str, folder: Path, dataset: Dataset, policy: Policy, objective: Mapping[str, Any]) -> Path:
    """Write the script of export `name` beside its rows; it trains this policy with this objective. Returns its path.

    The script makes a copy of the policy with the rows' pixel bounds, so that the trainer's images have the size that
    the rows' boxes refer to.
    """
    path = folder / EXPORTS[name].script
    text = TEMPLATES.get_template(f"{path.name}.jinja").render(
        dataset=dataset,
        policy=policy,
        settings=asdict(policy),
        max_prompt_length=policy.max_prompt_length or policy.max_length - policy.max_response_length,
        objective=objective,
    )
    path.write_text(text, encoding="utf-8")
    return path
