"""Makes a table of scored predictions from prepared rows."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from vrft_aug.data.rows.parquet_files import parquet_files
from vrft_aug.errors import InputError
from vrft_aug.evaluation.answers import voting
from vrft_aug.rewards import Objective, compute_score
from vrft_aug.rewards.thought import thought_right

Answerer = Callable[[list[str], list[bytes]], list[list[tuple[str, int]]]]


def read_rows(parquet: Path, split: str) -> pd.DataFrame:
    """The rows of one split, as prepare.py wrote them. Raises InputError if there are none."""
    files = parquet_files(parquet / f"{split}.parquet")
    rows = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    if rows.empty:
        raise InputError(f"{files[0]} is empty: prepare again with a data set that has a {split} split")
    return rows


def predict(rows: pd.DataFrame, objective: Objective, answer: Answerer) -> pd.DataFrame:
    """Scored predictions, one row per response (columns: vrft_aug/evaluation/metrics/measure.py).

    If a prompt has several responses, they also get `sample` and `vote` (voting.py). answer: takes prompts and images;
    returns each prompt's responses as (text, number of tokens).
    """
    prompts = [prompt[0]["content"] for prompt in rows["prompt"]]
    images = [images[0]["bytes"] for images in rows["images"]]
    table: list[dict] = []
    for row, responses in zip(rows.to_dict("records"), answer(prompts, images), strict=True):
        info, truth = row["extra_info"], row["reward_model"]["ground_truth"]
        scored = [
            {
                "data_source": row["data_source"],
                **{key: info[key] for key in ("task", "index", "source_id", "group_id")},
                "classes": list(info["classes"]),
                "prompt": info["prompt"],
                "response": text,
                "response_length": length,
                "ground_truth": truth,
                "findings": info.get("findings", ""),
                "thought_right": thought_right(text, info),
                **compute_score(row["data_source"], text, truth, info, objective, tokens=length),
            }
            for text, length in responses
        ]
        table += voting.mark(scored) if len(scored) > 1 else scored
    return pd.DataFrame(table)
